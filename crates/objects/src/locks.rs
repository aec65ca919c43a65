//! Locks that programs take on files through a mount.

use fdfs_namespace::{Lock, LockOwner};

use crate::error::ObjectsError;
use crate::objects::Objects;

impl Objects {
    /// Takes a lock for an owner of this process; what is in the way, if anything is. A change of the kind `Unlocked` tells when to try again.
    pub async fn lock(&self, of: LockOwner, lock: Lock) -> Result<Option<Lock>, ObjectsError> {
        Ok(self.names.lock(of, lock).await?)
    }

    /// What is in the way of a lock, if anything is.
    pub async fn lock_conflict(&self, of: LockOwner, lock: Lock) -> Result<Option<Lock>, ObjectsError> {
        Ok(self.names.lock_conflict(of, lock).await?)
    }

    /// Gives back what an owner holds of a range.
    pub async fn unlock(&self, of: LockOwner, range: Lock) -> Result<(), ObjectsError> {
        Ok(self.names.unlock(of, range).await?)
    }
}
