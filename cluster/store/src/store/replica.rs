//! What peers send: their changes, applied here.
//!
//! Every change has an answer that the sender acts on. [`Replicated::Has`] means "done before" for all but deletes and
//! links, [`Replicated::Lacks`] means "send me the whole file" for appends, modifications and renames, and "done
//! before" for deletes. The rows are in `FORMAT.md`.

mod discard;
mod file;
mod name;
mod range;

use fdfs_types::RemoteFilename;

use self::{discard::Discard, file::ReplicaFile};
use super::{Patch, SIDECAR, Shared, Store};
use crate::{StoreError, layout::StorePath, trunk::TrunkFile};

/// What became of a change that a peer has sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replicated {
    /// It is made, or needs nothing.
    Done,
    /// It has been made before, or is not for what is here.
    Has,
    /// The file is not here, or not as the change needs it.
    Lacks,
}

/// Content that a peer is sending. Dropped before [`Replica::finish`], it changes nothing.
#[derive(Debug)]
pub struct Replica(Content);

#[derive(Debug)]
enum Content {
    File(Box<ReplicaFile>),
    Patch(Patch),
    Discard(Discard),
}

impl Replica {
    /// Of metadata of one second what comes stays, and not what has the greater checksum: its sender gives two changes of
    /// one second the same time.
    pub fn win_ties(&mut self) {
        if let Content::File(file) = &mut self.0 {
            file.wins_ties = true;
        }
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        match &mut self.0 {
            Content::File(file) => file.write(bytes),
            Content::Patch(patch) => patch.write(bytes),
            Content::Discard(discard) => discard.write(bytes),
        }
    }

    /// Makes the change and records it. When this returns it may be answered.
    pub fn finish(self) -> Result<Replicated, StoreError> {
        match self.0 {
            Content::File(file) => file.finish(),
            Content::Patch(patch) => range::finish(patch),
            Content::Discard(discard) => discard.finish(),
        }
    }
}

impl Shared {
    /// The store path of a name that a peer may use: a file's or a sidecar's.
    fn path_for_peer(&self, name: &RemoteFilename) -> Result<&StorePath, StoreError> {
        let path = self.path_of(name)?;
        if is_container(name) {
            return Err(StoreError::InvalidName { reason: "trunk files themselves are not replicated" });
        }
        Ok(path)
    }
}

/// Whether a name is that of metadata.
fn is_sidecar(name: &RemoteFilename) -> bool {
    name.local_path().ends_with(SIDECAR)
}

/// Whether a name is that of a whole trunk file.
fn is_container(name: &RemoteFilename) -> bool {
    TrunkFile::of_container(name).is_some()
}
