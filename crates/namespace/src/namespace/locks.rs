//! Locks on files.

use super::{Namespace, now_ms};
use crate::engine::Sharing;
use crate::error::NamespaceError;
use crate::locks::{self, Lock, LockOwner};

impl Namespace {
    /// Takes a lock for an owner of this session; what is in the way, if anything is. [`ChangeKind::Unlocked`](crate::ChangeKind::Unlocked) tells when to try again.
    pub async fn lock(&self, of: LockOwner, lock: Lock) -> Result<Option<Lock>, NamespaceError> {
        // Who waits looks often; nothing is written for that.
        match self.lock_conflict(of, lock).await? {
            Some(held) => Ok(Some(held)),
            None => {
                let alone = self.engine.sharing() == Sharing::Alone;
                self.write(move |tx| locks::take(tx, of, &lock, alone)).await
            }
        }
    }

    /// What is in the way of a lock, if anything is.
    pub async fn lock_conflict(&self, of: LockOwner, lock: Lock) -> Result<Option<Lock>, NamespaceError> {
        let (session, alone) = (self.shared.session, self.engine.sharing() == Sharing::Alone);
        self.read(move |read| locks::conflict(read, session, of, &lock, alone, now_ms())).await
    }

    /// Gives back what an owner of this session holds of the range and kind of `range`.
    pub async fn unlock(&self, of: LockOwner, range: Lock) -> Result<(), NamespaceError> {
        self.write(move |tx| locks::give_back(tx, of, &range)).await
    }

    /// Removes locks of sessions that are gone.
    pub async fn remove_dead_locks(&self) -> Result<(), NamespaceError> {
        let alone = self.engine.sharing() == Sharing::Alone;
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            from = self.write(move |tx| locks::remove_dead(tx, &at, alone)).await?;
        }
        Ok(())
    }
}
