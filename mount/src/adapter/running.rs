//! Operations on their way: at once on the kernel's thread, the rest on the runtime.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fdfs_objects::may_block;
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
        let mut operation: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(counted.instrument(span));
        let entered = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| may_block(|| operation.as_mut().poll(&mut context))));
        drop(entered);
        if let Ok(Poll::Pending) = polled {
            match patience {
                Patience::Usual => {
                    self.runtime.spawn(async move {
                        if tokio::time::timeout(DEADLINE, operation).await.is_err() {
                            metrics::counter!("fdfs_mount_deadlines_total").increment(1);
                        }
                    });
                }
                Patience::WhileBytesMove => {
                    self.runtime.spawn(operation);
                }
            }
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
