//! `fdfs monitor`.

use std::collections::HashMap;

use clap::Args;
use fdfs_client::{Client, Group};
use fdfs_proto::ours::Explanation;
use fdfs_proto::tracker::{GroupRecord, StorageRecord};
use fdfs_proto::{Counter, StorageStat};
use fdfs_types::{GroupName, StorageId};
use serde_json::{Map, Value, json};

use super::cluster::ClusterArgs;
use super::output::Output;
use super::words;

/// What to show.
#[derive(Args)]
pub struct MonitorArgs {
    /// Only these groups; may be repeated.
    #[arg(short, long)]
    group: Vec<GroupName>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl MonitorArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        let topology = client.topology().await?;
        for name in &self.group {
            if !topology.groups.contains_key(name) {
                output.fail(Some(name.as_str()), &fdfs_client::ClientError::NotFound.into());
            }
        }
        let shown = topology.groups.values().filter(|group| self.shows(&group.record.group));
        let shown: Vec<&Group> = shown.collect();
        let leader = leader(&client).await;
        let mut reasons = Reasons::new();
        for group in &shown {
            // Original trackers do not tell.
            let known = client.explain_storages(group.record.group).await.unwrap_or_default();
            reasons.extend(known.into_iter().map(|one| ((group.record.group, one.id), one)));
        }
        let text = match &shown[..] {
            [] if self.group.is_empty() => "no groups: no storage has joined yet".to_owned(),
            groups => groups.iter().map(|group| text(group, &reasons)).collect::<Vec<_>>().join("\n\n"),
        };
        let groups: Vec<_> = shown.iter().map(|group| object(group, &reasons)).collect();
        output.result(text, &json!({ "leader": leader, "groups": groups }));
        Ok(())
    }

    fn shows(&self, group: &GroupName) -> bool {
        self.group.is_empty() || self.group.contains(group)
    }
}

/// The leading tracker, if there is one.
async fn leader(client: &Client) -> Option<std::net::SocketAddr> {
    client.leader().await.ok()
}

/// Why storages are in their states.
type Reasons = HashMap<(GroupName, StorageId), Explanation>;

fn text(Group { record, storages }: &Group, reasons: &Reasons) -> String {
    let GroupRecord { group, total_mb, free_mb, reserved_mb, .. } = record;
    let mut lines = vec![format!(
        "{group}: {} free of {} ({} reserved), {} of {} storages readable, {} writable",
        mb(*free_mb),
        mb(*total_mb),
        mb(*reserved_mb),
        record.readable_count,
        record.storage_count,
        record.writable_count,
    )];
    if record.trunk_file_id.is_some() {
        lines.push(format!("  trunk files: {} free", mb(record.trunk_free_mb)));
    }
    for storage in storages {
        lines.extend(storage_lines(storage, reasons.get(&(record.group, storage.id))));
    }
    lines.join("\n")
}

fn storage_lines(storage: &StorageRecord, why: Option<&Explanation>) -> Vec<String> {
    let stat = &storage.stat;
    let address = Group::address(storage).map_or_else(|| "no address".to_owned(), |at| at.to_string());
    let id = match storage.ip {
        Some(ip) if ip.to_string() == storage.id.as_str() => String::new(),
        _ => format!("{} ", storage.id),
    };
    let trunk = if storage.is_trunk_server { ", trunk server" } else { "" };
    let free = format!("{} free of {}", mb(storage.free_mb), mb(storage.total_mb));
    let mut lines = vec![
        format!(
            "  {id}{address}: {}, {} ({}), version {}{trunk}",
            storage.status,
            storage.rw_mode.name(),
            free,
            storage.version,
        ),
        format!(
            "    joined {}, up since {}, last heart beat {}, {} connections",
            words::time(storage.joined),
            words::time(storage.started),
            words::time(stat.last_heart_beat),
            stat.connections.current,
        ),
    ];
    if let Some(why) = why {
        let since = match why.since.0 {
            0 => String::new(),
            _ => format!(" since {}", words::time(why.since)),
        };
        lines.insert(1, format!("    {}{since}: {}", why.status, why.reason));
    }
    let counts = [
        ("uploads", stat.upload),
        ("downloads", stat.download),
        ("appends", stat.append),
        ("deletions", stat.delete),
    ];
    let counts = counts.map(|(name, count)| match count.total.saturating_sub(count.success) {
        0 => format!("{} {name}", count.success),
        failed => format!("{} {name} ({failed} failed)", count.success),
    });
    lines.push(format!(
        "    {}; {} in, {} out",
        counts.join(", "),
        words::bytes(stat.upload_bytes.success),
        words::bytes(stat.download_bytes.success),
    ));
    if let Some(source) = &storage.sync_source {
        lines.push(format!("    first synchronised from {source}"));
    }
    lines
}

fn object(Group { record, storages }: &Group, reasons: &Reasons) -> Value {
    json!({
        "group": record.group.as_str(),
        "total_mb": record.total_mb,
        "free_mb": record.free_mb,
        "reserved_mb": record.reserved_mb,
        "trunk_free_mb": record.trunk_free_mb,
        "storage_count": record.storage_count,
        "readable_count": record.readable_count,
        "writable_count": record.writable_count,
        "port": record.port,
        "store_path_count": record.store_path_count,
        "subdir_count": record.subdir_count,
        "trunk_file_id": record.trunk_file_id,
        "storages": storages.iter().map(|one| storage_object(one, reasons.get(&(record.group, one.id)))).collect::<Vec<_>>(),
    })
}

fn storage_object(storage: &StorageRecord, why: Option<&Explanation>) -> Value {
    let StorageStat { connections, last_source_update, last_sync_update, .. } = &storage.stat;
    let StorageStat { last_synced, last_heart_beat, .. } = &storage.stat;
    json!({
        "id": storage.id.as_str(),
        "address": Group::address(storage),
        "status": storage.status.name(),
        "reason": why.map(|why| why.reason.as_str()),
        "since": why.and_then(|why| words::json_time(why.since)),
        "rw_mode": storage.rw_mode.name(),
        "version": storage.version,
        "sync_source": storage.sync_source.as_ref().map(StorageId::as_str),
        "joined": words::json_time(storage.joined),
        "started": words::json_time(storage.started),
        "total_mb": storage.total_mb,
        "free_mb": storage.free_mb,
        "reserved_mb": storage.reserved_mb,
        "upload_priority": storage.upload_priority,
        "store_path_count": storage.store_path_count,
        "subdir_count": storage.subdir_count,
        "is_trunk_server": storage.is_trunk_server,
        "connections": {
            "allocated": connections.allocated,
            "current": connections.current,
            "max": connections.max,
        },
        "counters": counters(&storage.stat),
        "last_source_update": words::json_time(*last_source_update),
        "last_sync_update": words::json_time(*last_sync_update),
        "last_synced": words::json_time(*last_synced),
        "last_heart_beat": words::json_time(*last_heart_beat),
    })
}

fn counters(stat: &StorageStat) -> Value {
    let entry = |(name, Counter { total, success }): (&str, Counter)| {
        (name.to_owned(), json!({ "total": total, "success": success }))
    };
    Value::Object(named_counters(stat).map(entry).into_iter().collect::<Map<_, _>>())
}

/// What a storage counts, by name.
fn named_counters(stat: &StorageStat) -> [(&'static str, Counter); 19] {
    [
        ("upload", stat.upload),
        ("append", stat.append),
        ("modify", stat.modify),
        ("truncate", stat.truncate),
        ("set_metadata", stat.set_metadata),
        ("delete", stat.delete),
        ("download", stat.download),
        ("get_metadata", stat.get_metadata),
        ("create_link", stat.create_link),
        ("delete_link", stat.delete_link),
        ("upload_bytes", stat.upload_bytes),
        ("append_bytes", stat.append_bytes),
        ("modify_bytes", stat.modify_bytes),
        ("download_bytes", stat.download_bytes),
        ("sync_in_bytes", stat.sync_in_bytes),
        ("sync_out_bytes", stat.sync_out_bytes),
        ("file_open", stat.file_open),
        ("file_read", stat.file_read),
        ("file_write", stat.file_write),
    ]
}

fn mb(count: u64) -> String {
    words::bytes(count.saturating_mul(1 << 20))
}
