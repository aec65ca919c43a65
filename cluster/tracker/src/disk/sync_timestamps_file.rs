//! `storage_sync_timestamp.dat`: who has received what of whom, and up to when.
//!
//! ```text
//! group,source id,t1,t2,...,tn
//! ```
//!
//! One row for each storage in the order of the storages file; column *k* is the time up to which
//! storage *k* of the group has all of the row's source.

use fdfs_rules::{Cluster, Storage};
use fdfs_types::{GroupName, Timestamp};
use tracing::warn;

pub(super) fn render(cluster: &Cluster) -> String {
    let mut text = String::new();
    for group in cluster.groups() {
        let members = || group.in_order_of_creation().iter().filter(|storage| storage.is_member());
        for source in members() {
            let time = |to: &Storage| to.applied.get(&source.id).copied().unwrap_or_default();
            let times: Vec<_> = members().map(|to| time(to).to_string()).collect();
            text.push_str(&format!("{},{},{}\n", group.name, source.id, times.join(",")));
        }
    }
    text
}

/// A row: group, source as text, times.
pub(super) type Row = (GroupName, String, Vec<Timestamp>);

/// The rows of a file; those that make no sense are left out.
pub(super) fn parse(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        let mut fields = line.split(',').map(str::trim);
        let row = || -> Option<Row> {
            let (group, source) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
            let times = fields.map(|time| time.parse().map(Timestamp)).collect::<Result<_, _>>().ok()?;
            Some((group, source, times))
        };
        match { row }() {
            Some(row) => rows.push(row),
            None => warn!(line = at + 1, "row of the sync timestamps that makes no sense is left out"),
        }
    }
    rows
}
