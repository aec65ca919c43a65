//! `BEAT` (83) and `REPORT_DISK_USAGE` (84): a storage is alive, counts, and has space.
//!
//! ```text
//!  83  nothing, or | counters [348] |
//!  84  | for every store path: total MB, free MB |
//! ```

use crate::cluster::Notification;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, StorageStat, Writer};

/// A storage is alive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BeatRequest {
    /// What it counts, if that changed since it was last told on this connection.
    pub stat: Option<Box<StorageStat>>,
}

/// Space of every store path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DiskUsageRequest {
    /// The store paths, in order.
    pub store_paths: Vec<PathUsage>,
}

/// Space of one store path, in MiB.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PathUsage {
    /// Size.
    pub total_mb: u64,
    /// What those without privileges may use.
    pub free_mb: u64,
}

impl Encode for BeatRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        if let Some(stat) = &self.stat {
            stat.write(writer);
        }
    }
}

impl Decode for BeatRequest {
    const NAME: &'static str = "BeatRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stat = if reader.is_empty() { None } else { Some(Box::new(StorageStat::read(reader)?)) };
        Ok(Self { stat })
    }
}

impl Request for BeatRequest {
    const COMMAND: Command = Command::BEAT;
    type Response = Notification;
}

impl Encode for DiskUsageRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        for path in &self.store_paths {
            writer.u64(path.total_mb);
            writer.u64(path.free_mb);
        }
    }
}

impl Decode for DiskUsageRequest {
    const NAME: &'static str = "DiskUsageRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let one = |reader: &mut Reader<'_>| {
            Ok(PathUsage { total_mb: reader.u64("total")?, free_mb: reader.u64("free")? })
        };
        Ok(Self { store_paths: reader.repeat_to_end(one)? })
    }
}

impl Request for DiskUsageRequest {
    const COMMAND: Command = Command::REPORT_DISK_USAGE;
    type Response = Notification;
}
