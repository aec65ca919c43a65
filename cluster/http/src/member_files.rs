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

    /// Whether another member may have a better file than the one here: the whole of what is cut off here, or the present
    /// content of an appender file that was accepted there.
    fn doubt(&self, id: &FileId, here: &Content) -> Option<Doubt> {
        match id.filename.kind() {
            Ok(FileKind::Normal) => {
                announced_size(id).filter(|expected| *expected != here.size).map(Doubt::Size)
            }
            Ok(FileKind::Appender) => (!self.local.is_source(id)).then_some(Doubt::Age),
            _ => None,
        }
    }

    /// The file as it is here, unless another member has a better one.
    async fn best(&self, id: &FileId, here: Content, doubt: Doubt) -> Result<Content, SourceError> {
        if let Doubt::Size(expected) = doubt {
            metrics::counter!("fdfs_http_damaged_files_total").increment(1);
            warn!(file_id = %id, expected, size = here.size, "the file here is not as long as its name says");
            return match self.others.open(id).await {
                Ok(other) if other.size == expected => Ok(other),
                // Members agree: the name is that of a slave which looks like another file's.
                Ok(other) if other.size == here.size => Ok(here),
                _ => Err(SourceError::Damaged),
            };
        }
        match self.others.open(id).await {
            Ok(other) if (other.size, other.modified) != (here.size, here.modified) => Ok(other),
            _ => Ok(here),
        }
    }
}

/// Why the file here may not be the best one.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// Its name tells another size.
    Size(u64),
    /// It may have changed where it was accepted.
    Age,
}

impl<L: Local, P: Source> Source for MemberFiles<L, P> {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        match self.local.open_here(id) {
            // What asks others is much larger than what does not, and seldom.
            Ok(here) => match self.doubt(id, &here) {
                None => Ok(here),
                Some(doubt) => Box::pin(self.best(id, here, doubt)).await,
            },
            Err(SourceError::NotFound) => Box::pin(self.others.open(id)).await,
            // The disk failed here: somebody else may have it.
            Err(SourceError::Io(error)) => {
                Box::pin(self.others.open(id)).await.map_err(|_| SourceError::Io(error))
            }
            Err(error) => Err(error),
        }
    }

    fn members(&self, id: &FileId) -> impl Future<Output = Vec<IpAddr>> + Send {
        self.others.members(id)
    }
}

/// The size that the name of a normal file tells, unless it is a slave's that looks like one.
fn announced_size(id: &FileId) -> Option<u64> {
    id.filename.fields().ok().filter(|_| is_immutable(&id.filename))?.size.size()
}
