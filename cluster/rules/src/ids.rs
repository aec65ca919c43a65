//! The table of storage ids, `storage_ids.conf`.
//!
//! ```text
//! # id   group   host[:port]                  [rw=both|read|write|none]
//! 100001 group1  192.168.0.4:23000
//! 100002 group1  [192.168.0.5,fd00::5]:23000  rw=read
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use fdfs_types::{GroupName, RwMode, ServerId, StorageId};
use thiserror::Error;

use crate::Addresses;

/// One line of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageIdEntry {
    /// The id.
    pub id: StorageId,
    /// The group it belongs to.
    pub group: GroupName,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its port.
    pub port: u16,
    /// What clients may use it for.
    pub rw: RwMode,
}

/// The table of storage ids, in the order of the text of the ids.
#[derive(Clone, Debug, Default)]
pub struct StorageIds {
    entries: BTreeMap<StorageId, StorageIdEntry>,
}

/// What is wrong with a line of the table.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum StorageIdsError {
    /// A field does not have the form it should have.
    #[error("line {line}: {what}")]
    Malformed {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// An id, or an address with its port, stands there twice.
    #[error("line {line}: {what} stands there before")]
    Duplicate {
        /// Number of the line, from 1.
        line: usize,
        /// The id or address.
        what: String,
    },
    /// There is no line.
    #[error("no storage id in the file")]
    Empty,
}

impl StorageIds {
    /// The port of a line without one.
    pub const DEFAULT_PORT: u16 = 23000;

    /// Reads the table. `resolve` gives the address of a host name.
    pub fn parse(text: &str, resolve: impl Fn(&str) -> Option<IpAddr>) -> Result<Self, StorageIdsError> {
        let mut table = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = number + 1;
            let entry = parse_line(line, &resolve)
                .map_err(|what| StorageIdsError::Malformed { line: number, what })?;
            table.insert(entry).map_err(|what| StorageIdsError::Duplicate { line: number, what })?;
        }
        if table.entries.is_empty() { Err(StorageIdsError::Empty) } else { Ok(table) }
    }

    /// Adds an entry, or says what of it is in the table before.
    fn insert(&mut self, entry: StorageIdEntry) -> Result<(), String> {
        if self.entries.contains_key(&entry.id) {
            return Err(format!("id {}", entry.id));
        }
        for ip in entry.addresses.iter() {
            if self.iter().any(|other| other.port == entry.port && other.addresses.contains(ip)) {
                return Err(format!("address {}", crate::host_text(ip, entry.port)));
            }
        }
        self.entries.insert(entry.id, entry);
        Ok(())
    }

    /// The entry of an id.
    pub fn get(&self, id: &StorageId) -> Option<&StorageIdEntry> {
        self.entries.get(id)
    }

    /// The entry of a server by its group, one of its addresses and its port.
    pub fn find(&self, group: &GroupName, ip: IpAddr, port: u16) -> Option<&StorageIdEntry> {
        self.iter().find(|entry| entry.group == *group && entry.port == port && entry.addresses.contains(ip))
    }

    /// The entry of a server by its group and one of its addresses, where the port does not matter.
    pub fn find_by_ip(&self, group: &GroupName, ip: IpAddr) -> Option<&StorageIdEntry> {
        self.iter().find(|entry| entry.group == *group && entry.addresses.contains(ip))
    }

    /// The group of the server with this address and port.
    pub fn group_of(&self, ip: IpAddr, port: u16) -> Option<GroupName> {
        let entry = self.iter().find(|entry| entry.port == port && entry.addresses.contains(ip))?;
        Some(entry.group)
    }

    /// Whether any server of the table has this address.
    pub fn contains_ip(&self, ip: IpAddr) -> bool {
        self.iter().any(|entry| entry.addresses.contains(ip))
    }

    /// Whether any server of the table has an IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        self.iter().any(|entry| entry.addresses.iter().any(|ip| ip.is_ipv6()))
    }

    /// All entries in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &StorageIdEntry> {
        self.entries.values()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lines from entry `start` on as far as they fit into `room` bytes, and how many they are.
    pub fn lines(&self, start: usize, room: usize) -> (usize, String) {
        let mut text = String::new();
        let mut count = 0;
        for entry in self.iter().skip(start) {
            let before = text.len();
            entry.write_line(&mut text);
            if text.len() > room {
                text.truncate(before);
                break;
            }
            count += 1;
        }
        (count, text)
    }
}

impl StorageIdEntry {
    fn write_line(&self, text: &mut String) {
        let Self { id, group, addresses, port, rw } = self;
        let hosts = addresses.with_port(*port);
        let written = match rw {
            RwMode::Both => writeln!(text, "{id} {group} {hosts}"),
            rw => writeln!(text, "{id} {group} {hosts} rw={}", rw.name()),
        };
        written.expect("a String takes everything");
    }
}

fn parse_line(line: &str, resolve: &impl Fn(&str) -> Option<IpAddr>) -> Result<StorageIdEntry, String> {
    let mut fields = line.split_ascii_whitespace();
    let (Some(id), Some(group), Some(host)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("an id, a group and a host are needed".into());
    };
    let rw = fields.next().map_or(Ok(RwMode::Both), parse_rw)?;
    if let Some(more) = fields.next() {
        return Err(format!("unexpected {more:?}"));
    }
    let number = id.parse().ok().and_then(ServerId::new).filter(|n| n.get().to_string() == id);
    let id = number.ok_or_else(|| format!("id {id:?} is not a number from 1 to {}", ServerId::MAX))?;
    let group = group.parse().map_err(|error| format!("{error}"))?;
    let (addresses, port) = parse_host(host, resolve)?;
    Ok(StorageIdEntry { id: id.into(), group, addresses, port, rw })
}

fn parse_rw(text: &str) -> Result<RwMode, String> {
    let value = match text.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case("rw") => value,
        _ => return Err(format!("unexpected {text:?}")),
    };
    value.parse().map_err(|_| format!("unknown rw mode {value:?}"))
}

fn parse_host(host: &str, resolve: &impl Fn(&str) -> Option<IpAddr>) -> Result<(Addresses, u16), String> {
    let (names, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (names, rest) = rest.split_once(']').ok_or("']' is missing")?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or("':' must follow ']'")?),
            };
            (names, port)
        }
        None => host.split_once(':').map_or((host, None), |(names, port)| (names, Some(port))),
    };
    let port = match port {
        None => StorageIds::DEFAULT_PORT,
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("{text:?} is not a port")),
        },
    };
    let address = |name: &str| {
        name.parse().ok().or_else(|| resolve(name)).ok_or_else(|| format!("host {name:?} is unknown"))
    };
    let addresses = match names.split_once(',') {
        None => Addresses::one(address(names)?),
        Some((a, b)) => Addresses::two(address(a)?, address(b)?)
            .map_err(|_| "two addresses of one server must be of different networks")?,
    };
    Ok((addresses, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StorageIds, StorageIdsError> {
        StorageIds::parse(text, |name| (name == "storage-a").then(|| [10, 0, 0, 9].into()))
    }

    #[test]
    fn the_table_of_the_original_is_read_and_listed() {
        let text = include_str!("../../../tests/vectors/disk/tracker/03-id-mode-trunk/storage_ids.conf");
        let table = parse(text).expect("a good file");
        assert_eq!(table.len(), 5);
        let (count, lines) = table.lines(3, 4000);
        assert_eq!(count, 2);
        assert_eq!(lines, "100004 group2 127.0.0.4:23302\n100005 group1 127.0.0.7:23301 rw=none\n");
    }

    #[test]
    fn a_listing_stops_before_the_line_that_does_not_fit() {
        let table = parse("1 g 10.0.0.1\n2 g 10.0.0.2\n").expect("a good file");
        assert_eq!(table.lines(0, 30), (1, "1 g 10.0.0.1:23000\n".into()));
        assert_eq!(table.lines(0, 5), (0, String::new()));
    }

    #[test]
    fn hosts_are_names_pairs_and_brackets() {
        let table = parse("1 g storage-a\n2 g 8.8.8.8,10.0.0.2:1\n3 g [10.0.0.3,fd00::3]:7 RW=ReadOnly")
            .expect("a good file");
        let (_, lines) = table.lines(0, 4000);
        assert_eq!(lines, "1 g 10.0.0.9:23000\n2 g 10.0.0.2,8.8.8.8:1\n3 g [10.0.0.3,fd00::3]:7 rw=read\n");
        assert!(table.has_ipv6());
    }

    #[test]
    fn short_addresses_are_accepted() {
        assert!(parse("1 g [::2]:5\n2 g 1.1.1.1").is_ok());
    }

    #[test]
    fn ids_sort_as_text() {
        let table = parse("2 g 10.0.0.2\n10 g 10.0.0.1").expect("a good file");
        let ids: Vec<_> = table.iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["10", "2"]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for bad in [
            "01 g h",
            "0 g 10.0.0.1",
            "16777216 g 10.0.0.1",
            "1 g-x 10.0.0.1",
            "1 g nowhere",
            "1 g 10.0.0.1:0",
            "1 g [fd00::1",
            "1 g 10.0.0.1 rw=some",
            "1 g 10.0.0.1 rw=read x",
            "1 g",
            "1 g 10.0.0.1,10.0.0.2",
        ] {
            assert!(
                matches!(parse(&format!("# first\n{bad}")), Err(StorageIdsError::Malformed { line: 2, .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn nothing_stands_there_twice() {
        for bad in ["1 g 10.0.0.1\n1 g 10.0.0.2", "1 g 10.0.0.1\n2 h 10.0.0.1:23000"] {
            assert!(matches!(parse(bad), Err(StorageIdsError::Duplicate { line: 2, .. })), "{bad}");
        }
        assert!(matches!(parse("# nothing\n\n"), Err(StorageIdsError::Empty)));
        assert!(parse("1 g 10.0.0.1\n2 h 10.0.0.1:7").is_ok());
    }
}
