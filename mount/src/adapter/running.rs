//! Operations on their way: at once on the kernel's thread, the rest on the runtime.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fdfs_objects::may_block;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::{Instrument, Span, error};

use super::FuseAdapter;

/// How long an operation may take before the kernel is told that it failed.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// What asks or changes a little.
    Usual,
    /// What moves content: every step below has a deadline of its own.
    WhileBytesMove,
}

impl FuseAdapter {
    /// Runs an operation: here as far as it gets without waiting, on the runtime from there. One that panics has its reply dropped, which tells the
    /// kernel of an I/O error.
    pub(crate) fn run(
        &self,
        span: Span,
        patience: Patience,
        operation: impl Future<Output = ()> + Send + 'static,
    ) {
        self.fs.requests.fetch_add(1, Ordering::Relaxed);
        let counted = self.fs.origin.scope(async move {
            let _count = CountPanic;
            operation.await;
        });
        let counted = counted.instrument(span);
        let mut operation: Operation = match patience {
            Patience::Usual => Box::pin(async move {
                if tokio::time::timeout(DEADLINE, counted).await.is_err() {
                    metrics::counter!("fdfs_mount_deadlines_total").increment(1);
                }
            }),
            Patience::WhileBytesMove => Box::pin(counted),
        };
        let entered = self.runtime.enter();
        let later = Arc::new(Later { runtime: self.runtime.clone(), state: Mutex::new(State::Running) });
        let waker = Waker::from(Arc::clone(&later));
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| may_block(|| operation.as_mut().poll(&mut context))));
        drop(entered);
        if let Ok(Poll::Pending) = polled {
            later.waits(operation);
        }
    }
}

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An operation that waits for something. It goes on, on the runtime, when that has come: nobody is woken up before.
struct Later {
    runtime: Handle,
    state: Mutex<State>,
}

enum State {
    /// The thread that took the request is still at it.
    Running,
    /// What it waits for has come before it began to wait.
    Woken,
    Waiting(Operation),
    /// It is the runtime's.
    GoesOn,
}

impl Later {
    fn waits(&self, operation: Operation) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::GoesOn) {
            State::Woken => drop(self.runtime.spawn(operation)),
            _ => *state = State::Waiting(operation),
        }
    }
}

impl Wake for Later {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::GoesOn) {
            State::Running | State::Woken => *state = State::Woken,
            State::Waiting(operation) => drop(self.runtime.spawn(operation)),
            State::GoesOn => {}
        }
    }
}

/// Counts the operation if it panics.
struct CountPanic;

impl Drop for CountPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            metrics::counter!("fdfs_mount_panics_total").increment(1);
            error!("an operation panicked; the program that asked gets an I/O error");
        }
    }
}

/// How long an operation that moves no content may take.
const DEADLINE: Duration = Duration::from_secs(120);
