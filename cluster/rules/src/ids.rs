//! The table of storage ids: who has which id.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fdfs_types::{GroupName, RwMode, StorageId};

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

impl From<&fdfs_conf::StorageIds> for StorageIds {
    fn from(file: &fdfs_conf::StorageIds) -> Self {
        let one = |entry: &fdfs_conf::StorageIdEntry| {
            let id = entry.storage_id();
            let (group, port, rw) = (entry.group, entry.port, entry.rw_mode);
            let addresses = Addresses::of(&entry.addresses)?;
            Some((id, StorageIdEntry { id, group, addresses, port, rw }))
        };
        Self { entries: file.entries().iter().filter_map(one).collect() }
    }
}

impl StorageIds {
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
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    fn table(text: &str) -> StorageIds {
        let mut resolve = |_: &str| Err(io::ErrorKind::NotFound.into());
        let file = fdfs_conf::StorageIds::parse(Path::new("ids"), text.as_bytes(), &mut resolve);
        StorageIds::from(&file.expect("a good file"))
    }

    #[test]
    fn servers_are_found_by_group_address_and_port() {
        let text = include_str!("../../../tests/vectors/disk/tracker/03-id-mode-trunk/storage_ids.conf");
        let table = table(text);
        assert_eq!(table.len(), 5);
        let group = |name: &str| name.parse().expect("a name");
        let ip = IpAddr::from([127, 0, 0, 4]);
        let id = |name, port| table.find(&group(name), ip, port).map(|entry| entry.id.to_string());
        assert_eq!(id("group1", 23301).as_deref(), Some("100001"));
        assert_eq!(id("group2", 23302).as_deref(), Some("100004"));
        assert_eq!(id("group1", 23302), None);
        assert_eq!(table.group_of(ip, 23302), Some(group("group2")));
        assert_eq!(table.group_of(ip, 9), None);
    }

    #[test]
    fn ids_sort_as_text() {
        let table = table("2 g 10.0.0.2\n10 g 10.0.0.1");
        let ids: Vec<_> = table.iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["10", "2"]);
        assert!(!table.has_ipv6());
    }
}
