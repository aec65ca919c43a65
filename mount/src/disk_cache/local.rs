//! What of a file that a program has open is on the local disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fdfs_objects::ObjectInfo;
use rustix::io::{ReadWriteFlags, preadv2};

use super::{Cacheable, DiskCache, Filling};

/// What of a file that a program has open is on the local disk.
#[derive(Default)]
pub(crate) enum Local {
    /// Nothing, and nothing will be.
    #[default]
    Nothing,
    /// All of this content.
    Whole(Cacheable, Arc<File>),
    /// What was read of it so far.
    Filling(Arc<Filling>),
}

impl Local {
    /// What there is of a content.
    pub(crate) async fn of(cache: &Arc<DiskCache>, info: &ObjectInfo) -> Self {
        let Some(wanted) = Cacheable::of(info) else { return Self::Nothing };
        match cache.find(&wanted).await {
            Some(file) => Self::Whole(wanted, file),
            None => cache.fill(&wanted).map_or(Self::Nothing, Self::Filling),
        }
    }

    /// The file, if it has the content.
    pub(crate) fn whole(&self, info: &ObjectInfo) -> Option<&Arc<File>> {
        match self {
            Self::Whole(of, file) => {
                Cacheable::of(info).is_some_and(|content| content == *of).then_some(file)
            }
            Self::Nothing | Self::Filling(_) => None,
        }
    }

    /// Who gathers the content.
    pub(crate) fn filling(&self, info: &ObjectInfo) -> Option<Arc<Filling>> {
        match self {
            Self::Filling(filling) => {
                let is_same = Cacheable::of(info).is_some_and(|content| content == *filling.wanted());
                is_same.then(|| Arc::clone(filling))
            }
            Self::Nothing | Self::Whole(..) => None,
        }
    }
}

/// Reads a range of a file: at once where the kernel has it in memory.
pub(crate) async fn read(file: &Arc<File>, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = BytesMut::zeroed(length);
    let at_once = preadv2(file, &mut [IoSliceMut::new(&mut bytes)], offset, ReadWriteFlags::NOWAIT);
    if at_once == Ok(length) {
        return Ok(bytes.freeze());
    }
    let file = Arc::clone(file);
    let read = tokio::task::spawn_blocking(move || file.read_exact_at(&mut bytes, offset).map(|()| bytes));
    Ok(read.await.unwrap_or_else(|ended| Err(io::Error::other(ended)))?.freeze())
}
