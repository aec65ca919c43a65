//! What a tracker prescribes to its storages and clients (`STORAGE_PARAMETER_REQ`, 75).

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::keys::{Keys, invalid};
use crate::table::{Handling, KeyTable};
use crate::{ConfError, ConfFile, ReservedSpace};

mod trunk;

pub use trunk::TrunkParameters;

/// Settings of a tracker that hold for the whole cluster. They are the same keys in `tracker.conf` and in
/// the answer to command 75; [`Self::to_reply`] writes that answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterParameters {
    /// Storages have numbers from `storage_ids.conf` instead of their IP as name.
    pub use_storage_id: bool,
    /// File names carry the number of the storage instead of its IP.
    pub id_in_filename: bool,
    /// The `server_id` that a storage says it has is believed.
    pub trust_storage_server_id: bool,
    /// Width of the IP field in answers.
    pub ip_field_width: IpFieldWidth,
    /// A storage whose IP changed keeps its files.
    pub storage_ip_changed_auto_adjust: bool,
    /// A file older than this is on every member of its group.
    pub storage_sync_file_max_delay: Duration,
    /// Which store path a new file goes to.
    pub store_path: StorePathChoice,
    /// Space that new files leave free.
    pub reserved_space: ReservedSpace,
    /// Small files merged into large ones.
    pub trunk: TrunkParameters,
    /// A slave file may be a symbolic link to an equal one.
    pub store_slave_file_use_link: bool,
}

/// `response_ip_addr_size`: width of the IP field in answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IpFieldWidth {
    /// 16 bytes, or 46 where `storage_ids.conf` has an IPv6 address.
    #[default]
    Auto,
    /// 16 bytes. Unlike the original, `IPv4` in `tracker.conf` asks for it; a tracker's answer says `16`.
    Narrow,
    /// 46 bytes.
    Wide,
}

/// `store_path`: which store path a new file goes to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StorePathChoice {
    /// One after the other (0).
    #[default]
    RoundRobin,
    /// The one with the most free space (2).
    MostFree,
}

impl ClusterParameters {
    /// Original storages and clients do not read an answer that is longer.
    pub const MAX_REPLY: usize = 1023;

    /// Reads the answer to command 75. A missing key has the default of a storage or client; one too many is passed over.
    ///
    /// # Errors
    ///
    /// A value cannot be used.
    pub fn from_reply(text: &str) -> Result<Self, ConfError> {
        let file = ConfFile::parse(Path::new("parameters of the tracker"), text.as_bytes())?;
        let mut keys = Keys::new(&file, &[("", CLUSTER_KEYS)]);
        let mut parameters = Self::read(&mut keys)?;
        let slot_max = keys.size("slot_max_size")?;
        if slot_max.is_none() {
            parameters.trunk.slot_max_size = parameters.trunk.file_size / 4;
        }
        if parameters.ip_field_width == IpFieldWidth::Auto {
            parameters.ip_field_width = IpFieldWidth::Wide;
        }
        Ok(parameters)
    }

    /// Writes the answer to command 75, with the field width in force (16 or 46).
    ///
    /// It is never longer than [`Self::MAX_REPLY`].
    #[must_use]
    pub fn to_reply(&self, ip_field_width: usize) -> String {
        let trunk = &self.trunk;
        let lines: [(&str, &dyn fmt::Display); 26] = [
            ("use_storage_id", &u8::from(self.use_storage_id)),
            ("id_type_in_filename", &if self.id_in_filename { "id" } else { "ip" }),
            ("trust_storage_server_id", &u8::from(self.trust_storage_server_id)),
            ("response_ip_addr_size", &ip_field_width),
            ("storage_ip_changed_auto_adjust", &u8::from(self.storage_ip_changed_auto_adjust)),
            ("storage_sync_file_max_delay", &self.storage_sync_file_max_delay.as_secs()),
            ("store_path", &self.store_path.number()),
            ("reserved_storage_space", &self.reserved_space),
            ("use_trunk_file", &u8::from(trunk.enabled)),
            ("slot_min_size", &trunk.slot_min_size),
            ("slot_max_size", &trunk.slot_max_size),
            ("trunk_alloc_alignment_size", &trunk.alignment),
            ("trunk_file_size", &trunk.file_size),
            ("trunk_create_file_advance", &u8::from(trunk.create_advance)),
            ("trunk_create_file_time_base", &trunk.create_time_base),
            ("trunk_create_file_interval", &trunk.create_interval.as_secs()),
            ("trunk_create_file_space_threshold", &trunk.create_space_threshold),
            ("trunk_init_check_occupying", &u8::from(trunk.init_check_occupying)),
            ("trunk_init_reload_from_binlog", &u8::from(trunk.init_reload_from_binlog)),
            ("trunk_free_space_merge", &u8::from(trunk.free_space_merge)),
            ("delete_unused_trunk_files", &u8::from(trunk.delete_unused_files)),
            ("trunk_compress_binlog_min_interval", &trunk.compress_min_interval.as_secs()),
            ("trunk_compress_binlog_interval", &trunk.compress_interval.as_secs()),
            ("trunk_compress_binlog_time_base", &trunk.compress_time_base),
            ("trunk_binlog_max_backups", &trunk.binlog_max_backups),
            ("store_slave_file_use_link", &u8::from(self.store_slave_file_use_link)),
        ];
        lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }

    pub(crate) fn read(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let ip_field_width = match keys.text("response_ip_addr_size") {
            None => IpFieldWidth::Auto,
            Some(entry) => match &*entry.value.to_ascii_lowercase() {
                "auto" => IpFieldWidth::Auto,
                "16" | "ipv4" => IpFieldWidth::Narrow,
                "46" | "ipv6" => IpFieldWidth::Wide,
                _ => {
                    keys.adjusted(entry, "the width is 46, as for IPv6; auto gives 16 without IPv6");
                    IpFieldWidth::Wide
                }
            },
        };
        let id_in_filename =
            keys.text("id_type_in_filename").is_some_and(|entry| entry.value.eq_ignore_ascii_case("id"));
        let reserved_space = match keys.get("reserved_storage_space") {
            None => ReservedSpace::DEFAULT,
            Some(entry) => entry.value.parse().map_err(|error| invalid(entry, error))?,
        };
        Ok(Self {
            use_storage_id: keys.boolean("use_storage_id", false),
            id_in_filename,
            trust_storage_server_id: keys.boolean("trust_storage_server_id", true),
            ip_field_width,
            storage_ip_changed_auto_adjust: keys.boolean("storage_ip_changed_auto_adjust", true),
            storage_sync_file_max_delay: keys.seconds("storage_sync_file_max_delay", 86_400),
            store_path: keys
                .choice("store_path", &[(0, StorePathChoice::RoundRobin), (2, StorePathChoice::MostFree)])
                .unwrap_or_default(),
            reserved_space,
            trunk: TrunkParameters::read(keys)?,
            store_slave_file_use_link: keys.boolean("store_slave_file_use_link", false),
        })
    }
}

impl StorePathChoice {
    /// The number in files and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::RoundRobin => 0,
            Self::MostFree => 2,
        }
    }
}

impl FromStr for ClusterParameters {
    type Err = ConfError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_reply(text)
    }
}

/// The keys of the answer to command 75.
pub(crate) const CLUSTER_KEYS: KeyTable = &[
    ("use_storage_id", Handling::Honoured),
    ("id_type_in_filename", Handling::Honoured),
    ("trust_storage_server_id", Handling::Honoured),
    ("response_ip_addr_size", Handling::Honoured),
    ("storage_ip_changed_auto_adjust", Handling::Honoured),
    ("storage_sync_file_max_delay", Handling::Honoured),
    ("store_path", Handling::Honoured),
    ("reserved_storage_space", Handling::Honoured),
    ("use_trunk_file", Handling::Honoured),
    ("slot_min_size", Handling::Honoured),
    ("slot_max_size", Handling::Honoured),
    ("trunk_alloc_alignment_size", Handling::Honoured),
    ("trunk_file_size", Handling::Honoured),
    ("trunk_create_file_advance", Handling::Honoured),
    ("trunk_create_file_time_base", Handling::Honoured),
    ("trunk_create_file_interval", Handling::Honoured),
    ("trunk_create_file_space_threshold", Handling::Honoured),
    ("trunk_init_check_occupying", Handling::Honoured),
    ("trunk_init_reload_from_binlog", Handling::Honoured),
    ("trunk_free_space_merge", Handling::Honoured),
    ("delete_unused_trunk_files", Handling::Honoured),
    ("trunk_compress_binlog_min_interval", Handling::Honoured),
    ("trunk_compress_binlog_interval", Handling::Honoured),
    ("trunk_compress_binlog_time_base", Handling::Honoured),
    ("trunk_binlog_max_backups", Handling::Honoured),
    ("store_slave_file_use_link", Handling::Honoured),
];

#[cfg(test)]
mod tests;
