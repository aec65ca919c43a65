//! A file of the local disk, or a part of one, as content.

use std::fs::File;
use std::future::Future as _;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

/// Bytes of a file of this machine.
#[derive(Clone, Debug)]
pub struct FilePiece {
    /// The file.
    pub file: Arc<File>,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many they are.
    pub length: usize,
}

/// A file of the local disk, or a part of one, as content.
///
/// What the page cache has is read where the request is served, so that it costs no change of threads; what it does
/// not have is waited for elsewhere, so that the disk stops nobody else.
#[derive(Debug)]
pub struct FileContent {
    file: Arc<File>,
    base: u64,
    next: u64,
    end: u64,
    waited_for: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileContent {
    const BLOCK: u64 = 256 * 1024;

    /// Reads the whole of `file`.
    pub fn new(file: Arc<File>) -> Self {
        Self::part(file, 0)
    }

    /// Reads `file` from `base` on, as if nothing stood before: a file in a slot of a trunk file.
    pub fn part(file: Arc<File>, base: u64) -> Self {
        Self { file, base, next: 0, end: 0, waited_for: None }
    }

    /// Waits for the disk elsewhere. The bytes come back where they are `wanted`, else they are in the page cache.
    fn poll_disk(&mut self, cx: &mut Context<'_>, length: u64, wanted: bool) -> Poll<io::Result<Bytes>> {
        let waiting = self.waited_for.get_or_insert_with(|| {
            let (file, offset) = (Arc::clone(&self.file), self.base + self.next);
            tokio::task::spawn_blocking(move || read_through(&file, offset..offset + length, wanted))
        });
        let done = ready!(Pin::new(waiting).poll(cx));
        self.waited_for = None;
        Poll::Ready(done.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}

impl FileContent {
    /// Starts at a new range.
    pub fn seek(&mut self, range: Range<u64>) {
        (self.next, self.end) = (range.start, range.end);
        self.waited_for = None;
    }

    /// The next bytes of the range, a block at the most; none at its end.
    pub fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let wanted = (self.end - self.next).min(Self::BLOCK);
        let mut block = BytesMut::zeroed(usize::try_from(wanted).expect("a block is small"));
        let is_here = self.waited_for.is_none() && read_now(&self.file, &mut block, self.base + self.next)?;
        let block = if is_here { block.freeze() } else { ready!(self.poll_disk(cx, wanted, true))? };
        self.next += wanted;
        Poll::Ready(Ok(block))
    }

    /// Where the next bytes of the range lie, at most `most`, once the page cache has them. They count as read.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<FilePiece>> {
        let length = (self.end - self.next).min(most);
        let offset = self.base + self.next;
        let is_here = self.waited_for.is_none() && is_cached(&self.file, offset..offset + length)?;
        if !is_here {
            ready!(self.poll_disk(cx, length, false))?;
        }
        self.next += length;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        Poll::Ready(Ok(FilePiece { file: Arc::clone(&self.file), offset, length }))
    }
}

/// Whether file systems here can tell what the page cache has. Those in memory cannot, and a call for each file to hear that
/// again costs as much as opening it.
struct Probe {
    in_vain: AtomicU32,
}

static PROBE: Probe = Probe { in_vain: AtomicU32::new(0) };

impl Probe {
    const ENOUGH: u32 = 64;
    const AGAIN: u32 = 256;

    /// After many calls in vain one of 256 is made: another store path may be on a disk.
    fn is_worth_it(&self) -> bool {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        in_vain < Self::ENOUGH || fastrand::u32(..Self::AGAIN) == 0
    }

    fn note(&self, result: &Result<usize, Errno>) {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        match result {
            Err(Errno::OPNOTSUPP) if in_vain < Self::ENOUGH => {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) | Err(Errno::AGAIN) if in_vain > 0 => self.in_vain.store(0, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// Fills `block` from the page cache; `false` where the disk has to be waited for.
fn read_now(file: &File, block: &mut [u8], offset: u64) -> io::Result<bool> {
    if !PROBE.is_worth_it() {
        return file.read_exact_at(block, offset).map(|()| true);
    }
    let result = preadv2(file, &mut [IoSliceMut::new(block)], offset, ReadWriteFlags::NOWAIT);
    PROBE.note(&result);
    match result {
        Ok(length) if length == block.len() => Ok(true),
        // The end of the file, or the end of what the cache has.
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            file.read_exact_at(block, offset).map(|()| true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the page cache seems to have a range: its first, middle and last byte.
fn is_cached(file: &File, range: Range<u64>) -> io::Result<bool> {
    if !PROBE.is_worth_it() {
        return Ok(true);
    }
    let last = range.end.saturating_sub(1).max(range.start);
    for at in [range.start, range.start.midpoint(last), last] {
        let result = preadv2(file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT);
        PROBE.note(&result);
        match result {
            Ok(1) => {}
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            // A file system that cannot tell, as one in memory: nothing is waited for there.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Reads a range, however long the disk takes.
fn read_through(file: &File, range: Range<u64>, wanted: bool) -> io::Result<Bytes> {
    let mut block = BytesMut::zeroed(usize::try_from(FileContent::BLOCK).expect("a block is small"));
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from((range.end - at).min(FileContent::BLOCK)).expect("a block is small");
        file.read_exact_at(&mut block[..length], at)?;
        at += length as u64;
        if wanted {
            block.truncate(length);
            return Ok(block.freeze());
        }
    }
    Ok(Bytes::new())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 256) as u8).collect()
    }

    /// A file that the page cache does not have, where the file system has one.
    fn cold_file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        Arc::new(file)
    }

    #[tokio::test]
    async fn what_the_page_cache_lacks_is_waited_for_elsewhere() {
        let content = pattern(1_000_000);
        let mut reader = FileContent::new(cold_file(&content));
        reader.seek(10..900_000);
        let mut read = Vec::new();
        while read.len() < 899_990 {
            read.extend(poll_fn(|cx| reader.poll_block(cx)).await.unwrap());
        }
        assert!(read == content[10..900_000]);
        let mut reader = FileContent::new(cold_file(&content));
        reader.seek(10..900_000);
        let piece = poll_fn(|cx| reader.poll_piece(cx, 500_000)).await.unwrap();
        assert_eq!((piece.offset, piece.length), (10, 500_000));
        let rest = poll_fn(|cx| reader.poll_piece(cx, 500_000)).await.unwrap();
        assert_eq!((rest.offset, rest.length), (500_010, 399_990));
    }

    #[test]
    fn a_file_system_that_cannot_tell_is_asked_seldom_and_one_that_can_always() {
        let probe = Probe { in_vain: AtomicU32::new(0) };
        for _ in 0..1000 {
            probe.note(&Err(Errno::OPNOTSUPP));
        }
        let asked = (0..25_600).filter(|_| probe.is_worth_it()).count();
        assert!((1..1000).contains(&asked), "{asked}");
        probe.note(&Err(Errno::AGAIN));
        assert!((0..1000).all(|_| probe.is_worth_it()));
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_a_content_of_its_own() {
        let content = pattern(10_000);
        let mut reader = FileContent::part(cold_file(&content), 4096);
        reader.seek(0..100);
        assert_eq!(poll_fn(|cx| reader.poll_block(cx)).await.unwrap(), content[4096..4196]);
        reader.seek(50..100);
        let piece = poll_fn(|cx| reader.poll_piece(cx, 1000)).await.unwrap();
        assert_eq!((piece.offset, piece.length), (4146, 50));
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_asked_for_is_an_error() {
        let mut reader = FileContent::new(cold_file(b"short"));
        reader.seek(0..100);
        assert!(poll_fn(|cx| reader.poll_block(cx)).await.is_err());
    }
}
