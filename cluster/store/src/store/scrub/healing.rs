//! Putting a sound copy in the place of a damaged file.

use std::sync::Arc;

use fdfs_types::Timestamp;
use rustix::fs::fsync;
use tracing::warn;

use super::{Suspect, kept};
use crate::{
    Store, StoreError,
    draft::Draft,
    store::shared::{Shared, set_times, sync_directory_of},
    store::upload::write_all,
};

/// A sound copy under way. Dropped before [`Healing::finish`], it changes nothing.
#[derive(Debug)]
pub struct Healing {
    store: Arc<Shared>,
    suspect: Suspect,
    draft: Draft,
    promised: u64,
    size: u64,
    hasher: crc32fast::Hasher,
}

/// What became of a damaged file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Healed {
    /// It is sound, and what was damaged is kept aside.
    Done,
    /// Meanwhile it was deleted, or is another: that stays as it is.
    Changed,
    /// What came is not what the name says either.
    Unsound,
}

impl Store {
    /// Begins to take a sound copy of a damaged file.
    pub fn heal(&self, suspect: &Suspect) -> Result<Healing, StoreError> {
        let shared = &self.0;
        let path = shared.path_of(&suspect.name)?;
        let draft =
            Draft::create(path, || shared.temporary_name()).map_err(StoreError::doing("creating a file"))?;
        path.space.promise(suspect.told.size);
        Ok(Healing {
            store: Arc::clone(shared),
            draft,
            promised: suspect.told.size,
            size: 0,
            hasher: crc32fast::Hasher::new(),
            suspect: suspect.clone(),
        })
    }
}

impl Healing {
    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.size.saturating_add(bytes.len() as u64);
        if end > self.suspect.told.size {
            return Err(StoreError::WrongLength { announced: self.suspect.told.size, received: end });
        }
        write_all(&self.draft.file, bytes, self.size)?;
        self.hasher.update(bytes);
        self.size = end;
        Ok(())
    }

    /// Puts the copy in place if it is sound and the name still has the damaged file. It is on the disk then.
    pub fn finish(mut self) -> Result<Healed, StoreError> {
        let store = Arc::clone(&self.store);
        let Suspect { name, told, seen, .. } = self.suspect.clone();
        let path = store.path_of(&name)?;
        if (self.size, self.hasher.clone().finalize()) != (told.size, told.crc32) {
            return Ok(Healed::Unsound);
        }
        set_times(&self.draft.file, Timestamp(seen.modified.0));
        fsync(&self.draft.file).map_err(StoreError::doing("syncing the file"))?;
        let _lock = store.lock(&name);
        if !seen.is_still(path, &name) {
            return Ok(Healed::Changed);
        }
        if let Err(error) = kept::keep(path, &name) {
            // Nobody needs it to read: the copy is sound.
            warn!(file_id = %name, %error, "a damaged file is replaced and cannot be kept aside");
        }
        let replaced = self.draft.replace(path, name.local_path(), || store.temporary_name());
        replaced.map_err(StoreError::doing("naming a file"))?;
        path.space.settle(std::mem::take(&mut self.promised), self.size);
        sync_directory_of(path, &name)?;
        Ok(Healed::Done)
    }
}

impl Drop for Healing {
    fn drop(&mut self) {
        if let Ok(path) = self.store.path_of(&self.suspect.name) {
            path.space.settle(self.promised, 0);
            self.draft.discard(path);
        }
    }
}
