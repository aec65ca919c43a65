//! Running transactions: a closure goes through the engine, and what it changed is announced.

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::may_block;
use super::{FIRST_INODE, LEASE, LEASE_LOW, MAX_LEASES, Namespace, WRITE_DEADLINE, lease, now};
use crate::changes::Change;
use crate::engine::{EngineError, Job, Read, Txn};
use crate::error::NamespaceError;
use crate::origin::Origin;
use crate::transaction::{Shared, Transaction};

/// What a write gives, and what is announced of it.
type Written<T> = (T, Vec<Change>);

impl Namespace {
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        mut read: impl FnMut(&dyn Read) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let engine = Arc::clone(&self.engine);
        let mut run = move || {
            let mut result = Err(NamespaceError::Timeout);
            engine.read(&mut |rows| {
                result = read(rows);
                Ok(())
            })?;
            result
        };
        if self.engine.reads_inline() {
            return run();
        }
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or_else(|error| Err(EngineError::Panicked(error.to_string()).into()))
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        for _ in 0..MAX_LEASES {
            self.ensure_lease().await?;
            let (result, back) = self.write_once(write).await?;
            match result {
                Err(NamespaceError::LeaseExhausted) => write = back,
                result => return result,
            }
        }
        Err(NamespaceError::LeaseExhausted)
    }

    /// Runs the closure and gives it back, so that it may run again.
    pub(super) async fn write_once<T: Send + 'static, F>(
        &self,
        write: F,
    ) -> Result<(Result<T, NamespaceError>, F), NamespaceError>
    where
        F: FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let origin = Origin::current();
        let job = WriteJob { shared: Arc::clone(&self.shared), origin, write, result: None, answer };
        match may_block::is_set() {
            true => self.engine.submit_inline(Box::new(job)),
            false => self.engine.submit(Box::new(job)),
        }
        let answer =
            tokio::time::timeout(WRITE_DEADLINE, answered).await.map_err(|_| NamespaceError::Timeout)?;
        answer.map_err(|_| NamespaceError::Engine(EngineError::Stopped("it closed".to_owned())))
    }

    /// For opening, when there may be no runtime: commits on this thread.
    pub(super) fn write_blocking<T: Send + 'static>(
        &self,
        write: impl FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let (answer, answered) = mpsc::channel();
        let job = WriteJob { shared: Arc::clone(&self.shared), origin: None, write, result: None, answer };
        self.engine.submit_inline(Box::new(job));
        let (result, _) = answered.recv_timeout(WRITE_DEADLINE).map_err(|_| NamespaceError::Timeout)?;
        result
    }

    /// Takes a block of inode numbers when those at hand run low.
    pub(crate) async fn ensure_lease(&self) -> Result<(), NamespaceError> {
        let left = {
            let inodes = self.shared.inodes.lock();
            inodes.end.saturating_sub(inodes.start)
        };
        if left >= LEASE_LOW {
            return Ok(());
        }
        let (block, _) =
            self.write_once(|tx: &mut Transaction<'_, '_>| lease(tx, "inode", FIRST_INODE, LEASE)).await?;
        let block = block?;
        let mut inodes = self.shared.inodes.lock();
        // Several may come here at once; what is left of the block before is lost, as the format allows.
        if inodes.end.saturating_sub(inodes.start) < LEASE_LOW {
            *inodes = block;
        }
        Ok(())
    }
}

/// Who waits for a write.
trait Answer<V>: Send {
    fn answer(self, value: V);
}

impl<V: Send> Answer<V> for oneshot::Sender<V> {
    fn answer(self, value: V) {
        // Who gave up waiting does not want to know.
        let _ = self.send(value);
    }
}

impl<V: Send> Answer<V> for mpsc::Sender<V> {
    fn answer(self, value: V) {
        let _ = self.send(value);
    }
}

/// A closure on its way through the engine.
struct WriteJob<T, F, A> {
    shared: Arc<Shared>,
    origin: Option<Origin>,
    write: F,
    result: Option<Result<Written<T>, NamespaceError>>,
    answer: A,
}

impl<T, F, A> Job for WriteJob<T, F, A>
where
    T: Send,
    F: FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send,
    A: Answer<(Result<T, NamespaceError>, F)>,
{
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut tx = Transaction::new(txn, &shared, now());
        let result = (self.write)(&mut tx);
        let result = result.map(|value| (value, tx.into_changes()));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        let Self { shared, origin, write, result, answer } = *self;
        let result = match (outcome, result) {
            (Ok(()), Some(Ok((value, changes)))) => {
                changes.into_iter().for_each(|change| shared.announce.send(Change { origin, ..change }));
                Ok(value)
            }
            (Ok(()), Some(Err(error))) => Err(error),
            (Ok(()), None) => Err(EngineError::Stopped("it did not run".to_owned()).into()),
            (Err(error), _) => Err(error.into()),
        };
        answer.answer((result, write));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use crate::namespace::may_block;
    use crate::{Defaults, Namespace, NewInode, ROOT};

    #[test]
    fn on_a_thread_that_may_block_a_write_is_done_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let names = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let make = names.make(ROOT, b"name", NewInode::default());
        let done = may_block(|| pin!(make).poll(&mut context).map(|made| made.map(drop)));
        assert!(matches!(done, Poll::Ready(_)), "nobody had to be woken up");
    }
}
