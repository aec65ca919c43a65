//! `tracker_server`: where a tracker is found.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::ConfError;
use crate::keys::{Keys, invalid};

/// Where a tracker is found: `host:port`, `inner,outer:port`, `[v6]:port`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TrackerAddress {
    /// Addresses or names of one tracker, tried in turn; one or two.
    pub hosts: Vec<String>,
    /// Its port.
    pub port: u16,
}

impl TrackerAddress {
    /// The port of a tracker when none is given.
    pub const DEFAULT_PORT: u16 = 22122;

    /// Reads every `tracker_server` line; the same tracker is not kept twice.
    pub(crate) fn read_all(keys: &Keys<'_>, no_loopback: bool) -> Result<Vec<Self>, ConfError> {
        let mut trackers = Vec::new();
        for entry in keys.all("tracker_server") {
            let tracker: Self = entry.value.parse().map_err(|error| invalid(entry, error))?;
            if no_loopback && tracker.hosts.iter().any(|host| LOOPBACK.contains(&&**host)) {
                return Err(invalid(
                    entry,
                    "a storage finds out its own address through the tracker: give an address that \
                     other machines reach (127.0.0.2 for tests on one machine)",
                ));
            }
            if !trackers.contains(&tracker) {
                trackers.push(tracker);
            }
        }
        if trackers.is_empty() {
            let help = "add a line tracker_server = HOST:22122 for each tracker";
            return Err(keys.missing("tracker_server", help));
        }
        Ok(trackers)
    }
}

impl FromStr for TrackerAddress {
    type Err = ParseTrackerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (hosts, port) = if let Some(rest) = text.strip_prefix('[') {
            let (hosts, rest) = rest.split_once(']').ok_or(ParseTrackerAddressError::Bracket)?;
            match (rest, rest.strip_prefix(':')) {
                ("", _) => (hosts, None),
                (_, Some(port)) => (hosts, Some(port)),
                _ => return Err(ParseTrackerAddressError::Host),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.rsplit_once(':').map_or((text, None), |(hosts, port)| (hosts, Some(port)))
        };
        let port = match port.map(str::trim) {
            None => Self::DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(ParseTrackerAddressError::Port),
            },
        };
        let hosts: Vec<_> = hosts.split(',').map(|host| host.trim().to_owned()).collect();
        let is_odd = |host: &String| {
            host.is_empty() || host.contains(char::is_whitespace) || host.contains(['[', ']', '/'])
        };
        if hosts.iter().any(is_odd) {
            return Err(ParseTrackerAddressError::Host);
        }
        if hosts.len() > 2 {
            return Err(ParseTrackerAddressError::TooMany);
        }
        Ok(Self { hosts, port })
    }
}

impl fmt::Display for TrackerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.join(",");
        if hosts.contains(':') {
            write!(f, "[{hosts}]:{}", self.port)
        } else {
            write!(f, "{hosts}:{}", self.port)
        }
    }
}

/// Why a text is not a [`TrackerAddress`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseTrackerAddressError {
    /// A `[` has no `]`.
    #[error("the closing ] is missing")]
    Bracket,
    /// A host is empty or has a character that no host has.
    #[error("HOST:PORT is needed, for example 192.168.0.2:22122")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port behind the : must be 1 to 65535; the usual one is 22122")]
    Port,
    /// One tracker has more than two addresses.
    #[error("a tracker has at most two addresses; give each tracker its own line")]
    TooMany,
}

/// What the original refuses as address of a storage's tracker.
const LOOPBACK: &[&str] = &["127.0.0.1", "::1", "fe80::1"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for (text, hosts, port, shown) in [
            ("192.168.0.2:22122", &["192.168.0.2"][..], 22122, "192.168.0.2:22122"),
            ("tracker.example", &["tracker.example"], 22122, "tracker.example:22122"),
            ("10.0.0.1, 1.2.3.4:80", &["10.0.0.1", "1.2.3.4"], 80, "10.0.0.1,1.2.3.4:80"),
            ("[fd00::1]:1", &["fd00::1"], 1, "[fd00::1]:1"),
            ("fd00::1", &["fd00::1"], 22122, "[fd00::1]:22122"),
            ("[10.0.0.1,fd00::1]:5", &["10.0.0.1", "fd00::1"], 5, "[10.0.0.1,fd00::1]:5"),
        ] {
            let address: TrackerAddress = text.parse().expect(text);
            assert_eq!(
                (&address.hosts[..], address.port),
                (&hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()[..], port)
            );
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn other_texts_say_what_is_wrong() {
        use ParseTrackerAddressError as Error;
        for (text, error) in [
            ("", Error::Host),
            (":22122", Error::Host),
            ("a b:1", Error::Host),
            ("a:0", Error::Port),
            ("a:65536", Error::Port),
            ("a:", Error::Port),
            ("[::1", Error::Bracket),
            ("[::1]5", Error::Host),
            ("a,b,c:1", Error::TooMany),
        ] {
            assert_eq!(text.parse::<TrackerAddress>(), Err(error), "{text}");
        }
    }
}
