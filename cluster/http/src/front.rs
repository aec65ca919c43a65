//! The front: native paths of all groups, through a cache, in place of a balancing and caching nginx.
//!
//! What it promises stands in `FRONT.md` beside this crate.

mod access_log;
mod answers;
mod bearer;
mod cache;
mod cached_files;
mod cached_reader;
mod client_address;
mod cluster;
mod fetching;
mod fill;
mod flights;
mod meters;
mod named;
mod origin;
mod purge_peers;
mod readiness;
mod shared_read;

use std::sync::Arc;
use std::time::SystemTime;

use fdfs_types::Timestamp;

pub use self::answers::{Front, FrontSettings};
pub use self::bearer::{BearerToken, ParseBearerTokenError};
pub use self::cache::CacheLimits;
pub use self::cached_files::{CacheSettings, CachedFiles, Outcome};
pub use self::cluster::Cluster;
pub use self::named::Named;
pub use self::origin::{Blocks, Identity, Origin, OriginError};
pub use self::readiness::Readiness;

/// Tells the time; tests have one of their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the system.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().into())
}
