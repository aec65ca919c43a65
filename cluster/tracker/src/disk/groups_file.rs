//! `storage_groups_new.dat`.
//!
//! ```text
//! [Global]
//!     group_count=1
//!
//! # group: group1
//! [Group001]
//!     group_name=group1
//!     storage_port=23000
//!     ...
//! ```

use fdfs_rules::{Cluster, Group, GroupPort, TrunkOffice};
use fdfs_types::{GroupName, StorageId};
use tracing::warn;

use super::reading::Ini;

pub(super) fn render(cluster: &Cluster) -> String {
    let groups = cluster.groups();
    let mut text = format!("[Global]\n\tgroup_count={}\n\n", groups.len());
    for (at, group) in groups.iter().enumerate() {
        let name = group.name;
        let id = |id: &Option<StorageId>| id.map_or_else(String::new, |id| id.to_string());
        let TrunkOffice { file_id, server, last_server, .. } = &group.trunk;
        let lines = [
            format!("# group: {name}"),
            format!("[Group{:03}]", at + 1),
            format!("\tgroup_name={name}"),
            format!("\tstorage_port={}", group.port.number()),
            format!("\tstore_path_count={}", group.path_count),
            format!("\tsubdir_count_per_path={}", group.subdir_count),
            format!("\tcurrent_trunk_file_id={file_id}"),
            format!("\ttrunk_server={}", id(server)),
            format!("\tlast_trunk_server={}", id(last_server)),
        ];
        text.push_str(&lines.join("\n"));
        text.push_str("\n\n");
    }
    text
}

/// The groups of a file, without members. Their trunk servers are checked when the storages are
/// known.
pub(super) fn parse(ini: &Ini) -> Vec<Group> {
    let sections = ini.numbered("Group");
    let announced = ini.integer("Global", "group_count");
    if announced != sections.len() as i64 {
        warn!(announced, found = sections.len(), "groups file is damaged; what is there is used");
    }
    let mut groups = Vec::new();
    for section in sections {
        let Some(name) = ini.word::<GroupName>(section, "group_name") else {
            warn!(section, "group without a name in the groups file is left out");
            continue;
        };
        let mut group = Group::new(name);
        group.port = GroupPort::from_number(ini.integer(section, "storage_port"));
        group.path_count = ini.number(section, "store_path_count");
        group.subdir_count = ini.number(section, "subdir_count_per_path");
        group.trunk.file_id = ini.number(section, "current_trunk_file_id");
        group.trunk.server = ini.word(section, "trunk_server");
        group.trunk.last_server = ini.word(section, "last_trunk_server");
        groups.push(group);
    }
    groups
}
