//! Turns: what concerns one name is done by one after the other, in the order in which they came.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::timeout,
};

type Queues = Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>;

/// The names that something is being done about.
#[derive(Debug, Default)]
pub(super) struct Turns(Arc<Queues>);

/// While this is held, nothing else is done about the name.
#[derive(Debug)]
pub(crate) struct Turn {
    queues: Arc<Queues>,
    name: Box<str>,
    guard: Option<OwnedMutexGuard<()>>,
    has_waited: bool,
}

impl Turns {
    /// Waits for a turn; `None` if it does not come in time.
    pub(super) async fn take(&self, name: &str, limit: Duration) -> Option<Turn> {
        let name: Box<str> = name.into();
        let queue = Arc::clone(self.0.lock().entry(name.clone()).or_default());
        let guard = Arc::clone(&queue).try_lock_owned().ok();
        let has_waited = guard.is_none();
        let mut turn = Turn { queues: Arc::clone(&self.0), name, guard, has_waited };
        if !has_waited {
            return Some(turn);
        }
        turn.guard = timeout(limit, queue.lock_owned()).await.ok();
        turn.guard.is_some().then_some(turn)
    }
}

impl Turn {
    /// Whether something else was done about the name just now.
    pub(super) fn has_waited(&self) -> bool {
        self.has_waited
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

    #[tokio::test]
    async fn changes_of_one_file_wait_for_each_other_and_those_of_others_do_not() {
        let turns = Turns::default();
        let first = turns.take("one", LIMIT).await.expect("free");
        let other = turns.take("two", LIMIT).await.expect("free");
        assert!(turns.take("one", Duration::from_millis(10)).await.is_none());
        let mut second = Box::pin(turns.take("one", LIMIT));
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
        let first = turns.take("one", LIMIT).await.expect("free");
        assert!(turns.take("one", Duration::ZERO).await.is_none());
        assert_eq!(turns.0.lock().len(), 1);
        drop(first);
        assert!(turns.0.lock().is_empty());
    }
}
