//! Files of the first versions, in lines of fields with commas. They are read once, rewritten in the
//! present formats, and removed.

use std::net::IpAddr;

use fdfs_rules::{Addresses, Claim, Cluster, Group, GroupPort, Storage};
use fdfs_types::{GroupName, RwMode, StorageStatus, Timestamp};
use tracing::warn;

use super::storages_file::StorageRow;

/// `name,port[,path count,sub-directories]`.
pub(super) fn parse_groups(text: &str) -> Vec<Group> {
    lines(text).filter_map(|fields| named(parse_group(&fields), "group", &fields)).collect()
}

/// 17 fields and more: group, ip, status, sync source, until, pairs of counters, times, ...
pub(super) fn parse_storages(text: &str, changelog_length: u64) -> Vec<StorageRow> {
    let storage = |fields: Vec<&str>| named(parse_storage(&fields, changelog_length), "storage", &fields);
    lines(text).filter_map(storage).collect()
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let filled = text.lines().filter(|line| !line.trim().is_empty());
    filled.map(|line| line.split(',').map(str::trim).collect())
}

fn named<T>(parsed: Option<T>, what: &str, fields: &[&str]) -> Option<T> {
    if parsed.is_none() {
        warn!(what, line = fields.join(","), "line of an old data file that makes no sense is left out");
    }
    parsed
}

fn parse_group(fields: &[&str]) -> Option<Group> {
    let [name, port, rest @ ..] = fields else { return None };
    let mut group = Group::new(name.parse().ok()?);
    group.port = GroupPort::from_number(port.parse().ok()?);
    match rest {
        [] => {}
        [paths, subdirs] => {
            group.path_count = paths.parse().ok()?;
            group.subdir_count = subdirs.parse().ok()?;
        }
        _ => return None,
    }
    Some(group)
}

fn parse_storage(fields: &[&str], changelog_length: u64) -> Option<StorageRow> {
    if !matches!(fields.len(), 17 | 18 | 20 | 22) {
        return None;
    }
    let group: GroupName = fields[0].parse().ok()?;
    let ip: IpAddr = fields[1].parse().ok()?;
    let mut storage = Storage::new(Cluster::id_of_ip(ip), Addresses::one(ip), ip, RwMode::Both);
    storage.status = match StorageStatus::from_wire(fields[2].parse().ok()?) {
        Some(status @ (StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing)) => status,
        _ => StorageStatus::Offline,
    };
    let sync_source = (!fields[3].is_empty()).then(|| fields[3].to_owned());
    storage.sync_until = Timestamp(fields[4].parse().ok()?);
    let stat = &mut storage.stat;
    let counters = [
        &mut stat.upload,
        &mut stat.set_metadata,
        &mut stat.delete,
        &mut stat.download,
        &mut stat.get_metadata,
    ];
    for (counter, pair) in counters.into_iter().zip(fields[5..15].chunks_exact(2)) {
        counter.total = pair[0].parse().ok()?;
        counter.success = pair[1].parse().ok()?;
    }
    stat.last_source_update = Timestamp(fields[15].parse().ok()?);
    stat.last_sync_update = Timestamp(fields[16].parse().ok()?);
    if let Some(offset) = fields.get(17) {
        storage.changelog_offset = offset.parse::<u64>().ok()?.min(changelog_length);
    }
    if let Some(port) = fields.get(18) {
        storage.port = port.parse().ok()?;
        storage.claim = Claim { port: storage.port, ..Claim::default() };
    }
    if let [join_time, version] = fields.get(20..).unwrap_or_default() {
        storage.join_time = Timestamp(join_time.parse().ok()?);
        storage.version = (*version).to_owned();
    }
    Some(StorageRow { group, id: None, sync_source, storage })
}
