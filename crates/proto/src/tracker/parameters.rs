//! `PARAMETER_REQ` (75): the settings that the whole cluster shares.
//!
//! The answer is text, `key=value` and a line feed for each, in a fixed order. Old clients and storages read
//! at most 1023 bytes of it: do not add keys.

use std::fmt::{self, Display};
use std::str::FromStr;

use thiserror::Error;

use crate::message::empty_request;
use crate::{Decode, DecodeError, Encode, IpWidth, Reader, Writer};

empty_request! {
    /// Asks for the settings that the whole cluster shares.
    ParametersRequest, PARAMETER_REQ, ClusterParameters
}

/// The settings that the whole cluster shares. A key that the answer lacks has its default; one that it has
/// in addition is not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterParameters {
    /// Storages have IDs from a table instead of their addresses.
    pub use_storage_id: bool,
    /// File names carry the storage's ID instead of its address.
    pub id_in_filename: bool,
    /// The ID that a storage claims is believed, whatever its address.
    pub trust_storage_server_id: bool,
    /// How wide addresses are written in answers to clients.
    pub ip_width: IpWidth,
    /// A storage with a new address is recognised.
    pub storage_ip_changed_auto_adjust: bool,
    /// Seconds after which a file is taken to be everywhere.
    pub storage_sync_file_max_delay: u64,
    /// How a store path is chosen: 0 in turn, 2 the one with most free space.
    pub store_path: u8,
    /// Space that stays free.
    pub reserved_storage_space: ReservedSpace,
    /// Small files lie together in trunk files.
    pub use_trunk_file: bool,
    /// Smallest slot of a trunk file, in bytes.
    pub slot_min_size: u64,
    /// Largest slot of a trunk file, in bytes.
    pub slot_max_size: u64,
    /// Slots are multiples of this, in bytes; 0 for any size.
    pub trunk_alloc_alignment_size: u64,
    /// Size of a trunk file, in bytes.
    pub trunk_file_size: u64,
    /// Trunk files are made before they are needed.
    pub trunk_create_file_advance: bool,
    /// When that is done.
    pub trunk_create_file_time_base: TimeOfDay,
    /// How often, in seconds.
    pub trunk_create_file_interval: u64,
    /// Up to how much free space, in bytes.
    pub trunk_create_file_space_threshold: u64,
    /// Free slots are checked on disk at start.
    pub trunk_init_check_occupying: bool,
    /// Free slots are taken from the whole trunk binlog at start.
    pub trunk_init_reload_from_binlog: bool,
    /// Neighbouring free slots become one.
    pub trunk_free_space_merge: bool,
    /// Trunk files without files are removed.
    pub delete_unused_trunk_files: bool,
    /// Shortest time between compressions of the trunk binlog, in seconds.
    pub trunk_compress_binlog_min_interval: u64,
    /// Time between compressions of the trunk binlog, in seconds; 0 for never.
    pub trunk_compress_binlog_interval: u64,
    /// When the trunk binlog is compressed.
    pub trunk_compress_binlog_time_base: TimeOfDay,
    /// Old trunk binlogs that are kept.
    pub trunk_binlog_max_backups: u64,
    /// Slave files are links to hidden files.
    pub store_slave_file_use_link: bool,
}

/// Space that stays free on every storage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReservedSpace {
    /// So many MiB.
    Megabytes(u64),
    /// So many hundredths of a percent of the size.
    BasisPoints(u32),
}

/// A time of day, without seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// A text is not the value of a parameter.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("expected {expected}")]
pub struct ParseParameterError {
    expected: &'static str,
}

impl Default for ClusterParameters {
    fn default() -> Self {
        Self {
            use_storage_id: false,
            id_in_filename: false,
            trust_storage_server_id: true,
            ip_width: IpWidth::Ipv6,
            storage_ip_changed_auto_adjust: true,
            storage_sync_file_max_delay: 86400,
            store_path: 0,
            reserved_storage_space: ReservedSpace::Megabytes(1024),
            use_trunk_file: false,
            slot_min_size: 256,
            slot_max_size: 16 << 20,
            trunk_alloc_alignment_size: 0,
            trunk_file_size: 64 << 20,
            trunk_create_file_advance: false,
            trunk_create_file_time_base: TimeOfDay::default(),
            trunk_create_file_interval: 86400,
            trunk_create_file_space_threshold: 0,
            trunk_init_check_occupying: false,
            trunk_init_reload_from_binlog: false,
            trunk_free_space_merge: false,
            delete_unused_trunk_files: false,
            trunk_compress_binlog_min_interval: 0,
            trunk_compress_binlog_interval: 0,
            trunk_compress_binlog_time_base: TimeOfDay { hour: 3, minute: 0 },
            trunk_binlog_max_backups: 0,
            store_slave_file_use_link: false,
        }
    }
}

impl ClusterParameters {
    /// More text than this is not read by original storages and clients.
    pub const MAX_LEN: usize = 1023;

    /// Takes the value of one key; whether the key is known.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, ParseParameterError> {
        match key {
            "use_storage_id" => self.use_storage_id = switch(value)?,
            "id_type_in_filename" => self.id_in_filename = value.eq_ignore_ascii_case("id"),
            "trust_storage_server_id" => self.trust_storage_server_id = switch(value)?,
            "response_ip_addr_size" => {
                self.ip_width = if value == "16" { IpWidth::Ipv4 } else { IpWidth::Ipv6 };
            }
            "storage_ip_changed_auto_adjust" => self.storage_ip_changed_auto_adjust = switch(value)?,
            "storage_sync_file_max_delay" => self.storage_sync_file_max_delay = number(value)?,
            "store_path" => self.store_path = number(value)?,
            "reserved_storage_space" => self.reserved_storage_space = value.parse()?,
            "use_trunk_file" => self.use_trunk_file = switch(value)?,
            "slot_min_size" => self.slot_min_size = number(value)?,
            "slot_max_size" => self.slot_max_size = number(value)?,
            "trunk_alloc_alignment_size" => self.trunk_alloc_alignment_size = number(value)?,
            "trunk_file_size" => self.trunk_file_size = number(value)?,
            "trunk_create_file_advance" => self.trunk_create_file_advance = switch(value)?,
            "trunk_create_file_time_base" => self.trunk_create_file_time_base = value.parse()?,
            "trunk_create_file_interval" => self.trunk_create_file_interval = number(value)?,
            "trunk_create_file_space_threshold" => self.trunk_create_file_space_threshold = number(value)?,
            "trunk_init_check_occupying" => self.trunk_init_check_occupying = switch(value)?,
            "trunk_init_reload_from_binlog" => self.trunk_init_reload_from_binlog = switch(value)?,
            "trunk_free_space_merge" => self.trunk_free_space_merge = switch(value)?,
            "delete_unused_trunk_files" => self.delete_unused_trunk_files = switch(value)?,
            "trunk_compress_binlog_min_interval" => self.trunk_compress_binlog_min_interval = number(value)?,
            "trunk_compress_binlog_interval" => self.trunk_compress_binlog_interval = number(value)?,
            "trunk_compress_binlog_time_base" => self.trunk_compress_binlog_time_base = value.parse()?,
            "trunk_binlog_max_backups" => self.trunk_binlog_max_backups = number(value)?,
            "store_slave_file_use_link" => self.store_slave_file_use_link = switch(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Display for ClusterParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn Display| writeln!(f, "{key}={value}");
        line("use_storage_id", &u8::from(self.use_storage_id))?;
        line("id_type_in_filename", &if self.id_in_filename { "id" } else { "ip" })?;
        line("trust_storage_server_id", &u8::from(self.trust_storage_server_id))?;
        line("response_ip_addr_size", &self.ip_width.terminated())?;
        line("storage_ip_changed_auto_adjust", &u8::from(self.storage_ip_changed_auto_adjust))?;
        line("storage_sync_file_max_delay", &self.storage_sync_file_max_delay)?;
        line("store_path", &self.store_path)?;
        line("reserved_storage_space", &self.reserved_storage_space)?;
        line("use_trunk_file", &u8::from(self.use_trunk_file))?;
        line("slot_min_size", &self.slot_min_size)?;
        line("slot_max_size", &self.slot_max_size)?;
        line("trunk_alloc_alignment_size", &self.trunk_alloc_alignment_size)?;
        line("trunk_file_size", &self.trunk_file_size)?;
        line("trunk_create_file_advance", &u8::from(self.trunk_create_file_advance))?;
        line("trunk_create_file_time_base", &self.trunk_create_file_time_base)?;
        line("trunk_create_file_interval", &self.trunk_create_file_interval)?;
        line("trunk_create_file_space_threshold", &self.trunk_create_file_space_threshold)?;
        line("trunk_init_check_occupying", &u8::from(self.trunk_init_check_occupying))?;
        line("trunk_init_reload_from_binlog", &u8::from(self.trunk_init_reload_from_binlog))?;
        line("trunk_free_space_merge", &u8::from(self.trunk_free_space_merge))?;
        line("delete_unused_trunk_files", &u8::from(self.delete_unused_trunk_files))?;
        line("trunk_compress_binlog_min_interval", &self.trunk_compress_binlog_min_interval)?;
        line("trunk_compress_binlog_interval", &self.trunk_compress_binlog_interval)?;
        line("trunk_compress_binlog_time_base", &self.trunk_compress_binlog_time_base)?;
        line("trunk_binlog_max_backups", &self.trunk_binlog_max_backups)?;
        line("store_slave_file_use_link", &u8::from(self.store_slave_file_use_link))
    }
}

impl Encode for ClusterParameters {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&self.to_string());
    }
}

impl Decode for ClusterParameters {
    const NAME: &'static str = "ClusterParameters";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut parameters = Self::default();
        for line in reader.rest_lines("parameters")? {
            let Some((key, value)) = line.split_once('=') else { continue };
            parameters
                .set(key.trim(), value.trim())
                .map_err(|error| reader.invalid("parameters", format_args!("{line:?}: {error}")))?;
        }
        Ok(parameters)
    }
}

impl FromStr for ReservedSpace {
    type Err = ParseParameterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: ParseParameterError =
            ParseParameterError { expected: "a number and MB, or a percentage" };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| WRONG)?;
            let points = (percent * 100.0).round();
            return if (0.0..=10_000.0).contains(&points) {
                Ok(Self::BasisPoints(points as u32))
            } else {
                Err(WRONG)
            };
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, unit) = text.split_at(digits);
        let value: u64 = number(digits).map_err(|_| WRONG)?;
        let megabytes = match unit.trim() {
            "M" | "MB" => Some(value),
            "G" | "GB" => value.checked_mul(1024),
            "T" | "TB" => value.checked_mul(1024 * 1024),
            _ => None,
        };
        megabytes.map(Self::Megabytes).ok_or(WRONG)
    }
}

impl Display for ReservedSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Megabytes(megabytes) => write!(f, "{megabytes}MB"),
            Self::BasisPoints(points) => write!(f, "{}.{:02}%", points / 100, points % 100),
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = ParseParameterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: ParseParameterError = ParseParameterError { expected: "HH:MM" };
        let (hour, minute) = text.split_once(':').ok_or(WRONG)?;
        let time = Self { hour: number(hour)?, minute: number(minute)? };
        if time.hour < 24 && time.minute < 60 { Ok(time) } else { Err(WRONG) }
    }
}

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, ParseParameterError> {
    text.parse().map_err(|_| ParseParameterError { expected: "a number" })
}

fn switch(text: &str) -> Result<bool, ParseParameterError> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(ParseParameterError { expected: "0 or 1" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stays_below_what_old_storages_read() {
        let largest = ClusterParameters {
            reserved_storage_space: ReservedSpace::Megabytes(1 << 30),
            slot_min_size: 1 << 16,
            slot_max_size: 1 << 32,
            trunk_file_size: 1 << 33,
            trunk_create_file_interval: 864_000,
            trunk_create_file_space_threshold: 1 << 50,
            trunk_compress_binlog_interval: 864_000,
            ..ClusterParameters::default()
        };
        assert!(largest.encode().len() <= ClusterParameters::MAX_LEN);
    }

    #[test]
    fn reserved_space_is_an_amount_or_a_part() {
        assert_eq!("1024MB".parse(), Ok(ReservedSpace::Megabytes(1024)));
        assert_eq!("2G".parse(), Ok(ReservedSpace::Megabytes(2048)));
        assert_eq!("1.00%".parse(), Ok(ReservedSpace::BasisPoints(100)));
        assert_eq!("0.29%".parse::<ReservedSpace>().unwrap().to_string(), "0.29%");
        for text in ["", "MB", "-1%", "101%", "NaN%", "1KB", "99999999999999999999MB"] {
            assert!(text.parse::<ReservedSpace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_missing_has_its_default_and_one_too_many_is_passed_over() {
        let parameters = ClusterParameters::decode(b"use_trunk_file=1\nnew_key=7\n\n").unwrap();
        let expected = ClusterParameters { use_trunk_file: true, ..ClusterParameters::default() };
        assert_eq!(parameters, expected);
    }
}
