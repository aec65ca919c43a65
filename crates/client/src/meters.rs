//! What is counted of every question to a storage.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use fdfs_net::{CallError, NetError};
use fdfs_proto::Status;
use fdfs_types::GroupName;
use metrics::{Counter, Histogram};
use parking_lot::Mutex;

use crate::search::Attempt;

/// Counters of storages, looked up once each.
#[derive(Default)]
pub(crate) struct Meters(Mutex<HashMap<(GroupName, SocketAddr), (Counter, Histogram)>>);

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    /// A storage of a group was asked, with this result.
    pub(crate) fn asked(&self, group: GroupName, storage: SocketAddr, result: &'static str, took: Duration) {
        let (ok, seconds) = self
            .0
            .lock()
            .entry((group, storage))
            .or_insert_with(|| {
                let (group, storage) = (group.to_string(), storage.to_string());
                let seconds = metrics::histogram!("fdfs_client_storage_seconds", "group" => group.clone(), "storage" => storage.clone());
                (counter(group, storage, "ok"), seconds)
            })
            .clone();
        seconds.record(took);
        match result {
            "ok" => ok.increment(1),
            result => counter(group.to_string(), storage.to_string(), result).increment(1),
        }
    }
}

fn counter(group: String, storage: String, result: &'static str) -> Counter {
    metrics::counter!("fdfs_client_storage_requests_total", "group" => group, "storage" => storage, "result" => result)
}

/// A word for what came of asking a storage.
pub(crate) fn word_for<T>(attempt: &Attempt<T>) -> &'static str {
    match attempt {
        Attempt::Done(_) => "ok",
        // Less of the file than is wanted, or another content of it.
        Attempt::Passed => "short",
        Attempt::Failed(error) => match error {
            CallError::Status(Status::ENOENT) => "not_found",
            CallError::Status(_) => "busy",
            CallError::Net(NetError::Timeout) => "timeout",
            CallError::Connect(error) if error.kind() == std::io::ErrorKind::TimedOut => "timeout",
            CallError::Connect(_) => "refused",
            CallError::Net(NetError::Closed | NetError::Io(_)) => "closed",
            _ => "proto",
        },
    }
}
