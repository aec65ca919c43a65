//! Loading everything a former run has left. What makes no sense is left out with a warning; only an
//! unreadable disk stops the start.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use fdfs_conf::StoreServer;
use fdfs_rules::{Addresses, Cluster, DataFile, Group, Settings, StorageIds};
use fdfs_types::{GroupName, StorageId, Timestamp};
use tracing::{info, warn};

use super::reading::Ini;
use super::storages_file::StorageRow;
use super::{Disk, groups_file, name_of, old_formats, storages_file, sync_timestamps_file};

/// What a former run has left.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The groups with their members.
    pub(crate) groups: Vec<Group>,
    /// The files were in an old format: they have to be written anew, then the old ones go.
    pub(crate) was_old: bool,
}

const OLD_GROUPS: &str = "storage_groups.dat";
const OLD_STORAGES: &str = "storage_servers.dat";

impl Disk {
    /// Reads the data files.
    pub(crate) fn load(&self, settings: &Settings) -> io::Result<Loaded> {
        load(&self.data, self.changelog_length(), settings)
    }

    /// Removes the files in old formats.
    pub(crate) fn remove_old(&self) -> io::Result<()> {
        for name in [OLD_GROUPS, OLD_STORAGES] {
            match fs::remove_file(self.data.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads the data files of a directory.
pub(super) fn load(data: &Path, changelog_length: u64, settings: &Settings) -> io::Result<Loaded> {
    let (groups_name, storages_name) = (name_of(DataFile::Groups), name_of(DataFile::Storages));
    let ini = |name: &str| -> io::Result<Option<Ini>> {
        let path = data.join(name);
        Ok(read(&path)?.and_then(|bytes| Ini::parse(&path, &bytes)))
    };
    let text = |name: &str| -> io::Result<Option<String>> {
        let bytes = read(&data.join(name))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let (groups, mut was_old) = match (ini(groups_name)?, text(OLD_GROUPS)?) {
        (Some(ini), _) => (groups_file::parse(&ini), false),
        (None, Some(old)) => (old_formats::parse_groups(&old), true),
        (None, None) => return Ok(Loaded::default()),
    };
    let rows = match (ini(storages_name)?, text(OLD_STORAGES)?) {
        (Some(ini), _) => storages_file::parse(&ini),
        (None, Some(old)) => {
            was_old = true;
            old_formats::parse_storages(&old, changelog_length)
        }
        (None, None) => {
            warn!("there is a groups file but no storages file; groups start without members");
            Vec::new()
        }
    };
    let times = text(name_of(DataFile::SyncTimestamps))?.unwrap_or_default();
    let times = sync_timestamps_file::parse(&times);
    let groups = assemble(groups, rows, &times, settings);
    let members: usize = groups.iter().map(|group| group.storages().len()).sum();
    info!(groups = groups.len(), storages = members, "data files loaded");
    Ok(Loaded { groups, was_old })
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn assemble(
    mut groups: Vec<Group>,
    rows: Vec<StorageRow>,
    times: &[sync_timestamps_file::Row],
    settings: &Settings,
) -> Vec<Group> {
    let mut names = Names { ids: settings.ids.as_ref(), known: HashMap::new() };
    let mut sources: Vec<(GroupName, StorageId, String)> = Vec::new();
    // Who stands in which column; nobody where a row was left out.
    let mut columns: HashMap<GroupName, Vec<Option<StorageId>>> = HashMap::new();
    for row in rows {
        let columns = columns.entry(row.group).or_default();
        let Some(group) = groups.iter_mut().find(|group| group.name == row.group) else {
            warn!(group = %row.group, storage_id = %row.storage.id, "storage of an unknown group is left out");
            columns.push(None);
            continue;
        };
        let Some(id) = names.take(&row) else {
            warn!(group = %row.group, ip = %row.storage.joined_from, "storage without an id in storage_ids.conf is left out");
            columns.push(None);
            continue;
        };
        if group.get(&id).is_some() {
            warn!(group = %row.group, storage_id = %id, "storage that stands there twice is left out");
            columns.push(None);
            continue;
        }
        let mut storage = row.storage;
        storage.id = id;
        if let Some(entry) = names.ids.and_then(|ids| ids.get(&id)) {
            (storage.addresses, storage.rw) = (entry.addresses, entry.rw);
        } else {
            storage.addresses = Addresses::one(storage.joined_from);
        }
        if let Some(source) = row.sync_source {
            sources.push((row.group, id, source));
        }
        columns.push(Some(id));
        group.insert(storage);
    }
    for (name, id, source) in sources {
        let source_id = names.find(&name, &source);
        let Some(group) = groups.iter_mut().find(|group| group.name == name) else { continue };
        let source_id = source_id.filter(|id| group.get(id).is_some());
        if source_id.is_none() {
            warn!(group = %name, storage_id = %id, source, "unknown sync source is forgotten");
        }
        group.update(&id, |storage| {
            storage.sync_source = source_id;
            if source_id.is_none() {
                storage.sync_until = Timestamp::ZERO;
            }
        });
    }
    apply_times(&mut groups, times, &columns, &names, settings);
    for group in &mut groups {
        check_trunk_server(group, &names);
    }
    groups
}

fn apply_times(
    groups: &mut [Group],
    times: &[sync_timestamps_file::Row],
    columns: &HashMap<GroupName, Vec<Option<StorageId>>>,
    names: &Names<'_>,
    settings: &Settings,
) {
    for (name, source, times) in times {
        let (source_id, columns) = (names.find(name, source), columns.get(name));
        let group = groups.iter_mut().find(|group| group.name == *name);
        let (Some(source_id), Some(columns), Some(group)) = (source_id, columns, group) else {
            warn!(group = %name, source, "sync timestamps of an unknown source are left out");
            continue;
        };
        if times.len() > columns.len() {
            warn!(group = %name, source, "more sync timestamps than storages; the rest is left out");
        }
        for (time, destination) in times.iter().zip(columns) {
            let Some(destination) = destination.filter(|id| *time > Timestamp::ZERO && *id != source_id)
            else {
                continue;
            };
            group.update(&destination, |storage| storage.applied.insert(source_id, *time));
        }
    }
    let take_least = settings.store_server() == StoreServer::RoundRobin;
    for group in groups {
        let ids: Vec<_> = group.storages().map(|storage| storage.id).collect();
        for id in ids {
            group.update(&id, |storage| {
                let applied = storage.applied.values().copied();
                let synced = if take_least { applied.min() } else { applied.max() };
                storage.last_synced = synced.unwrap_or(storage.last_synced);
            });
        }
    }
}

fn check_trunk_server(group: &mut Group, names: &Names<'_>) {
    let find = |id: Option<StorageId>| id.and_then(|id| names.find(&group.name, id.as_str()));
    let (server, last) = (find(group.trunk.server), find(group.trunk.last_server));
    let writable = |id: &StorageId| group.get(id).is_some_and(|storage| storage.rw.is_writable());
    let kept = server.filter(writable);
    if group.trunk.server.is_some() && kept.is_none() {
        warn!(group = %group.name, "trunk server that cannot be one is forgotten");
    }
    group.trunk.server = kept;
    group.trunk.last_server = last;
}

/// The ids that storages have now, by the names that the files use for them.
struct Names<'a> {
    ids: Option<&'a StorageIds>,
    known: HashMap<(GroupName, String), StorageId>,
}

impl Names<'_> {
    /// The id that a storage of the file has now; `None` if the table has none for it.
    fn take(&mut self, row: &StorageRow) -> Option<StorageId> {
        let ip = row.storage.joined_from;
        let by_ip = Cluster::id_of_ip(ip);
        let id = match self.ids {
            None => by_ip,
            Some(ids) => row.id.filter(|id| ids.get(id).is_some()).or_else(|| {
                let entry = ids.find(&row.group, ip, row.storage.port);
                entry.or_else(|| ids.find_by_ip(&row.group, ip)).map(|entry| entry.id)
            })?,
        };
        for name in [row.id.map(|id| id.to_string()), Some(by_ip.to_string())].into_iter().flatten() {
            self.known.insert((row.group, name), id);
        }
        Some(id)
    }

    /// The present id behind a name in the files.
    fn find(&self, group: &GroupName, name: &str) -> Option<StorageId> {
        let known = self.known.get(&(*group, name.to_owned())).copied();
        known.or_else(|| match (self.ids, name.parse::<IpAddr>()) {
            (Some(ids), Ok(ip)) => ids.find_by_ip(group, ip).map(|entry| entry.id),
            (None, Ok(ip)) => Some(Cluster::id_of_ip(ip)),
            _ => name.parse().ok(),
        })
    }
}
