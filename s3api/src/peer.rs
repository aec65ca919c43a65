//! Where a request came from, through proxies that are trusted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fdfs_net::Outgoing;
use fdfs_objects::access::Network;
use http::HeaderMap;

use crate::connection::GoAhead;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
    /// Where pieces of files are put that the connection is to send unread, if it can.
    pub(crate) outgoing: Option<Outgoing>,
    /// Where to say that a client is to be told to go on.
    pub(crate) go_ahead: GoAhead,
    /// Networks whose word on a client's address and connection is taken.
    pub(crate) trusted: Arc<[Network]>,
}

impl Peer {
    /// The address of the client: of the peer, or, where that is a trusted proxy, the last one of `X-Forwarded-For` that is none.
    pub(crate) fn client(&self, headers: &HeaderMap) -> IpAddr {
        let mut client = self.address.ip().to_canonical();
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
        for hop in hops.iter().rev() {
            let Some(address) =
                Some(client).filter(|ip| self.trusts(*ip)).and_then(|_| hop.parse::<IpAddr>().ok())
            else {
                break;
            };
            client = address.to_canonical();
        }
        client
    }

    /// Whether the client's own connection is encrypted.
    pub(crate) fn is_secure(&self, headers: &HeaderMap) -> bool {
        let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        match forwarded.filter(|_| self.trusts(self.address.ip())) {
            Some(scheme) => scheme.trim().eq_ignore_ascii_case("https"),
            None => self.tls,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(trusted: &[&str]) -> Peer {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Peer {
            address: "127.0.0.1:7".parse().unwrap(),
            tls: false,
            outgoing: None,
            go_ahead: GoAhead::default(),
            trusted,
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let sent =
            headers(&[("x-forwarded-for", "9.9.9.9, 192.0.2.7, 10.0.0.1"), ("x-forwarded-proto", "https")]);
        let said =
            |trusted: &[&str]| (peer(trusted).client(&sent).to_string(), peer(trusted).is_secure(&sent));
        assert_eq!(said(&[]), ("127.0.0.1".into(), false));
        assert_eq!(said(&["127.0.0.0/8"]), ("10.0.0.1".into(), true));
        assert_eq!(said(&["127.0.0.0/8", "10.0.0.0/8"]), ("192.0.2.7".into(), true));
        let broken = headers(&[("x-forwarded-for", "nobody")]);
        assert_eq!(peer(&["127.0.0.0/8"]).client(&broken).to_string(), "127.0.0.1");
    }
}
