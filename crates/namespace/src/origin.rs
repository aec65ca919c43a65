//! Who of this process makes a change: a mount is told of changes that it made itself, and has no need to drop what its kernel knows of them.

use std::future::Future;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// One of those who change names through one [`Namespace`](crate::Namespace).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Origin(NonZeroU64);

impl Origin {
    /// One that nobody else in this process has.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// Has every change that `work` makes itself, not in tasks of its own, carry this origin.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// That of the work under way, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|origin| *origin).ok()
    }
}

tokio::task_local! {
    static CURRENT: Origin;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, Namespace, NewBucket};

    #[tokio::test]
    async fn changes_carry_the_origin_of_the_work_that_made_them_and_their_number() {
        let namespace = Namespace::in_memory(Defaults::default()).unwrap();
        let mut changes = namespace.changes();
        let (one, two) = (Origin::unique(), Origin::unique());
        assert_ne!(one, two);
        for (name, origin) in [("one", Some(one)), ("two", Some(two)), ("nobody", None)] {
            let work = namespace.create_bucket(name, NewBucket::default());
            match origin {
                Some(origin) => origin.scope(work).await.unwrap(),
                None => work.await.unwrap(),
            };
            let change = changes.recv().await.unwrap();
            assert_eq!((change.origin, change.number), (origin, namespace.announced()));
        }
        assert_eq!(Origin::current(), None);
    }
}
