//! How to mount.

use std::path::PathBuf;
use std::time::Duration;

/// How to mount.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory to mount on; it must exist.
    pub mountpoint: PathBuf,
    /// What `df` and `/proc/mounts` show as the source.
    pub source_name: String,
    /// Users other than the one who mounts may use it; mode bits say what they may do.
    pub allow_other: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// The time of the last access is kept, as with relatime; else it changes only when it is set.
    pub access_times: bool,
    /// Programs on it are not run.
    pub no_exec: bool,
    /// Raw files may be deleted by their paths.
    pub raw_delete: bool,
    /// Threads that take requests from the kernel.
    pub threads: usize,
    /// How long the kernel may keep names and attributes without asking again, while changes are told as they come and it is told of them.
    /// Zero: it asks every time.
    pub cache: Duration,
    /// Where files that are not written from their first byte to their last wait until they are uploaded.
    pub spool: PathBuf,
    /// Where whole files are kept that were read, if they are.
    pub disk_cache: Option<DiskCacheConfig>,
    /// Bytes of memory that the process of the mount may take: what it needs for itself, and content that is read and written. Streams that find
    /// no room wait or read ahead less; small files being written that find none wait in the spool.
    pub memory: usize,
}

/// A cache on a local disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiskCacheConfig {
    /// Its directory, for this mount alone.
    pub directory: PathBuf,
    /// Bytes that it may take.
    pub size: u64,
}

impl Config {
    /// The usual for a mountpoint.
    pub fn new(mountpoint: impl Into<PathBuf>) -> Self {
        Self {
            mountpoint: mountpoint.into(),
            source_name: "fastdfs".to_owned(),
            allow_other: false,
            read_only: false,
            access_times: false,
            no_exec: false,
            raw_delete: false,
            threads: 4,
            cache: Duration::from_secs(3_600),
            spool: std::env::temp_dir(),
            disk_cache: None,
            memory: 256 * 1024 * 1024,
        }
    }
}
