//! `storage_ids.conf`: the number, group and addresses of every storage.
//!
//! ```text
//! # id     group    address[:port]            mode
//! 100001   group1   192.168.0.2:23000
//! 100002   group1   10.0.0.3,203.0.113.3      rw=read
//! 100003   group2   [fd00::2]:23000
//! ```

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use fdfs_types::{GroupName, RwMode, ServerId, StorageId};

use crate::{AddressKind, ConfError, Place};

/// The list of storages, in the order of the file.
#[derive(Clone, Debug)]
pub struct StorageIds {
    entries: Vec<StorageIdEntry>,
}

/// One storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageIdEntry {
    /// Its number.
    pub id: ServerId,
    /// Its group.
    pub group: GroupName,
    /// Its address, or the inner and the outer one.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: u16,
    /// What it may be used for.
    pub rw_mode: RwMode,
    /// The line.
    pub place: Place,
}

impl StorageIds {
    /// Reads the text of the file at `path`; `resolve` finds the address of a host name.
    ///
    /// # Errors
    ///
    /// A line cannot be understood, a name cannot be resolved, an id or address occurs twice, or there is
    /// no entry at all.
    pub fn parse(
        path: &Path,
        text: &[u8],
        resolve: &mut dyn FnMut(&str) -> io::Result<IpAddr>,
    ) -> Result<Self, ConfError> {
        let file: Arc<Path> = path.into();
        let mut entries: Vec<StorageIdEntry> = Vec::new();
        let (mut ids, mut addresses) = (HashMap::new(), HashMap::new());
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let place = Place { file: Arc::clone(&file), line: line_number };
            let Ok(line) = std::str::from_utf8(line) else {
                return Err(ConfError::NotText { place });
            };
            let entry = StorageIdEntry::parse(line, place, resolve)?;
            claim(&mut ids, entry.id, &entry, || format!("the id {}", entry.id.get()))?;
            for address in &entry.addresses {
                let what = || format!("the address {address} with port {}", entry.port);
                claim(&mut addresses, (*address, entry.port), &entry, what)?;
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            let help = "add a line ID GROUP ADDRESS:PORT for each storage";
            return Err(ConfError::Empty { file: path.to_owned(), help });
        }
        Ok(Self { entries })
    }

    /// Every storage, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[StorageIdEntry] {
        &self.entries
    }

    /// Whether any storage has an IPv6 address.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.entries.iter().flat_map(|entry| &entry.addresses).any(IpAddr::is_ipv6)
    }
}

impl StorageIdEntry {
    /// The number as the name of the storage.
    #[must_use]
    pub fn storage_id(&self) -> StorageId {
        self.id.into()
    }

    fn parse(
        line: &str,
        place: Place,
        resolve: &mut dyn FnMut(&str) -> io::Result<IpAddr>,
    ) -> Result<Self, ConfError> {
        let wrong = |help: String| ConfError::InvalidLine { place: place.clone(), help };
        let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        let (Some(id), Some(group), Some(host)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(wrong("ID GROUP ADDRESS:PORT is needed".to_owned()));
        };
        let id = server_id(id).ok_or_else(|| {
            wrong(format!("{id:?} is no id: use a number from 1 to 16777215 without leading zeros"))
        })?;
        let group = group.parse().map_err(|error| wrong(format!("{group:?}: {error}")))?;
        let (hosts, port) = split_port(host)
            .ok_or_else(|| wrong(format!("{host:?} is no address: use A:PORT, A,B:PORT or [V6]:PORT")))?;
        let addresses = addresses(hosts, resolve).map_err(wrong)?;
        let rw_mode = match fields.next() {
            None => RwMode::Both,
            Some(field) => rw_mode(field)
                .ok_or_else(|| wrong(format!("{field:?}: use rw=both, rw=read, rw=write or rw=none")))?,
        };
        if let Some(rest) = fields.next() {
            return Err(wrong(format!("{rest:?} is too much: nothing follows the rw mode")));
        }
        Ok(Self { id, group, addresses, port, rw_mode, place })
    }
}

fn server_id(text: &str) -> Option<ServerId> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| canonical).and_then(ServerId::new)
}

/// The hosts of `a`, `a:port`, `a,b:port`, `[v6]:port`, and the port.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let (hosts, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (hosts, rest) = rest.split_once(']')?;
            (hosts, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(hosts, port)| (hosts, Some(port))),
    };
    match port {
        None => Some((hosts, DEFAULT_PORT)),
        Some(port) => Some((hosts, port.parse().ok().filter(|port| *port > 0)?)),
    }
}

/// One address, or an inner and an outer one, in this order.
fn addresses(
    hosts: &str,
    resolve: &mut dyn FnMut(&str) -> io::Result<IpAddr>,
) -> Result<Vec<IpAddr>, String> {
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        if host.is_empty() || addresses.len() == 2 {
            return Err(format!("{hosts:?}: one address, or two separated by a comma, are needed"));
        }
        let address = host.parse().or_else(|_| resolve(host));
        addresses.push(address.map_err(|error| format!("{host:?} cannot be resolved: {error}"))?);
    }
    if let [first, second] = addresses[..] {
        let (first, second) = (AddressKind::of(first), AddressKind::of(second));
        if first == second {
            return Err(format!("{hosts:?}: two addresses must be of different networks, inner and outer"));
        }
        if first == AddressKind::Outer {
            addresses.swap(0, 1);
        }
    }
    Ok(addresses)
}

fn rw_mode(field: &str) -> Option<RwMode> {
    let (key, value) = field.split_once('=')?;
    value.parse().ok().filter(|_| key.eq_ignore_ascii_case("rw"))
}

/// Takes what only one line may have.
fn claim<T: Eq + std::hash::Hash>(
    taken: &mut HashMap<T, Place>,
    key: T,
    entry: &StorageIdEntry,
    what: impl FnOnce() -> String,
) -> Result<(), ConfError> {
    match taken.insert(key, entry.place.clone()) {
        None => Ok(()),
        Some(first) => Err(ConfError::Duplicate { place: entry.place.clone(), what: what(), first }),
    }
}

/// The port of a storage when its line has none.
const DEFAULT_PORT: u16 = 23000;

#[cfg(test)]
mod tests;
