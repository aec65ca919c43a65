//! Reading ahead: one stream for each handle that reads from front to back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fdfs_objects::{ObjectReader, ObjectStream, ObjectsError};
use futures_util::StreamExt;

use crate::budget::{Budget, Reserved};

/// What a handle has read of its file and not yet given away, and the stream that goes on from there.
///
/// The kernel asks for several ranges at once, and they may come here in another order: what was passed over stays for a while, and a range somewhat
/// ahead is waited for. What was given goes: the kernel has it. Every stream is a range of its own, longer each time, so that who reads a little does not make a storage
/// send a lot. The stream itself holds back the storage: nothing is taken from it before it is asked for. Where the budget has no room, streams are as long as what is asked
/// for, and what was passed over goes.
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
    /// The memory of `chunks`, and of a piece that the stream may bring.
    reserved: Reserved,
}

impl ReadAhead {
    /// Nothing is read yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            generation: 0,
            start: 0,
            chunks: VecDeque::new(),
            end: 0,
            given: 0,
            given_beyond: BTreeMap::new(),
            stream: None,
            next_length: FIRST,
            last_end: 0,
            used: None,
            reserved: Reserved::nothing(budget),
        }
    }

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
        let bytes = self.take(reader, offset, end, total).await?;
        self.note(offset, end);
        self.trim(offset);
        self.account();
        Ok(bytes)
    }

    /// Lets go of bytes and stream if they were not used lately.
    pub(crate) fn rest(&mut self, idle: Duration) {
        if self.used.is_some_and(|used| used.elapsed() >= idle) {
            self.forget();
        }
    }

    /// The bytes of a range: those that are here, and from the stream what is missing.
    async fn take(
        &mut self,
        reader: &ObjectReader,
        offset: u64,
        end: u64,
        total: u64,
    ) -> Result<Bytes, ObjectsError> {
        let mut wanted = Wanted { offset, end, first: Bytes::new(), more: BytesMut::new() };
        let mut at = self.start;
        for chunk in &self.chunks {
            wanted.look(at, chunk);
            at += chunk.len() as u64;
        }
        let mut failed = false;
        while self.end < end {
            match self.next(reader, end, total).await {
                Some(Ok(bytes)) => {
                    failed = false;
                    wanted.look(self.end, &bytes);
                    self.keep(offset, end, bytes);
                }
                // A stream that nobody read from for long may have been given up by the storage: it is opened again, once.
                Some(Err(error)) if failed => return Err(error),
                None if failed => return Err(ObjectsError::Unavailable("a read ended early".to_owned())),
                Some(Err(_)) | None => failed = true,
            }
        }
        Ok(wanted.into_bytes())
    }

    /// The next bytes of the stream, or of a new one from where the last has ended.
    async fn next(
        &mut self,
        reader: &ObjectReader,
        end: u64,
        total: u64,
    ) -> Option<Result<Bytes, ObjectsError>> {
        let (mut stream, stream_end) = match self.stream.take() {
            Some(open) => open,
            None => {
                let asked = end - self.end;
                let length = if self.reserved.bytes() >= PIECE || self.reserved.set(PIECE) {
                    self.next_length.max(asked)
                } else {
                    metrics::counter!("fdfs_mount_short_reads_ahead_total").increment(1);
                    asked
                };
                self.next_length = self.next_length.saturating_mul(2).min(LONGEST);
                let stream_end = self.end.saturating_add(length).min(total);
                (reader.read(self.end..stream_end), stream_end)
            }
        };
        let next = stream.next().await;
        if let Some(Ok(bytes)) = &next
            && self.end + (bytes.len() as u64) < stream_end
        {
            self.stream = Some((stream, stream_end));
        }
        next
    }

    /// Keeps what came, but for what is given to who asked for `offset` to `end` and comes behind nothing else.
    fn keep(&mut self, offset: u64, end: u64, bytes: Bytes) {
        let bytes_end = self.end + bytes.len() as u64;
        if self.chunks.is_empty() && self.start == self.end && self.end >= offset {
            // It begins with what is given.
            let kept_from = end.clamp(self.end, bytes_end);
            let rest = bytes.slice((kept_from - self.end) as usize..);
            self.start = kept_from;
            if !rest.is_empty() {
                self.chunks.push_back(rest);
            }
        } else if !bytes.is_empty() {
            self.chunks.push_back(bytes);
        }
        self.end = bytes_end;
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

    /// Counts what is kept; where there is no room for it, the oldest of it goes: it is read again should anybody ask for it.
    fn account(&mut self) {
        let piece = if self.stream.is_some() { PIECE } else { 0 };
        let mut kept: usize = self.chunks.iter().map(Bytes::len).sum();
        while !self.reserved.set(kept.max(piece)) {
            let Some(first) = self.chunks.pop_front() else { return };
            self.start += first.len() as u64;
            kept -= first.len();
        }
    }

    fn forget(&mut self) {
        self.chunks.clear();
        self.stream = None;
        self.next_length = FIRST;
        (self.start, self.end, self.given) = (0, 0, 0);
        self.given_beyond.clear();
        self.used = None;
        self.reserved.set(0);
    }
}

/// A range that is gathered out of what lies beside each other.
struct Wanted {
    offset: u64,
    end: u64,
    /// All of it, if one piece had it.
    first: Bytes,
    more: BytesMut,
}

impl Wanted {
    /// Takes what it wants of a piece that begins at `at`.
    fn look(&mut self, at: u64, piece: &Bytes) {
        let piece_end = at + piece.len() as u64;
        let (from, to) = (self.offset.clamp(at, piece_end) - at, self.end.clamp(at, piece_end) - at);
        let part = from as usize..to as usize;
        if part.is_empty() {
            return;
        }
        if part.len() as u64 == self.end - self.offset {
            self.first = piece.slice(part);
            return;
        }
        self.more.reserve((self.end - self.offset) as usize - self.more.len());
        self.more.extend_from_slice(&piece[part]);
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
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
/// Bytes that a stream brings at once, at most.
pub(crate) const PIECE: usize = 256 * 1024;
