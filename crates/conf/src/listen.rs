//! Where a daemon listens.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::ConfError;
use crate::keys::{Keys, invalid};

/// One port of the native protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// The addresses; none means all of the machine.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Listener {
    /// Reads `bind_addr`, `port` and their inner and outer forms; the inner listener comes first.
    pub(crate) fn read(keys: &mut Keys<'_>, default_port: u16) -> Result<Vec<Self>, ConfError> {
        let (inner, outer) = (addresses(keys, "inner_bind_addr")?, addresses(keys, "outer_bind_addr")?);
        let bind = match (inner.is_empty(), outer.is_empty()) {
            (true, true) => addresses(keys, "bind_addr")?,
            _ => [&inner[..], &outer[..]].concat(),
        };
        let port = keys.port("port", default_port)?;
        let inner_port = keys.port("inner_port", 0)?;
        let outer_port = keys.port("outer_port", 0)?;
        Ok(match (inner_port, outer_port) {
            (0, 0) => vec![Self { addresses: bind, port }],
            (0, port) | (port, 0) => vec![Self { addresses: bind, port }],
            (one, other) if one == other => vec![Self { addresses: bind, port: one }],
            (inner_port, outer_port) => vec![
                Self { addresses: if inner.is_empty() { bind.clone() } else { inner }, port: inner_port },
                Self { addresses: if outer.is_empty() { bind } else { outer }, port: outer_port },
            ],
        })
    }
}

/// The addresses of `key`, separated by commas; none if it is not given.
pub(crate) fn addresses(keys: &Keys<'_>, key: &str) -> Result<Vec<IpAddr>, ConfError> {
    let Some(entry) = keys.text(key) else { return Ok(Vec::new()) };
    let list = entry.value.split(',').map(str::trim).filter(|text| !text.is_empty());
    list.map(|text| text.trim_start_matches('[').trim_end_matches(']').parse())
        .collect::<Result<_, _>>()
        .map_err(|_| invalid(entry, "IP addresses separated by commas are needed, or nothing for all"))
}

/// Where a service of ours listens (metrics, HTTP).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceAddress {
    /// The address; none means where the native protocol listens.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Whether the file names it. A daemon that cannot bind what nobody asked for goes on without.
    pub is_explicit: bool,
}

impl ServiceAddress {
    /// Reads `key`: `off`, a port, an address, or both as `address:port`.
    pub(crate) fn read(keys: &Keys<'_>, key: &str, default: Self) -> Result<Option<Self>, ConfError> {
        let Some(entry) = keys.text(key) else { return Ok(Some(default)) };
        if entry.value.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let with = |address, port| Some(Self { address, port, is_explicit: true });
        if let Ok(port) = u16::from_str(&entry.value)
            && port > 0
        {
            return Ok(with(default.address, port));
        }
        if let Ok(address) = IpAddr::from_str(&entry.value) {
            return Ok(with(Some(address), default.port));
        }
        match SocketAddr::from_str(&entry.value) {
            Ok(socket) => Ok(with(Some(socket.ip()), socket.port())),
            Err(_) => {
                Err(invalid(entry, "off, a port, or address:port is needed, for example 127.0.0.1:8080"))
            }
        }
    }
}
