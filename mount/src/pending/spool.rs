//! Content written in any order: what was written waits in a local file without a name, the rest stays where it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use fdfs_objects::{Attributes, ContentPatch, ObjectReader, ObjectWriter, ObjectsError};
use rustix::fs::{FallocateFlags, fallocate};

use super::{PIECE, finish};
use crate::error::FsError;
use crate::file_system::FileSystem;

/// Content written in any order.
pub(crate) struct Spool {
    /// What was written, at its offset.
    file: File,
    /// Which of it: parts that neither touch nor overlap, each with its end.
    parts: BTreeMap<u64, u64>,
    /// The content of before.
    base: Option<ObjectReader>,
    /// How many of its bytes are still the content's.
    kept: u64,
    size: u64,
}

impl Spool {
    /// Content that begins as `bytes`.
    pub(super) fn of_bytes(fs: &FileSystem, bytes: &[u8]) -> Result<Self, FsError> {
        let mut spool = Self { file: fs.spool_file()?, parts: BTreeMap::new(), base: None, kept: 0, size: 0 };
        spool.write(0, bytes)?;
        Ok(spool)
    }

    /// Content that begins as what is committed.
    pub(super) fn over(fs: &FileSystem, base: &ObjectReader) -> Result<Self, FsError> {
        let size = base.info().size();
        let file = fs.spool_file()?;
        Ok(Self { file, parts: BTreeMap::new(), base: Some(base.clone()), kept: size, size })
    }

    /// Bytes of content.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// True if nothing was ever written to it: it is zeros.
    pub(super) fn is_blank(&self) -> bool {
        self.parts.is_empty() && self.base.as_ref().is_none_or(|base| base.pieces() == 0)
    }

    /// Writes bytes.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        self.file.write_all_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        self.note(offset..end);
        self.size = self.size.max(end);
        Ok(())
    }

    /// Cuts the content, or adds zeros.
    pub(super) fn resize(&mut self, size: u64) -> Result<(), FsError> {
        if size < self.size {
            self.file.set_len(size)?;
            self.parts.split_off(&size);
            if let Some(mut last) = self.parts.last_entry() {
                let end = *last.get();
                last.insert(end.min(size));
            }
            self.kept = self.kept.min(size);
        }
        self.size = size;
        Ok(())
    }

    /// Makes a range within the content read as zeros.
    pub(super) fn zero(&mut self, range: Range<u64>) -> Result<(), FsError> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(&self.file, flags, range.start, range.end - range.start).is_ok() {
            // It is as long as what was written reaches.
            self.file.set_len(self.file.metadata()?.len().max(range.end))?;
            self.note(range);
            return Ok(());
        }
        let zeros = [0; 64 * 1024];
        for at in range.clone().step_by(zeros.len()) {
            let length = (range.end - at).min(zeros.len() as u64);
            self.write(at, &zeros[..length as usize])?;
        }
        Ok(())
    }

    /// Reads a range, cut at the end.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, FsError> {
        let end = range.end.min(self.size);
        let mut at = range.start.min(end);
        let mut bytes = BytesMut::zeroed((end - at) as usize);
        let start = at;
        while at < end {
            let (next, is_written) = self.piece(at);
            let next = next.min(end);
            let place = &mut bytes[(at - start) as usize..(next - start) as usize];
            if is_written {
                self.file.read_exact_at(place, at)?;
            } else if let Some(base) = self.base.as_ref().filter(|_| at < self.kept) {
                let read = base.read_bytes(at..next.min(self.kept)).await?;
                place[..read.len()].copy_from_slice(&read);
            }
            at = next;
        }
        Ok(bytes.freeze())
    }

    /// Makes it the content of `inode`: what was written alone, where the rest can stay.
    pub(super) async fn commit(
        &self,
        fs: &FileSystem,
        inode: u64,
        mtime: i64,
    ) -> Result<Attributes, ObjectsError> {
        let written: u64 = self.parts.iter().map(|(start, end)| end - start).sum();
        let pieces = self.base.as_ref().map_or(0, ObjectReader::pieces);
        let is_soon_written = match &self.base {
            Some(_) => written.saturating_mul(2) >= self.size && self.size <= SOON_WRITTEN,
            None => self.size - written <= SOON_WRITTEN,
        };
        if written == 0 || is_soon_written || self.parts.len() + pieces > MANY {
            return self.commit_whole(fs, inode, mtime).await;
        }
        let parts: Vec<Range<u64>> = self.parts.iter().map(|(start, end)| *start..*end).collect();
        let base = self.base.as_ref().map(|base| &base.info().attributes);
        let patch = ContentPatch::new(base, self.kept, parts.clone(), self.size);
        let mut writer = fs.objects.write_parts(inode, patch).await?;
        self.send(&mut writer, parts.into_iter()).await?;
        match finish(writer, mtime).await {
            // Somebody else wrote meanwhile. Who closes last has written all of it, not a mix of both.
            Err(ObjectsError::PreconditionFailed) => self.commit_whole(fs, inode, mtime).await,
            committed => {
                metrics::counter!("fdfs_mount_patches_total").increment(1);
                committed
            }
        }
    }

    async fn commit_whole(
        &self,
        fs: &FileSystem,
        inode: u64,
        mtime: i64,
    ) -> Result<Attributes, ObjectsError> {
        let mut writer = fs.objects.write_inode(inode, Some(self.size)).await?;
        self.send(&mut writer, std::iter::once(0..self.size)).await?;
        finish(writer, mtime).await
    }

    /// Sends parts of the content one after the other, in pieces of a usual length however short the parts are.
    async fn send(
        &self,
        writer: &mut ObjectWriter,
        parts: impl Iterator<Item = Range<u64>>,
    ) -> Result<(), ObjectsError> {
        let mut gathered = BytesMut::new();
        for part in parts {
            let mut at = part.start;
            while at < part.end {
                let end = part.end.min(at + (PIECE - gathered.len()) as u64);
                let bytes = self.read(at..end).await.map_err(|error| match error {
                    FsError::Objects(error) => error,
                    error => ObjectsError::Internal(error.to_string()),
                })?;
                at = end;
                if gathered.is_empty() && bytes.len() == PIECE {
                    writer.write(bytes).await?;
                    continue;
                }
                gathered.extend_from_slice(&bytes);
                if gathered.len() == PIECE {
                    writer.write(std::mem::take(&mut gathered).freeze()).await?;
                }
            }
        }
        if gathered.is_empty() { Ok(()) } else { writer.write(gathered.freeze()).await }
    }

    /// How far the piece reaches in which `at` is, and whether it was written.
    fn piece(&self, at: u64) -> (u64, bool) {
        if let Some((_, end)) = self.parts.range(..=at).next_back().filter(|(_, end)| **end > at) {
            return (*end, true);
        }
        let next = self.parts.range(at..).next().map_or(u64::MAX, |(start, _)| *start);
        // What is kept ends somewhere, and zeros begin.
        (if at < self.kept { next.min(self.kept) } else { next }, false)
    }

    fn note(&mut self, mut part: Range<u64>) {
        if part.is_empty() {
            return;
        }
        let touching = |(start, end): (&u64, &u64)| (*end >= part.start).then_some((*start, *end));
        if let Some((start, end)) = self.parts.range(..=part.start).next_back().and_then(touching) {
            self.parts.remove(&start);
            part = start..end.max(part.end);
        }
        while let Some((start, end)) =
            self.parts.range(part.start..=part.end).next().map(|(start, end)| (*start, *end))
        {
            self.parts.remove(&start);
            part.end = part.end.max(end);
        }
        self.parts.insert(part.start, part.end);
    }
}

/// Content up to this many bytes of which most was written is written anew, and so are holes of a new one: one file is better than two.
pub(super) const SOON_WRITTEN: u64 = 64 * 1024 * 1024;
/// Parts that a commit may bring, with the pieces that the content consists of already; with more it is written anew at once. Every part may make two pieces, and
/// each is 100 bytes of a transaction.
const MANY: usize = 10_000;
