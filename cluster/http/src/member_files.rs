//! The files of a group as one of its members serves them: its own disk first, then the others.

use std::future::Future;
use std::net::IpAddr;

use fdfs_types::{FileId, FileKind};
use tracing::warn;

use crate::{Content, Source, SourceError, is_immutable};

/// What a member has on its own disk.
pub trait Local: Send + Sync + 'static {
    /// Opens a file that is here. This does not wait for anybody.
    fn open_here(&self, id: &FileId) -> Result<Content, SourceError>;

    /// Whether a file of this name was accepted here, so that nobody has a newer content.
    fn is_source(&self, id: &FileId) -> bool;
}

/// The files of a group as one of its members serves them.
#[derive(Debug)]
pub struct MemberFiles<L, P> {
    local: L,
    others: P,
}

impl<L: Local, P: Source> MemberFiles<L, P> {
    /// Serves what `local` has, and what the `others` have besides.
    pub fn new(local: L, others: P) -> Self {
        Self { local, others }
    }

    /// What is on this member's own disk.
    pub fn local(&self) -> &L {
        &self.local
    }

    /// The file as it is here, unless another member has a better one: the whole of what is cut off here, or the
    /// present content of an appender file that was accepted there.
    async fn best(&self, id: &FileId, here: Content) -> Result<Content, SourceError> {
        if let Some(expected) = announced_size(id).filter(|expected| *expected != here.size) {
            metrics::counter!("fdfs_http_damaged_files_total").increment(1);
            warn!(file_id = %id, expected, size = here.size, "the file here is not as long as its name says");
            return match self.others.open(id).await {
                Ok(other) if other.size == expected => Ok(other),
                // Members agree: the name is that of a slave which looks like another file's.
                Ok(other) if other.size == here.size => Ok(here),
                _ => Err(SourceError::Damaged),
            };
        }
        let is_appender = id.filename.kind() == Ok(FileKind::Appender);
        if is_appender && !self.local.is_source(id) {
            return match self.others.open(id).await {
                Ok(other) if (other.size, other.modified) != (here.size, here.modified) => Ok(other),
                _ => Ok(here),
            };
        }
        Ok(here)
    }
}

impl<L: Local, P: Source> Source for MemberFiles<L, P> {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        match self.local.open_here(id) {
            Ok(here) => self.best(id, here).await,
            Err(SourceError::NotFound) => self.others.open(id).await,
            // The disk failed here: somebody else may have it.
            Err(SourceError::Io(error)) => self.others.open(id).await.map_err(|_| SourceError::Io(error)),
            Err(error) => Err(error),
        }
    }

    fn members(&self, id: &FileId) -> impl Future<Output = Vec<IpAddr>> + Send {
        self.others.members(id)
    }
}

/// The size that the name of a file that cannot change tells.
fn announced_size(id: &FileId) -> Option<u64> {
    let is_plain = is_immutable(&id.filename) && id.filename.kind() == Ok(FileKind::Normal);
    id.filename.fields().ok().filter(|_| is_plain)?.size.size()
}
