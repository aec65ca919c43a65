//! How it stands with second copies: who failed lately, and what the operator is told.

use std::{
    collections::HashMap,
    error::Error,
    time::{Duration, Instant},
};

use fdfs_types::StorageId;
use parking_lot::Mutex;
use tracing::{info, warn};

use super::failure::Failure;

/// How it stands with second copies.
#[derive(Debug, Default)]
pub(super) struct Outlook(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    suspects: HashMap<StorageId, Instant>,
    /// When the log was told last, and how many changes had no second member since.
    told: Option<Instant>,
    failures: u64,
}

impl Outlook {
    /// A member has not taken a change.
    pub(super) fn suspect(&self, id: StorageId) {
        self.0.lock().suspects.insert(id, Instant::now());
    }

    /// Whether a member has failed lately.
    pub(super) fn is_suspect(&self, id: StorageId) -> bool {
        self.0.lock().suspects.get(&id).is_some_and(|since| since.elapsed() < SUSPECTED)
    }

    /// A second member has a change.
    pub(super) fn succeeded(&self, peer: &StorageId) {
        let mut state = self.0.lock();
        state.suspects.remove(peer);
        if state.told.take().is_some() {
            let failures = std::mem::take(&mut state.failures);
            info!(%peer, failures, "changes reach a second member again");
        }
    }

    /// No second member has a change. The log hears of it now and then, not each time.
    pub(super) fn failed(&self, failure: &Failure, consequence: &'static str) {
        let mut state = self.0.lock();
        state.failures += 1;
        if state.told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            return;
        }
        state.told = Some(Instant::now());
        let failures = state.failures;
        let cause = failure.source().map(ToString::to_string);
        warn!(error = %failure, cause, failures, consequence, "a change is on this storage alone");
    }
}

const SUSPECTED: Duration = Duration::from_secs(10);
const TELL_AGAIN: Duration = Duration::from_secs(30);
