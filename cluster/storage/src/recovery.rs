//! Files that others have and this storage lacks: a store path that was wiped, and what a join has missed.
//!
//! Both read what every member has (`FETCH_ONE_PATH_BINLOG`), leave out what is here or was deleted here, and fetch the rest
//! with the ordinary commands, so that every member may be an original.

mod compare;
mod fetch;
mod heal;
mod members;
mod path_binlog;
mod progress;
mod verification;
mod wiped;
mod work;

use std::{sync::Arc, time::Duration};

use fdfs_net::{Pool, PoolConfig};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{fetch::Fetcher, progress::Parked};
pub(crate) use self::{
    heal::{Healer, Outcome},
    verification::Verification,
};
use crate::shared::Shared;

/// Fetches what is lacking. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    fetcher: Fetcher,
    /// For lists of files, between whose lines a member may search for long.
    patient: Arc<Pool>,
    parked: Arc<Parked>,
    /// Files that are fetched at the same time.
    threads: usize,
}

/// Whether store paths are being filled: until that is over this storage does not join its group.
#[derive(Debug)]
pub(crate) struct Filling {
    is_over: watch::Sender<bool>,
    words: Mutex<String>,
}

impl Recovery {
    pub(crate) fn new(shared: &Arc<Shared>, config: PoolConfig, threads: u32) -> Self {
        let patient =
            PoolConfig { network_timeout: config.network_timeout.max(BINLOG_TIMEOUT), ..config.clone() };
        Self {
            parked: Arc::new(Parked::new(shared.store.own_directory())),
            fetcher: Fetcher { shared: Arc::clone(shared), pool: Pool::new(config) },
            patient: Pool::new(patient),
            threads: threads as usize,
        }
    }

    /// Fills what was wiped, then compares with the other members whenever that is wanted.
    pub(crate) async fn run(self) {
        self.fill_all().await;
        self.fetcher.shared.filling.is_over.send_replace(true);
        self.compare_when_wanted().await;
        // Only where the storage ends at this moment.
        std::future::pending::<()>().await;
    }

    fn say(&self, words: String) {
        *self.fetcher.shared.filling.words.lock() = words;
    }
}

impl Filling {
    /// `is_needed` says that a store path has to be filled.
    pub(crate) fn new(is_needed: bool) -> Self {
        let words = Mutex::new(String::from("a store path has to be filled from the other members"));
        Self { is_over: watch::Sender::new(!is_needed), words }
    }

    /// Waits until every store path is filled.
    pub(crate) async fn over(&self) {
        // The sender lives as long as this.
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// Whether every store path is filled.
    pub(crate) fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    /// What is going on, in words, unless it is over.
    pub(crate) fn check(&self) -> Result<(), String> {
        if *self.is_over.borrow() { Ok(()) } else { Err(self.words.lock().clone()) }
    }
}

/// How long a member may look for its next record: it passes over those of other store paths and of deleted files.
const BINLOG_TIMEOUT: Duration = Duration::from_secs(600);
