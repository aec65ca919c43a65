//! Operations on their way: at once on the kernel's thread, the rest on the runtime.

use std::cell::RefCell;
use std::collections::VecDeque;
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
        let operation: Operation = match patience {
            Patience::Usual => Box::pin(async move {
                if tokio::time::timeout(DEADLINE, counted).await.is_err() {
                    metrics::counter!("fdfs_mount_deadlines_total").increment(1);
                }
            }),
            Patience::WhileBytesMove => Box::pin(counted),
        };
        let _entered = self.runtime.enter();
        let ready = Ready::begin();
        Later::new(&self.runtime).advance(operation);
        // What others waited for, and this thread has done along with its own.
        while let Some((later, operation)) = ready.next() {
            later.advance(operation);
        }
        drop(ready);
        self.lingering.linger();
    }
}

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Operations that have what they waited for.
type GoingOn = VecDeque<(Arc<Later>, Operation)>;

/// An operation that waits for something. It goes on when that has come: at once where a thread of the kernel's has brought it, else on the runtime. Nobody is woken up before.
struct Later {
    runtime: Handle,
    state: Mutex<State>,
}

enum State {
    /// A thread that takes requests is at it.
    Running,
    /// What it waits for has come before it began to wait.
    Woken,
    Waiting(Operation),
    /// It is the runtime's.
    GoesOn,
}

impl Later {
    fn new(runtime: &Handle) -> Arc<Self> {
        Arc::new(Self { runtime: runtime.clone(), state: Mutex::new(State::Running) })
    }

    /// Does what can be done without waiting.
    fn advance(self: &Arc<Self>, mut operation: Operation) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        for _ in 0..TRIES {
            let poll = || may_block(|| operation.as_mut().poll(&mut context));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(())) | Err(_) => return,
            }
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Running) {
                State::Woken => {}
                _ => {
                    *state = State::Waiting(operation);
                    return;
                }
            }
        }
        *self.state.lock() = State::GoesOn;
        drop(self.runtime.spawn(operation));
    }
}

impl Wake for Later {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::GoesOn) {
            State::Running | State::Woken => *state = State::Woken,
            State::Waiting(operation) => {
                *state = State::Running;
                drop(state);
                Ready::add(self, operation);
            }
            State::GoesOn => {}
        }
    }
}

thread_local! {
    /// On a thread that runs an operation: others that can go on now.
    static READY: RefCell<Option<GoingOn>> = const { RefCell::new(None) };
}

/// A thread that takes requests from the kernel, while it runs an operation.
struct Ready;

impl Ready {
    fn begin() -> Self {
        READY.set(Some(VecDeque::new()));
        Self
    }

    fn next(&self) -> Option<(Arc<Later>, Operation)> {
        READY.with_borrow_mut(|ready| ready.as_mut()?.pop_front())
    }

    /// An operation goes on: on this thread soon, if it is such a thread, else on the runtime.
    fn add(later: Arc<Later>, operation: Operation) {
        let mut operation = Some(operation);
        // A thread that ends has no such list any more.
        let _ = READY.try_with(|ready| {
            if let Some(ready) = ready.borrow_mut().as_mut().filter(|ready| ready.len() < MOST_READY) {
                ready.extend(operation.take().map(|operation| (Arc::clone(&later), operation)));
            }
        });
        if let Some(operation) = operation {
            *later.state.lock() = State::GoesOn;
            drop(later.runtime.spawn(operation));
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        READY.set(None);
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
/// How often what came at once is gone on with here, before the runtime has it.
const TRIES: usize = 4;
/// Operations of others that a thread goes on with.
const MOST_READY: usize = 32;
