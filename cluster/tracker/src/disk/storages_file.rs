//! `storage_servers_new.dat`.
//!
//! Removed and moved storages are not in it: a tracker that starts anew has forgotten them.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use fdfs_proto::{Counter, StorageStat};
use fdfs_rules::{Addresses, Claim, Cluster, Space, Storage};
use fdfs_types::{GroupName, RwMode, StorageId, StorageStatus, Timestamp};
use tracing::warn;

use super::reading::Ini;

pub(super) fn render(cluster: &Cluster) -> String {
    let with_ids = cluster.settings().ids.is_some();
    let mut text = String::new();
    let mut count = 0;
    for group in cluster.groups() {
        for storage in group.in_order_of_creation().iter().filter(|storage| storage.is_member()) {
            count += 1;
            write_storage(&mut text, count, &group.name, storage, with_ids)
                .expect("a String takes everything");
        }
    }
    write!(text, "\n[Global]\n\tstorage_count={count}\n").expect("a String takes everything");
    text
}

fn write_storage(
    text: &mut String,
    number: usize,
    group: &GroupName,
    storage: &Storage,
    with_ids: bool,
) -> std::fmt::Result {
    let address = SocketAddr::new(storage.joined_from, storage.port);
    write!(text, "# storage: {address}\n[Storage{number:03}]\n")?;
    let mut item = |key: &str, value: &dyn std::fmt::Display| writeln!(text, "\t{key}={value}");
    if with_ids {
        item("id", &storage.id)?;
    }
    item("group_name", group)?;
    item("ip_addr", &storage.joined_from)?;
    item("status", &storage.status.to_wire())?;
    item("version", &storage.version)?;
    item("join_time", &storage.join_time)?;
    item("storage_port", &storage.port)?;
    item("sync_src_server", &storage.sync_source.as_ref().map_or("", StorageId::as_str))?;
    item("sync_until_timestamp", &storage.sync_until)?;
    item("total_mb", &storage.space.total_mb)?;
    item("free_mb", &storage.space.free_mb)?;
    item("changelog_offset", &storage.changelog_offset)?;
    item("store_path_count", &storage.path_count)?;
    item("subdir_count_per_path", &storage.subdir_count)?;
    item("upload_priority", &storage.upload_priority)?;
    for (name, counter) in counters(&mut storage.stat.clone()) {
        item(&format!("total_{name}"), &counter.total)?;
        item(&format!("success_{name}"), &counter.success)?;
    }
    item("last_source_update", &storage.stat.last_source_update)?;
    item("last_sync_update", &storage.stat.last_sync_update)?;
    item("last_synced_timestamp", &storage.last_synced)?;
    item("last_heart_beat_time", &storage.last_heartbeat)?;
    text.push('\n');
    Ok(())
}

/// The counters that are kept, in the order of the file. Those of overwriting and of changes of size
/// are not.
fn counters(stat: &mut StorageStat) -> [(&'static str, &mut Counter); 16] {
    [
        ("upload_count", &mut stat.upload),
        ("append_count", &mut stat.append),
        ("set_meta_count", &mut stat.set_metadata),
        ("delete_count", &mut stat.delete),
        ("download_count", &mut stat.download),
        ("get_meta_count", &mut stat.get_metadata),
        ("create_link_count", &mut stat.create_link),
        ("delete_link_count", &mut stat.delete_link),
        ("upload_bytes", &mut stat.upload_bytes),
        ("append_bytes", &mut stat.append_bytes),
        ("download_bytes", &mut stat.download_bytes),
        ("sync_in_bytes", &mut stat.sync_in_bytes),
        ("sync_out_bytes", &mut stat.sync_out_bytes),
        ("file_open_count", &mut stat.file_open),
        ("file_read_count", &mut stat.file_read),
        ("file_write_count", &mut stat.file_write),
    ]
}

/// A storage as the file has it: its id may be missing, its source an address.
#[derive(Debug)]
pub(super) struct StorageRow {
    pub(super) group: GroupName,
    pub(super) id: Option<StorageId>,
    pub(super) sync_source: Option<String>,
    pub(super) storage: Storage,
}

/// The storages of a file, in its order.
pub(super) fn parse(ini: &Ini) -> Vec<StorageRow> {
    let sections = ini.numbered("Storage");
    let announced = ini.integer("Global", "storage_count");
    if announced != sections.len() as i64 {
        warn!(announced, found = sections.len(), "storages file is damaged; what is there is used");
    }
    sections.into_iter().filter_map(|section| parse_storage(ini, section)).collect()
}

fn parse_storage(ini: &Ini, section: &str) -> Option<StorageRow> {
    let (group, ip) = (ini.word::<GroupName>(section, "group_name"), ini.word::<IpAddr>(section, "ip_addr"));
    let (Some(group), Some(ip)) = (group, ip) else {
        warn!(section, "storage without group or address in the storages file is left out");
        return None;
    };
    let id = ini.word::<StorageId>(section, "id");
    let name = id.unwrap_or_else(|| Cluster::id_of_ip(ip));
    let mut storage = Storage::new(name, Addresses::one(ip), ip, RwMode::Both);
    let time = |key| Timestamp(ini.integer(section, key));
    storage.status = match StorageStatus::from_wire(ini.number(section, "status")) {
        Some(status @ (StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing)) => status,
        _ => StorageStatus::Offline,
    };
    storage.version = ini.text(section, "version").to_owned();
    storage.join_time = time("join_time");
    storage.port = ini.number(section, "storage_port");
    storage.sync_until = time("sync_until_timestamp");
    storage.space =
        Space { total_mb: ini.number(section, "total_mb"), free_mb: ini.number(section, "free_mb") };
    storage.changelog_offset = ini.number(section, "changelog_offset");
    storage.path_count = ini.number(section, "store_path_count");
    storage.subdir_count = ini.number(section, "subdir_count_per_path");
    storage.upload_priority = ini.number(section, "upload_priority");
    storage.claim =
        Claim { port: storage.port, path_count: storage.path_count, subdir_count: storage.subdir_count };
    for (name, counter) in counters(&mut storage.stat) {
        counter.total = ini.number(section, &format!("total_{name}"));
        counter.success = ini.number(section, &format!("success_{name}"));
    }
    storage.stat.last_source_update = time("last_source_update");
    storage.stat.last_sync_update = time("last_sync_update");
    storage.last_synced = time("last_synced_timestamp");
    storage.last_heartbeat = time("last_heart_beat_time");
    let source = ini.text(section, "sync_src_server");
    let sync_source = (!source.is_empty()).then(|| source.to_owned());
    Some(StorageRow { group, id, sync_source, storage })
}
