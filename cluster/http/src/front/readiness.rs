//! Whether the front is to be given requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the front is to be given requests: `/readyz` says so. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<State>);

#[derive(Debug, Default)]
struct State {
    knows_cluster: AtomicBool,
    is_draining: AtomicBool,
}

impl Readiness {
    /// Groups and storages are known, from the trackers or from before.
    pub fn set_cluster_known(&self) {
        self.0.knows_cluster.store(true, Ordering::Relaxed);
    }

    /// It is about to end: others are to be asked.
    pub fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    /// Why it is not to be asked, if it is not.
    pub(super) fn hindrance(&self) -> Option<&'static str> {
        if self.0.is_draining.load(Ordering::Relaxed) {
            return Some("draining: this front is about to end");
        }
        let known = self.0.knows_cluster.load(Ordering::Relaxed);
        (!known).then_some("no tracker has told the groups yet")
    }
}
