//! Content that is being written and is not yet anybody else's.

mod spool;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fdfs_objects::{Attributes, CommitOptions, ObjectReader, ObjectWriter, ObjectsError};

use self::spool::{SOON_WRITTEN, Spool};
use crate::budget::{Budget, Reserved};
use crate::error::FsError;
use crate::file_system::FileSystem;

/// The whole content of a file as it will be when it is committed.
///
/// Small content waits in memory, where any of it may be written again. What grows beyond that, byte after byte, goes to a storage as
/// it comes, whether its size was reserved before or not. What is written in another order waits in a local spool: of a large content
/// that is there, only what is written.
pub(crate) enum Pending {
    /// All of it.
    Memory(Memory),
    /// On its way to a storage, up to what was written.
    Stream(Box<Streaming>),
    /// In a local file without a name.
    Spool(Box<Spool>),
}

/// An upload under way, and bytes that are gathered so that it gets no small pieces.
pub(crate) struct Streaming {
    writer: ObjectWriter,
    waiting: BytesMut,
    /// The size that was reserved for the content: zeros after what is written.
    reserved: u64,
}

/// Bytes that count against the memory of the mount.
pub(crate) struct Memory {
    bytes: Vec<u8>,
    reserved: Reserved,
}

impl Pending {
    /// No content.
    pub(crate) fn empty(budget: &Arc<Budget>) -> Self {
        Self::Memory(Memory { bytes: Vec::new(), reserved: Reserved::nothing(budget) })
    }

    /// A content that is there, to be changed.
    pub(crate) async fn load(fs: &FileSystem, reader: &ObjectReader) -> Result<Self, FsError> {
        let size = reader.info().size();
        let mut memory = Memory { bytes: Vec::new(), reserved: Reserved::nothing(&fs.budget) };
        if memory.grow(size) {
            let bytes = reader.read_bytes(0..size).await?;
            memory.bytes[..bytes.len()].copy_from_slice(&bytes);
            return Ok(Self::Memory(memory));
        }
        Ok(Self::Spool(Box::new(Spool::over(fs, reader)?)))
    }

    /// Bytes of content.
    pub(crate) fn size(&self) -> Result<u64, FsError> {
        Ok(match self {
            Self::Memory(memory) => memory.bytes.len() as u64,
            Self::Stream(stream) => stream.size(),
            Self::Spool(spool) => spool.size(),
        })
    }

    /// True for a stream: only its end can be written, and nothing of it read.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// True if `offset` can be written as things are.
    pub(crate) fn takes(&self, offset: u64) -> bool {
        match self {
            Self::Stream(stream) => stream.end() == offset,
            Self::Memory(_) | Self::Spool(_) => true,
        }
    }

    /// Writes bytes; a stream takes them at its end only.
    pub(crate) async fn write(
        self,
        fs: &FileSystem,
        inode: u64,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Self, (Option<Self>, FsError)> {
        let end = offset.saturating_add(bytes.len() as u64);
        match self {
            Self::Memory(mut memory) => {
                if memory.grow(end) {
                    let at = offset as usize;
                    memory.bytes[at..at + bytes.len()].copy_from_slice(&bytes);
                    return Ok(Self::Memory(memory));
                }
                if offset == memory.bytes.len() as u64 {
                    let writer = match fs.objects.write_inode(inode, None).await {
                        Ok(writer) => writer,
                        Err(error) => return Err((Some(Self::Memory(memory)), error.into())),
                    };
                    let Memory { bytes: before, reserved: _until_sent } = memory;
                    return Streaming::begin(writer, 0, [Bytes::from(before), bytes]).await;
                }
                let spool = Spool::of_bytes(fs, &memory.bytes).and_then(|mut spool| {
                    spool.write(offset, &bytes)?;
                    Ok(spool)
                });
                match spool {
                    Ok(spool) => Ok(Self::Spool(Box::new(spool))),
                    Err(error) => Err((Some(Self::Memory(memory)), error)),
                }
            }
            Self::Stream(mut stream) => match stream.write(bytes).await {
                Ok(()) => Ok(Self::Stream(stream)),
                Err(error) => Err((None, FsError::Lost(error))),
            },
            Self::Spool(spool) if offset == 0 && bytes.len() >= LARGE && spool.is_blank() => {
                match fs.objects.write_inode(inode, None).await {
                    Ok(writer) => Streaming::begin(writer, spool.size(), [bytes]).await,
                    Err(error) => Err((Some(Self::Spool(spool)), error.into())),
                }
            }
            Self::Spool(mut spool) => match spool.write(offset, &bytes) {
                Ok(()) => Ok(Self::Spool(spool)),
                Err(error) => Err((Some(Self::Spool(spool)), error)),
            },
        }
    }

    /// Cuts the content, or adds zeros. Not for streams.
    pub(crate) fn resize(&mut self, fs: &FileSystem, size: u64) -> Result<(), FsError> {
        match self {
            Self::Memory(memory) if size <= memory.bytes.len() as u64 => {
                memory.bytes.truncate(size as usize);
            }
            Self::Memory(memory) => {
                if !memory.grow(size) {
                    let mut spool = Spool::of_bytes(fs, &memory.bytes)?;
                    spool.resize(size)?;
                    *self = Self::Spool(Box::new(spool));
                }
            }
            Self::Spool(spool) => spool.resize(size)?,
            Self::Stream(_) => return Err(FsError::Unsupported("a stream is not cut")),
        }
        Ok(())
    }

    /// Makes a range within the content read as zeros. Not for streams.
    pub(crate) fn zero(&mut self, range: Range<u64>) -> Result<(), FsError> {
        if range.is_empty() {
            return Ok(());
        }
        match self {
            Self::Memory(memory) => memory.bytes[range.start as usize..range.end as usize].fill(0),
            Self::Spool(spool) => spool.zero(range)?,
            Self::Stream(_) => return Err(FsError::Unsupported("a stream has no holes")),
        }
        Ok(())
    }

    /// Reads a range, cut at the end. Not for streams.
    pub(crate) async fn read(&mut self, offset: u64, size: u32) -> Result<Bytes, FsError> {
        let end = offset.saturating_add(u64::from(size)).min(self.size()?);
        if offset >= end {
            return Ok(Bytes::new());
        }
        match self {
            Self::Memory(memory) => Ok(Bytes::copy_from_slice(&memory.bytes[offset as usize..end as usize])),
            Self::Spool(spool) => spool.read(offset..end).await,
            Self::Stream(_) => Err(FsError::Unsupported("a stream is not read")),
        }
    }

    /// Makes it the content of `inode`. What is not a stream stays at hand, also when this fails.
    pub(crate) async fn commit(
        self,
        fs: &FileSystem,
        inode: u64,
        mtime: i64,
    ) -> (Option<Self>, Result<Attributes, ObjectsError>) {
        match self {
            Self::Stream(stream) => (None, stream.commit(mtime).await),
            Self::Memory(Memory { bytes, reserved }) => {
                let bytes = Bytes::from(bytes);
                let committed = commit_bytes(fs, inode, bytes.clone(), mtime).await;
                // Nobody else has them any more: they are not copied.
                (Some(Self::Memory(Memory { bytes: Vec::from(bytes), reserved })), committed)
            }
            Self::Spool(spool) => match spool.commit(fs, inode, mtime).await {
                // What comes next is written over what is committed now.
                Ok(attributes) => (None, Ok(attributes)),
                Err(error) => (Some(Self::Spool(spool)), Err(error)),
            },
        }
    }
}

impl Streaming {
    /// An upload that begins with these bytes.
    async fn begin(
        writer: ObjectWriter,
        reserved: u64,
        pieces: impl IntoIterator<Item = Bytes>,
    ) -> Result<Pending, (Option<Pending>, FsError)> {
        let mut stream = Self { writer, waiting: BytesMut::new(), reserved };
        for bytes in pieces {
            if let Err(error) = stream.write(bytes).await {
                return Err((None, FsError::Lost(error)));
            }
        }
        Ok(Pending::Stream(Box::new(stream)))
    }

    fn size(&self) -> u64 {
        self.end().max(self.reserved)
    }

    /// Where what is written ends.
    fn end(&self) -> u64 {
        self.writer.written() + self.waiting.len() as u64
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        if self.waiting.is_empty() && bytes.len() >= PIECE {
            return self.writer.write(bytes).await;
        }
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() >= PIECE { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), ObjectsError> {
        let waiting = std::mem::take(&mut self.waiting).freeze();
        self.writer.write(waiting).await
    }

    async fn commit(mut self, mtime: i64) -> Result<Attributes, ObjectsError> {
        if self.size() - self.end() <= SOON_WRITTEN {
            while self.end() < self.size() {
                let rest = self.size() - self.end();
                self.write(Bytes::from_static(&ZEROS[..rest.min(PIECE as u64) as usize])).await?;
            }
        }
        self.send().await?;
        let options = CommitOptions { size: Some(self.reserved), ..options(mtime) };
        Ok(self.writer.commit(options).await?.attributes)
    }
}

impl Memory {
    /// Makes room for content up to `end`; false if that is too much to be kept in memory.
    fn grow(&mut self, end: u64) -> bool {
        let length = self.bytes.len();
        let Ok(end) = usize::try_from(end) else { return false };
        if end <= length {
            return true;
        }
        if end > SMALL {
            return false;
        }
        if end > self.bytes.capacity() {
            let room = end.next_power_of_two();
            if !self.reserved.set(room) {
                return false;
            }
            self.bytes.reserve_exact(room - length);
        }
        self.bytes.resize(end, 0);
        true
    }
}

async fn commit_bytes(
    fs: &FileSystem,
    inode: u64,
    bytes: Bytes,
    mtime: i64,
) -> Result<Attributes, ObjectsError> {
    let mut writer = fs.objects.write_inode(inode, Some(bytes.len() as u64)).await?;
    writer.write(bytes).await?;
    finish(writer, mtime).await
}

async fn finish(writer: ObjectWriter, mtime: i64) -> Result<Attributes, ObjectsError> {
    Ok(writer.commit(options(mtime)).await?.attributes)
}

fn options(mtime: i64) -> CommitOptions {
    CommitOptions { mtime: Some(mtime), ..CommitOptions::default() }
}

/// Content up to this many bytes waits in memory.
pub(crate) const SMALL: usize = 1024 * 1024;
/// Bytes that are read from the spool, and sent to a storage, at once.
const PIECE: usize = 256 * 1024;
/// A file that was reserved and gets so many bytes at its beginning is believed to be written from front to back.
const LARGE: usize = 128 * 1024;
/// What was reserved and not written.
static ZEROS: [u8; PIECE] = [0; PIECE];
