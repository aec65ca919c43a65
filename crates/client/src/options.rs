//! What a client is told about its cluster, and how patient it is.

use std::path::PathBuf;
use std::time::Duration;

use fdfs_net::PoolConfig;
use fdfs_proto::ServerAddress;

/// What a client is told about its cluster, and how patient it is.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The trackers, one or more.
    pub trackers: Vec<ServerAddress>,
    /// How connections are made and kept; its timeouts bound every single wait on a socket.
    pub pool: PoolConfig,
    /// Time for an answer to begin, before another server is asked.
    pub answer_timeout: Duration,
    /// Time for one operation with all its retries; content that streams has no such end.
    pub deadline: Duration,
    /// Rounds over all servers that could answer.
    pub rounds: u32,
    /// Pause before the second round; it doubles with every further one.
    pub backoff: Duration,
    /// Age at which the list of groups and storages is fetched again.
    pub topology_max_age: Duration,
    /// Whether a file is missing only when every member that serves says so, not when the one that took its upload does:
    /// for readers who would rather find what a member of an original cluster has lost.
    pub ask_everybody: bool,
    /// Whether a second storage is asked for a file that cannot change when the first one takes longer than usual; one
    /// question of five at most.
    pub hedging: bool,
    /// Whether files that lie on this machine are read where they lie, if their storage lends them.
    pub local_reads: bool,
    /// Where content waits whose length must be known first; the system's temporary directory if absent.
    pub spool_dir: Option<PathBuf>,
    /// Most bytes of one such content.
    pub spool_limit: u64,
}

impl ClientOptions {
    /// The options for a cluster with these trackers.
    pub fn new(trackers: Vec<ServerAddress>) -> Self {
        Self {
            trackers,
            pool: PoolConfig { max_idle: 64, ..PoolConfig::default() },
            answer_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            rounds: 4,
            backoff: Duration::from_millis(100),
            topology_max_age: Duration::from_secs(10),
            ask_everybody: false,
            hedging: false,
            local_reads: true,
            spool_dir: None,
            spool_limit: 1 << 30,
        }
    }
}
