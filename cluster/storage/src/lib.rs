//! The storage daemon: serves the files of one storage to clients, and reports to its trackers.

mod concern;
mod contents;
mod disk_health;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod lending;
mod maintenance;
mod membership;
mod native_http;
mod recovery;
mod relay;
mod scrub;
mod service;
mod settings;
mod shared;
mod storage;
mod sync;
mod synced_from;
mod tracker;
mod traffic;
mod trunk;

pub use contents::{check_contents, forget_content_index, open_offline};
pub use error::StorageError;
pub use storage::Storage;
