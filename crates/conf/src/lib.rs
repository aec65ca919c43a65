//! FastDFS configuration files: grammar and typed keys.
//!
//! [`ConfFile`] knows the `key = value` grammar of the original. [`TrackerConfig`], [`StorageConfig`],
//! [`ClientConfig`] and [`NativeHttpConfig`] give every key a type, a unit and a default; a key without effect is named
//! in one [`Warning`]. `crates/conf/COMPATIBILITY.md` lists what differs from the original.
//!
//! Nothing here touches a disk or a resolver: the caller passes in what reads a file or a host name.

mod access_log;
mod address_family;
mod address_kind;
mod allow_hosts;
mod client;
mod cluster;
mod common;
mod configuration;
mod error;
mod file;
mod host_pattern;
mod keys;
mod listen;
mod log_level;
mod log_settings;
mod native_http;
#[cfg(test)]
mod property_tests;
mod reserved_space;
mod size;
mod storage;
mod storage_ids;
mod table;
mod time_of_day;
mod tracker;
mod tracker_address;
mod warning;

pub use access_log::{AccessLogSettings, TimePrecision};
pub use address_family::AddressFamily;
pub use address_kind::AddressKind;
pub use allow_hosts::AllowHosts;
pub use client::{AntiSteal, ClientConfig};
pub use cluster::{ClusterParameters, IpFieldWidth, StorePathChoice, TrunkParameters};
pub use configuration::{Configuration, Loaded};
pub use error::ConfError;
pub use file::{ConfFile, Entry, Place, Section};
pub use listen::{Listener, ServiceAddress};
pub use log_level::LogLevel;
pub use log_settings::LogSettings;
pub use native_http::{NativeHttpConfig, ResponseMode, TokenSettings, UrlForm};
pub use reserved_space::{ParseReservedSpaceError, ReservedSpace};
pub use size::{ParseSizeError, parse_size};
pub use storage::{
    Deduplication, DistributeMode, HttpConf, OnDeadline, ReplicationFrom, ScrubSettings, SignatureMethod,
    StorageConfig, StorePathConfig, WriteConcern,
};
pub use storage_ids::{StorageIdEntry, StorageIds};
pub use time_of_day::{ParseTimeOfDayError, TimeOfDay};
pub use tracker::{DownloadServer, StoreLookup, StoreServer, TrackerConfig};
pub use tracker_address::{ParseTrackerAddressError, TrackerAddress};
pub use warning::{Warning, WarningKind};
