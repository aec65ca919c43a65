//! Waiting on a thread for what the engine's runtime does.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Handle;

use super::failure::Failure;

/// Waits on this thread, whatever thread it is, for an answer of the database.
pub(super) fn wait<T>(
    runtime: &Handle,
    limit: Duration,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    // For the timer alone; the answer itself comes from a task of the runtime.
    let _inside = runtime.enter();
    let mut call = pin!(tokio::time::timeout(limit, call));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer.unwrap_or(Err(Failure::Silent)),
            // A runtime that has ended wakes nobody any more.
            Poll::Pending => thread::park_timeout(limit.saturating_mul(2)),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
