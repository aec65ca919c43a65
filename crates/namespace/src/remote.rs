//! The namespace over gRPC: a service that gives other processes the rows of a store, and the engine that uses it.
//!
//! Only rows travel, so that all logic stands once, above the engines. A transaction runs where it was asked for and is optimistic: what it
//! read is compared at the commit, in one transaction of the served engine. `PROTOCOL.md` beside this crate says what each call promises.

mod caller;
mod commit;
mod digest;
mod engine;
mod feed;
mod follow;
pub(crate) mod fuzzing;
mod reads;
mod secret;
mod server;
mod service;
mod snapshot;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

pub use engine::RemoteEngine;
pub use secret::{InvalidSecret, Secret};
pub use server::{RowServer, ServeError};

/// The messages, generated from `proto/namespace.proto`.
#[expect(unreachable_pub, unused_qualifications, reason = "generated")]
#[allow(clippy::all, reason = "generated")]
mod wire {
    tonic::include_proto!("fdfs.namespace.v1");
}

/// The port of the service.
pub const DEFAULT_PORT: u16 = 23_100;

/// Bytes of rows in one answer; a single row may be larger.
const MAX_ANSWER: usize = 2 << 20;
/// Bytes of a message.
const MAX_MESSAGE: usize = 32 << 20;
/// Rows and ranges that one transaction may read.
const MAX_READS: usize = 200_000;
/// Ranges among them.
const MAX_RANGES: usize = 50_000;
/// How long a call that reads may take, reconnecting included.
const READ_DEADLINE: Duration = Duration::from_secs(5);
/// How long a commit may take, sync included.
const COMMIT_DEADLINE: Duration = Duration::from_secs(15);
/// How often a stream of changes says that it lives, and looks for changes that nobody hinted at.
const HEARTBEAT: Duration = Duration::from_secs(1);
