//! Content that is read and thrown away: it is here already, or cannot be used.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use super::{Replicated, Shared};
use crate::StoreError;

/// Content to be thrown away.
#[derive(Debug)]
pub(super) struct Discard {
    answer: Replicated,
    /// To be recorded at the end.
    line: Option<(Arc<Shared>, String)>,
    /// What should be equal, and from where on.
    present: Option<(File, u64)>,
    differs: bool,
}

impl Discard {
    /// It is here, which `line` records.
    pub(super) fn known(store: &Arc<Shared>, line: String) -> Self {
        let line = Some((Arc::clone(store), line));
        Self { answer: Replicated::Has, line, present: None, differs: false }
    }

    /// Nothing is done with it.
    pub(super) fn unused(answer: Replicated) -> Self {
        Self { answer, line: None, present: None, differs: false }
    }

    /// It should be in `file` from `offset` on; where that holds something else, the whole file is wanted.
    pub(super) fn compared(file: File, offset: u64) -> Self {
        Self { present: Some((file, offset)), ..Self::unused(Replicated::Has) }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some((file, offset)) = &mut self.present else { return Ok(()) };
        let mut block = [0; BLOCK];
        for piece in bytes.chunks(BLOCK) {
            if self.differs {
                break;
            }
            let block = &mut block[..piece.len()];
            // The file may have become shorter meanwhile.
            self.differs = file.read_exact_at(block, *offset).is_err() || block != piece;
            *offset += piece.len() as u64;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Replicated, StoreError> {
        if self.differs {
            return Ok(Replicated::Lacks);
        }
        if let Some((store, line)) = self.line {
            store.binlog.check()?;
            store.record_replica(&line, false)?;
        }
        Ok(self.answer)
    }
}

const BLOCK: usize = 16 * 1024;
