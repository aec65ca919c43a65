//! Changes of one file reach the second member one after the other, in the order in which they are made here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fdfs_types::RemoteFilename;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::timeout,
};

type Queues = Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>;

/// The files that are being changed.
#[derive(Debug, Default)]
pub(super) struct Turns(Arc<Queues>);

/// While this is held, no other change of the file begins.
#[derive(Debug)]
pub(crate) struct Turn {
    queues: Arc<Queues>,
    name: Box<str>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of a change; `None` if it does not come in time.
    pub(super) async fn take(&self, name: &RemoteFilename, limit: Duration) -> Option<Turn> {
        let name: Box<str> = name.as_str().into();
        let queue = Arc::clone(self.0.lock().entry(name.clone()).or_default());
        let mut turn = Turn { queues: Arc::clone(&self.0), name, guard: None };
        turn.guard = timeout(limit, queue.lock_owned()).await.ok();
        turn.guard.is_some().then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.queues.lock();
        // Others take theirs out of the table, under its lock.
        if queues.get(&self.name).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn name(number: u32) -> RemoteFilename {
        format!("M00/00/00/{number:038}.bin").parse().expect("name")
    }

    #[tokio::test]
    async fn changes_of_one_file_wait_for_each_other_and_those_of_others_do_not() {
        let turns = Turns::default();
        let one = name(1);
        let first = turns.take(&one, LIMIT).await.expect("free");
        let other = turns.take(&name(2), LIMIT).await.expect("free");
        assert!(turns.take(&one, Duration::from_millis(10)).await.is_none());
        let mut second = Box::pin(turns.take(&one, LIMIT));
        tokio::select! {
            biased;
            turn = &mut second => panic!("{turn:?} came too early"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        let second = second.await.expect("its turn");
        drop((second, other));
        assert!(turns.0.lock().is_empty(), "nothing is remembered");
    }

    #[tokio::test]
    async fn a_change_that_does_not_wait_any_longer_leaves_nothing() {
        let turns = Turns::default();
        let first = turns.take(&name(1), LIMIT).await.expect("free");
        assert!(turns.take(&name(1), Duration::ZERO).await.is_none());
        assert_eq!(turns.0.lock().len(), 1);
        drop(first);
        assert!(turns.0.lock().is_empty());
    }
}
