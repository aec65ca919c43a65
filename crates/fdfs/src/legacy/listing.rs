//! The listing of `fdfs_monitor`: scripts read it line by line.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write as _};

use fdfs_client::Group;
use fdfs_proto::Counter;
use fdfs_proto::tracker::{GroupRecord, StorageRecord};
use fdfs_types::{RwMode, StorageStatus, Timestamp};

use crate::tools::words::local_time;

/// Groups and their storages as the original shows them.
pub struct Listing<'a> {
    groups: &'a [Group],
    /// Whether the groups are counted.
    is_counted: bool,
}

/// One storage among the others of its group.
struct Member<'a> {
    storage: &'a StorageRecord,
    others: &'a [StorageRecord],
}

/// Space as the original shows it: four places, with one decimal below 10.
struct Space(u64);

impl<'a> Listing<'a> {
    pub fn new(groups: &'a [Group], is_counted: bool) -> Self {
        Self { groups, is_counted }
    }

    pub fn print(&self) {
        let _ = write!(io::stdout(), "{self}"); // nobody may want to read it
    }
}

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_counted {
            writeln!(f, "group count: {}", self.groups.len())?;
        }
        for (index, group) in self.groups.iter().enumerate() {
            if self.is_counted {
                writeln!(f, "\nGroup {}:", index + 1)?;
            }
            write_group(f, group)?;
        }
        Ok(())
    }
}

fn write_group(f: &mut Formatter<'_>, Group { record, storages }: &Group) -> fmt::Result {
    let GroupRecord { group, total_mb, free_mb, reserved_mb, .. } = record;
    writeln!(f, "group name = {group}")?;
    for line in space_lines(*total_mb, *free_mb, *reserved_mb) {
        writeln!(f, "{line}")?;
    }
    if record.trunk_file_id.is_some() {
        writeln!(f, "trunk free space = {}", Space(record.trunk_free_mb))?;
    }
    writeln!(f, "storage server count = {}", record.storage_count)?;
    writeln!(f, "readable server count = {}", record.readable_count)?;
    writeln!(f, "writable server count = {}", record.writable_count)?;
    writeln!(f, "storage server port = {}", record.port.map_or(-1, i64::from))?;
    writeln!(f, "store path count = {}", record.store_path_count)?;
    writeln!(f, "subdir count per path = {}", record.subdir_count)?;
    writeln!(f, "current write server index = {}", record.write_server)?;
    if let Some(trunk_file_id) = record.trunk_file_id
        && let Some(server) = storages.iter().find(|storage| storage.is_trunk_server)
    {
        let ip = server.ip.map_or_else(String::new, |ip| ip.to_string());
        writeln!(f, "current trunk server = {} ({ip})", server.id)?;
        writeln!(f, "current trunk file id = {trunk_file_id}")?;
    }
    writeln!(f)?;
    for (index, storage) in storages.iter().enumerate() {
        writeln!(f, "\tStorage {}:", index + 1)?;
        write!(f, "{}", Member { storage, others: storages })?;
    }
    Ok(())
}

impl Display for Member<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let storage = self.storage;
        let stat = &storage.stat;
        let host = Group::address(storage).map_or_else(String::new, |address| address.to_string());
        let status = match storage.status {
            StorageStatus::None => "UNKNOWN",
            status => status.name(),
        };
        let rw_mode = match storage.rw_mode {
            RwMode::None => "none (disabled)",
            RwMode::Read => "readonly",
            RwMode::Write => "writeonly",
            RwMode::Both => "both (normal)",
        };
        let source = storage.sync_source.as_ref().map_or("", |id| id.as_str());
        writeln!(f, "\t\tid = {}", storage.id)?;
        writeln!(f, "\t\thost = {host}  {status}")?;
        writeln!(f, "\t\tread write mode = {rw_mode}")?;
        writeln!(f, "\t\tversion = {}", storage.version)?;
        writeln!(f, "\t\tjoin time = {}", since(storage.joined))?;
        writeln!(f, "\t\tup time = {}", since(storage.started))?;
        for line in space_lines(storage.total_mb, storage.free_mb, storage.reserved_mb) {
            writeln!(f, "\t\t{line}")?;
        }
        writeln!(f, "\t\tupload priority = {}", storage.upload_priority)?;
        writeln!(f, "\t\tstore_path_count = {}", storage.store_path_count)?;
        writeln!(f, "\t\tsubdir_count_per_path = {}", storage.subdir_count)?;
        writeln!(f, "\t\tcurrent_write_path = {}", storage.write_path)?;
        writeln!(f, "\t\tsource storage id = {source}")?;
        writeln!(f, "\t\tif_trunk_server = {}", u8::from(storage.is_trunk_server))?;
        writeln!(f, "\t\tconnection.alloc_count = {}", stat.connections.allocated)?;
        writeln!(f, "\t\tconnection.current_count = {}", stat.connections.current)?;
        writeln!(f, "\t\tconnection.max_count = {}", stat.connections.max)?;
        for (name, Counter { total, success }) in self.counters() {
            // The original's slip of the pen has been there for so long that scripts know it.
            let prefix = if name == "download_bytes" { "s" } else { "" };
            writeln!(f, "\t\t{prefix}total_{name} = {total}")?;
            writeln!(f, "\t\tsuccess_{name} = {success}")?;
        }
        writeln!(f, "\t\tlast_heart_beat_time = {}", local_time(stat.last_heart_beat))?;
        writeln!(f, "\t\tlast_source_update = {}", local_time(stat.last_source_update))?;
        writeln!(f, "\t\tlast_sync_update = {}", local_time(stat.last_sync_update))?;
        writeln!(f, "\t\tlast_synced_timestamp = {} {}", local_time(stat.last_synced), self.delay())
    }
}

impl Member<'_> {
    fn counters(&self) -> [(&'static str, Counter); 19] {
        let stat = &self.storage.stat;
        [
            ("upload_count", stat.upload),
            ("append_count", stat.append),
            ("modify_count", stat.modify),
            ("truncate_count", stat.truncate),
            ("set_meta_count", stat.set_metadata),
            ("delete_count", stat.delete),
            ("download_count", stat.download),
            ("get_meta_count", stat.get_metadata),
            ("create_link_count", stat.create_link),
            ("delete_link_count", stat.delete_link),
            ("upload_bytes", stat.upload_bytes),
            ("append_bytes", stat.append_bytes),
            ("modify_bytes", stat.modify_bytes),
            ("download_bytes", stat.download_bytes),
            ("sync_in_bytes", stat.sync_in_bytes),
            ("sync_out_bytes", stat.sync_out_bytes),
            ("file_open_count", stat.file_open),
            ("file_read_count", stat.file_read),
            ("file_write_count", stat.file_write),
        ]
    }

    /// How far this storage is behind the last change at any other one; nothing where that cannot be told.
    fn delay(&self) -> String {
        let others = self.others.iter().filter(|other| !std::ptr::eq(*other, self.storage));
        let latest = others.map(|other| other.stat.last_source_update).max();
        match (latest, self.storage.stat.last_synced) {
            (None, _) | (_, Timestamp::ZERO) => String::new(),
            (Some(latest), synced) => format!("({} delay)", duration(latest.since(synced).as_secs())),
        }
    }
}

impl Display for Space {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, 0);
        if self.0 == 0 {
            return f.write_str("   0  B");
        }
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = usize::from(value < 9.95);
        write!(f, "{value:4.decimals$} {}", UNITS[unit])
    }
}

fn space_lines(total_mb: u64, free_mb: u64, reserved_mb: u64) -> [String; 4] {
    let available_mb = free_mb.saturating_sub(reserved_mb);
    [
        format!("disk total space     = {}", Space(total_mb)),
        format!("disk free space      = {}", Space(free_mb)),
        format!("disk reserved space  = {}", Space(reserved_mb)),
        format!("disk available space = {}", Space(available_mb)),
    ]
}

/// A time; nothing for zero.
fn since(time: Timestamp) -> String {
    if time == Timestamp::ZERO { String::new() } else { local_time(time) }
}

/// `1 day 2 hours 1 second`, without the parts that are zero.
fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let is_shown = |(count, unit): &(u64, &str)| *count > 0 || (seconds == 0 && *unit == "second");
    let word = |(count, unit)| format!("{count} {unit}{}", if count > 1 { "s" } else { "" });
    parts.into_iter().filter(is_shown).map(word).collect::<Vec<_>>().join(" ")
}

/// Units from MiB on.
const UNITS: [&str; 4] = ["MB", "GB", "TB", "PB"];

#[cfg(test)]
mod tests;
