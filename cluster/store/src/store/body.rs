//! Content under way: in memory while it is small and may go into a slot of a trunk file, else in a file without a name.

use std::fs::File;

use super::{Shared, upload::write_all};
use crate::{Counter, StoreError, draft::Draft, layout::StorePath, trunk::Content};

/// Content under way.
#[derive(Debug)]
pub(super) enum Body {
    Small(Vec<u8>),
    Draft(Draft),
}

impl Body {
    /// Content that may go into a slot, or does not.
    pub(super) fn begin(shared: &Shared, path: &StorePath, for_slot: bool) -> Result<Self, StoreError> {
        if for_slot { Ok(Self::Small(Vec::new())) } else { Ok(Self::Draft(create(shared, path)?)) }
    }

    /// Puts bytes behind the `offset` bytes that are here.
    pub(super) fn write(
        &mut self,
        shared: &Shared,
        path: &StorePath,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), StoreError> {
        match self {
            Self::Small(held) if held.len() + bytes.len() <= IN_MEMORY => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            _ => write_all(&self.draft(shared, path)?.file, bytes, offset),
        }
    }

    /// The file, which is made where there is none yet.
    pub(super) fn draft(&mut self, shared: &Shared, path: &StorePath) -> Result<&mut Draft, StoreError> {
        if let Self::Small(held) = self {
            let draft = create(shared, path)?;
            write_all(&draft.file, held, 0)?;
            *self = Self::Draft(draft);
        }
        match self {
            Self::Draft(draft) => Ok(draft),
            Self::Small(_) => unreachable!("it was just made a file"),
        }
    }

    /// What is to be written into a slot: `size` bytes.
    pub(super) fn with_content<T>(
        &self,
        size: u64,
        work: impl FnOnce(&Content<'_>) -> T,
    ) -> Result<T, StoreError> {
        match self {
            Self::Small(held) => Ok(work(&Content::Bytes(held))),
            Self::Draft(draft) => {
                let file = draft.file.try_clone().map_err(super::io_error("reading what has come"))?;
                Ok(work(&Content::File(&File::from(file), size)))
            }
        }
    }

    pub(super) fn discard(&mut self, path: &StorePath) {
        if let Self::Draft(draft) = self {
            draft.discard(path);
        }
    }
}

fn create(shared: &Shared, path: &StorePath) -> Result<Draft, StoreError> {
    shared.stat.add(Counter::TotalFileOpenCount, 1);
    let draft =
        Draft::create(path, || shared.temporary_name()).map_err(StoreError::doing("creating a file"))?;
    shared.stat.add(Counter::SuccessFileOpenCount, 1);
    Ok(draft)
}

/// More is not held in memory.
const IN_MEMORY: usize = 64 * 1024;
