//! Files that carry owner tokens.

use std::num::NonZeroU64;

use fdfs_proto::ours::{OwnedFile, OwnerToken};

use super::{Store, Upload, io_error};
use crate::StoreError;

impl Upload {
    /// The file is for `owner`: written down before it gets its name, kept until it is forgotten or the file
    /// is deleted.
    pub fn set_owner(&mut self, owner: OwnerToken) {
        self.owner = Some(owner);
    }
}

impl Store {
    /// The files of a session behind the sequence `after`, and whether there are more. All files of one
    /// sequence come together, so that a page may be longer than `limit`.
    pub fn owned_files(&self, session: NonZeroU64, after: u64, limit: usize) -> (Vec<OwnedFile>, bool) {
        self.0.owners.list(session, after, limit)
    }

    /// Forgets the tokens of a session that have these sequences; the files stay.
    pub fn forget_owned_files(&self, session: NonZeroU64, sequences: &[u64]) -> Result<(), StoreError> {
        self.0.owners.forget(session, sequences).map_err(io_error("writing owner tokens"))
    }
}
