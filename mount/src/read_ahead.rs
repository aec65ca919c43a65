//! Reading ahead: one stream for each handle that reads from front to back.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fdfs_objects::{ObjectReader, ObjectStream, ObjectsError};
use futures_util::StreamExt;

/// What a handle has read of its file and not yet given away, and the stream that goes on from there.
///
/// The kernel asks for several ranges at once, and they may come here in another order: what was passed over stays for a while, and a range somewhat
/// ahead is waited for. What was given goes: the kernel has it. Every stream is a range of its own, longer each time, so that who reads a little does not make a storage
/// send a lot.
#[derive(Default)]
pub(crate) struct ReadAhead {
    /// Which content the bytes are of.
    generation: u64,
    /// Offset of the first byte kept.
    start: u64,
    chunks: VecDeque<Bytes>,
    /// The first byte after those kept.
    end: u64,
    /// Up to where everything was given.
    given: u64,
    /// What was given beyond: where it begins and ends.
    given_beyond: BTreeMap<u64, u64>,
    stream: Option<(ObjectStream, u64)>,
    /// Length of the next stream.
    next_length: u64,
    /// Where the read before ended.
    last_end: u64,
    used: Option<Instant>,
}

impl ReadAhead {
    /// Reads a range, which is cut at the content's end.
    pub(crate) async fn read(
        &mut self,
        reader: &ObjectReader,
        generation: u64,
        offset: u64,
        size: u32,
    ) -> Result<Bytes, ObjectsError> {
        let total = reader.info().size();
        let end = offset.saturating_add(u64::from(size)).min(total);
        if offset >= end {
            return Ok(Bytes::new());
        }
        if generation != self.generation {
            self.forget();
            self.generation = generation;
        }
        let near = self.start <= offset && offset <= self.end.saturating_add(GAP) && self.end > 0;
        if !near {
            let sequential = offset == 0 || offset == self.last_end;
            self.last_end = end;
            if !sequential {
                return reader.read_bytes(offset..end).await;
            }
            self.forget();
            (self.start, self.end, self.given) = (offset, offset, offset);
        }
        self.last_end = end;
        self.used = Some(Instant::now());
        self.fill(reader, end, total).await?;
        let bytes = self.copy(offset, end);
        self.note(offset, end);
        self.trim(offset);
        Ok(bytes)
    }

    /// Lets go of bytes and stream if they were not used lately.
    pub(crate) fn rest(&mut self, idle: Duration) {
        if self.used.is_some_and(|used| used.elapsed() >= idle) {
            self.forget();
        }
    }

    /// Takes from the stream until everything before `end` is here.
    async fn fill(&mut self, reader: &ObjectReader, end: u64, total: u64) -> Result<(), ObjectsError> {
        let mut failed = false;
        while self.end < end {
            let (mut stream, stream_end) = match self.stream.take() {
                Some(open) => open,
                None => {
                    let wanted = self.next_length.max(end - self.end);
                    let stream_end = self.end.saturating_add(wanted).min(total);
                    self.next_length = self.next_length.saturating_mul(2).min(LONGEST);
                    (reader.read(self.end..stream_end), stream_end)
                }
            };
            match stream.next().await {
                Some(Ok(bytes)) => {
                    failed = false;
                    self.end += bytes.len() as u64;
                    if !bytes.is_empty() {
                        self.chunks.push_back(bytes);
                    }
                    if self.end < stream_end {
                        self.stream = Some((stream, stream_end));
                    }
                }
                // A stream that nobody read from for long may have been given up by the storage: it is opened again, once.
                Some(Err(error)) if failed => return Err(error),
                None if failed => return Err(ObjectsError::Unavailable("a read ended early".to_owned())),
                Some(Err(_)) | None => failed = true,
            }
        }
        Ok(())
    }

    fn copy(&self, offset: u64, end: u64) -> Bytes {
        let mut at = self.start;
        let mut pieces = self.chunks.iter().filter_map(|chunk| {
            let chunk_start = at;
            at += chunk.len() as u64;
            let from = offset.clamp(chunk_start, at) - chunk_start;
            let to = end.clamp(chunk_start, at) - chunk_start;
            (from < to).then(|| chunk.slice(from as usize..to as usize))
        });
        let first = pieces.next().unwrap_or_default();
        let Some(second) = pieces.next() else { return first };
        let mut bytes = BytesMut::with_capacity((end - offset) as usize);
        bytes.extend_from_slice(&first);
        bytes.extend_from_slice(&second);
        for piece in pieces {
            bytes.extend_from_slice(&piece);
        }
        bytes.freeze()
    }

    fn note(&mut self, offset: u64, end: u64) {
        self.given_beyond.insert(offset, end);
        while let Some(entry) = self.given_beyond.first_entry().filter(|first| *first.key() <= self.given) {
            self.given = self.given.max(entry.remove());
        }
    }

    /// Drops what was given, and what lies well before `offset`.
    fn trim(&mut self, offset: u64) {
        while let Some(first) = self.chunks.front() {
            let first_end = self.start + first.len() as u64;
            if first_end > self.given && first_end.saturating_add(KEPT) > offset {
                return;
            }
            self.start = first_end;
            self.chunks.pop_front();
        }
    }

    fn forget(&mut self) {
        self.chunks.clear();
        self.stream = None;
        self.next_length = FIRST;
        (self.start, self.end, self.given) = (0, 0, 0);
        self.given_beyond.clear();
        self.used = None;
    }
}

/// Bytes of the first stream.
const FIRST: u64 = 256 * 1024;
/// Bytes of the longest stream.
const LONGEST: u64 = 64 * 1024 * 1024;
/// How far behind a read what was passed over stays.
const KEPT: u64 = 4 * 1024 * 1024;
/// How far ahead of the stream a read may begin and still wait for it.
const GAP: u64 = 1024 * 1024;
