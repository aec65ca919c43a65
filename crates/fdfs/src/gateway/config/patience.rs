//! How long a gateway waits for trackers and storages.

use std::num::NonZeroU64;
use std::time::Duration;

use fdfs_client::ClientOptions;
use fdfs_proto::ServerAddress;
use serde::Deserialize;

/// `[patience]`: how long trackers and storages are waited for, all in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patience {
    /// For a connection to be made.
    connect_timeout: NonZeroU64,
    /// For the first byte of an answer; then the server counts as silent, and another is asked.
    answer_timeout: NonZeroU64,
    /// For the next byte of content, in either direction.
    idle_timeout: NonZeroU64,
    /// For a request until content flows, with all its retries.
    request_deadline: NonZeroU64,
}

impl Patience {
    /// The options of a client of this patience.
    pub fn of(self, trackers: Vec<ServerAddress>) -> ClientOptions {
        let mut options = ClientOptions::new(trackers);
        options.pool.connect_timeout = seconds(self.connect_timeout);
        options.pool.network_timeout = seconds(self.idle_timeout);
        options.answer_timeout = seconds(self.answer_timeout);
        options.deadline = seconds(self.request_deadline);
        options
    }
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = |number| NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN);
        Self {
            connect_timeout: seconds(5),
            answer_timeout: seconds(10),
            idle_timeout: seconds(10),
            request_deadline: seconds(15),
        }
    }
}

fn seconds(number: NonZeroU64) -> Duration {
    Duration::from_secs(number.get())
}
