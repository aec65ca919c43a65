//! The test harness: our daemons as child processes on loopback addresses, and the raw wire.
//!
//! Nothing here uses the project's own codecs: requests are bytes, answers are bytes, so that a fault
//! in a codec cannot hide itself. Whatever a test starts is ended when it goes out of scope, also when
//! the test fails; every wait has a deadline.

mod addresses;
mod binary;
mod black_hole;
mod broken_file;
mod clients;
mod cluster;
mod daemon;
mod deadline;
mod exchange;
mod gateway;
mod mounting;
mod replicas;
mod site;
mod small_disk;

pub use addresses::Addresses;
pub use binary::fdfs_binary;
pub use black_hole::BlackHole;
pub use broken_file::BrokenFile;
pub use clients::{clients_dir, rust_clients_dir, suites_dir};
pub use cluster::{Cluster, ClusterConfig, StorageConfig, freeze};
pub use daemon::Daemon;
pub use deadline::Deadline;
pub use exchange::{Answer, Wire};
pub use gateway::{Gateway, HttpAnswer, http_get, s3_request};
pub use mounting::{Mounting, is_mounted};
pub use replicas::{FileState, Files, files_of, wait_for_equal_replicas};
pub use site::Site;
pub use small_disk::SmallDisk;
