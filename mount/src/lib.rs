//! The FUSE mount: buckets and groups as directories of files.
//!
//! [`Mount::start`] mounts, [`Mount::unmount`] flushes and unmounts. The adapter translates what the kernel asks, the operations under `ops`
//! do it through [`fdfs_objects`] and need no kernel. `SEMANTICS.md` beside this crate says what programs may rely on and which test
//! shows it.

mod accesses;
mod adapter;
mod attach;
mod attributes;
mod budget;
mod config;
mod directory;
mod disk_cache;
mod error;
mod file_system;
mod handles;
mod heap;
mod kernel_cache;
mod kernel_limits;
mod locks;
mod mount;
mod open_file;
mod ops;
mod pending;
mod preflight;
mod read_ahead;

#[cfg(test)]
mod tests;

pub use config::{Config, DiskCacheConfig};
pub use error::MountError;
pub use heap::share_heap;
pub use mount::{Mount, Unmounted};
