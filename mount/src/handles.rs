//! Numbers of what the kernel has open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::FileHandle;
use parking_lot::RwLock;

use crate::error::FsError;

/// What the kernel has open, by the number it was told.
pub(crate) struct Handles<T> {
    open: RwLock<HashMap<u64, Arc<T>>>,
    next: AtomicU64,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { open: RwLock::new(HashMap::new()), next: AtomicU64::new(1) }
    }
}

impl<T> Handles<T> {
    /// Gives `value` a number; none is ever used again.
    pub(crate) fn insert(&self, value: T) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().insert(number, Arc::new(value));
        FileHandle(number)
    }

    /// Forgets a number.
    pub(crate) fn remove(&self, handle: FileHandle) -> Result<Arc<T>, FsError> {
        self.open.write().remove(&handle.0).ok_or(FsError::BadHandle)
    }

    /// What a number stands for.
    pub(crate) fn get(&self, handle: FileHandle) -> Result<Arc<T>, FsError> {
        self.open.read().get(&handle.0).cloned().ok_or(FsError::BadHandle)
    }

    /// All that is open.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.open.read().values().cloned().collect()
    }
}
