//! Addresses as text: of one socket, and of a server that may have two.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::{Decode, DecodeError, Encode, Reader, Writer};

/// The addresses of one server and its port: `ip:port`, `ip1,ip2:port`, in brackets where one is IPv6.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerAddress {
    /// One address, or two: the inner one first.
    pub ips: Vec<IpAddr>,
    /// The port.
    pub port: u16,
}

/// Why a text is not a [`ServerAddress`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ParseServerAddressError {
    /// A bracket is not closed, or something but a port follows it.
    #[error("brackets of the address do not match")]
    Brackets,
    /// One of the addresses is none.
    #[error("{0:?} is not an IP address")]
    Ip(Box<str>),
    /// There are more than two.
    #[error("a server has at most two addresses")]
    TooMany,
    /// The port is none.
    #[error("{0:?} is not a port")]
    Port(Box<str>),
}

impl ServerAddress {
    /// Most addresses of one server.
    pub const MAX_IPS: usize = 2;

    /// Reads the text; without a port it is `default_port`.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, ParseServerAddressError> {
        let (ips, port) = match text.strip_prefix('[') {
            Some(inner) => {
                let (ips, rest) = inner.split_once(']').ok_or(ParseServerAddressError::Brackets)?;
                match rest {
                    "" => (ips, None),
                    _ => (ips, Some(rest.strip_prefix(':').ok_or(ParseServerAddressError::Brackets)?)),
                }
            }
            None => text.split_once(':').map_or((text, None), |(ips, port)| (ips, Some(port))),
        };
        Ok(Self { ips: parse_ips(ips)?, port: port.map_or(Ok(default_port), parse_port)? })
    }

    /// The addresses with the port.
    pub fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.ips.iter().map(|ip| SocketAddr::new(*ip, self.port))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.ips.iter().any(IpAddr::is_ipv6) { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", join_ips(&self.ips), self.port)
    }
}

/// Reads one or two addresses separated by a comma.
pub(crate) fn parse_ips(text: &str) -> Result<Vec<IpAddr>, ParseServerAddressError> {
    if text.split(',').count() > ServerAddress::MAX_IPS {
        return Err(ParseServerAddressError::TooMany);
    }
    let one = |ip: &str| ip.parse().map_err(|_| ParseServerAddressError::Ip(ip.into()));
    text.split(',').map(one).collect()
}

/// The addresses separated by commas.
pub(crate) fn join_ips(ips: &[IpAddr]) -> String {
    let texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn parse_port(text: &str) -> Result<u16, ParseServerAddressError> {
    text.parse().map_err(|_| ParseServerAddressError::Port(text.into()))
}

impl Encode for SocketAddr {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&self.to_string());
    }
}

impl Decode for SocketAddr {
    const NAME: &'static str = "SocketAddr";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.rest_word("address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_or_two_addresses() {
        for text in ["10.0.0.1:22122", "10.0.0.1,1.2.3.4:1", "[fd00::2]:22301", "[192.168.1.1,fd00::2]:9"] {
            assert_eq!(ServerAddress::parse(text, 7).unwrap().to_string(), text);
        }
        assert_eq!(ServerAddress::parse("10.0.0.1", 7).unwrap().port, 7);
        assert_eq!(ServerAddress::parse("[fd00::2]", 7).unwrap().port, 7);
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (text, reason) in [
            ("[fd00::2", "brackets of the address do not match"),
            ("[fd00::2]x", "brackets of the address do not match"),
            ("host:1", "\"host\" is not an IP address"),
            ("1.1.1.1,2.2.2.2,3.3.3.3:1", "a server has at most two addresses"),
            ("1.1.1.1:70000", "\"70000\" is not a port"),
            ("", "\"\" is not an IP address"),
        ] {
            assert_eq!(ServerAddress::parse(text, 7).unwrap_err().to_string(), reason, "{text}");
        }
    }
}
