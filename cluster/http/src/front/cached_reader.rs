//! Reads a content part by part: from the cache, from what is being fetched, or past both.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fdfs_client::Trail;
use fdfs_types::FileId;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use super::cache::{Cache, Cached, Object};
use super::fetching::{Fetching, part};
use super::fill::Fill;
use super::origin::Blocks;
use crate::front::{Identity, Origin, OriginError};
use crate::{FileContent, FilePiece, Reader};

/// Reads one content.
pub(super) struct CachedReader<O> {
    fetching: Arc<Fetching<O>>,
    id: FileId,
    identity: Identity,
    /// As the cache knows it; absent if it is not to be cached.
    object: Option<Arc<Object>>,
    next: u64,
    end: u64,
    from: From,
    /// Bytes that were waited for and not taken yet.
    peeked: Option<Bytes>,
    /// Failures since the last byte came, and when they began.
    failures: u32,
    failing_since: Option<Instant>,
    /// Whether bytes of what was being fetched were handed out.
    began: bool,
    /// Who wants to know which storages are asked.
    trail: Option<Trail>,
}

/// Where the next bytes come from.
enum From {
    /// Not known yet.
    Nowhere,
    Memory(Bytes),
    /// A file, up to this byte of the content.
    File(FileContent, u64),
    /// A part that is being fetched, and which one.
    Fill(Arc<Fill>, u32),
    /// Waits for more of a part that is being fetched.
    Waiting(Arc<Fill>, BoxFuture<'static, Result<Bytes, OriginError>>),
    /// Reads a file that has to be checked first.
    Checking(BoxFuture<'static, Option<Bytes>>),
    /// Past the cache, up to the end of the range.
    Origin(Blocks),
}

impl<O: Origin> CachedReader<O> {
    /// Most bytes of one block.
    const BLOCK: usize = 256 * 1024;
    /// A part is fetched again so often when that fails, before its readers are on their own.
    const MOST_FAILURES: u32 = 1;
    /// So often bytes are fetched that do not have their checksum.
    const MOST_DAMAGED: u32 = 4;

    pub(super) fn new(
        fetching: Arc<Fetching<O>>,
        id: FileId,
        identity: Identity,
        object: Option<Arc<Object>>,
    ) -> Self {
        Self {
            fetching,
            id,
            identity,
            object,
            next: 0,
            end: 0,
            from: From::Nowhere,
            peeked: None,
            failures: 0,
            failing_since: None,
            began: false,
            trail: Trail::followed(),
        }
    }

    /// Which part the next byte is in.
    fn index(&self) -> u32 {
        u32::try_from(self.next / Cache::SLICE).unwrap_or(u32::MAX)
    }

    /// Finds the part that the next byte is in.
    fn locate(&mut self) -> From {
        let Some((object, cache)) = self.object.as_ref().zip(self.fetching.cache.as_ref()) else {
            return self.past_the_cache();
        };
        let index = self.index();
        let within = self.next - part(index, self.identity.size).start;
        match cache.get(object, index) {
            Some(Cached::Memory(bytes)) => From::Memory(self.rest_of(&bytes, within)),
            Some(Cached::File(file)) => {
                let mut content = FileContent::part(file, Cache::PAYLOAD_AT);
                let until = part(index, self.identity.size).end.min(self.end);
                content.seek(within..within + (until - self.next));
                From::File(content, until)
            }
            Some(Cached::Unread(slice)) => {
                let (cache, object) = (Arc::clone(cache), Arc::clone(object));
                let read = tokio::task::spawn_blocking(move || cache.read(&object, &slice));
                From::Checking(Box::pin(async move { read.await.ok().flatten() }))
            }
            None if self.failures > Self::MOST_FAILURES => self.past_the_cache(),
            None => {
                let last = u32::try_from((self.end - 1) / Cache::SLICE).unwrap_or(u32::MAX);
                let fill = || self.fetching.fill(object, index..last.saturating_add(1));
                match Trail::follow_now(self.trail.as_ref(), fill) {
                    Some(fill) => From::Fill(fill, index),
                    // It has arrived since it was looked for.
                    None if self.is_cached() => From::Nowhere,
                    None => self.past_the_cache(),
                }
            }
        }
    }

    /// Whether the cache has the part that the next byte is in.
    fn is_cached(&self) -> bool {
        let cached = self.object.as_ref().zip(self.fetching.cache.as_ref());
        cached.is_some_and(|(object, cache)| cache.has(object, self.index()))
    }

    fn past_the_cache(&self) -> From {
        let read = || self.fetching.read(&self.id, self.identity, self.next..self.end);
        From::Origin(Trail::follow_now(self.trail.as_ref(), read))
    }

    /// What of a part, from `within` on, belongs to the range.
    fn rest_of(&self, bytes: &Bytes, within: u64) -> Bytes {
        let from = usize::try_from(within).unwrap_or(usize::MAX).min(bytes.len());
        let wanted = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        bytes.slice(from..from.saturating_add(wanted).min(bytes.len()))
    }

    /// Hands bytes out.
    fn give(&mut self, block: Bytes) -> Poll<io::Result<Bytes>> {
        self.next += block.len() as u64;
        Poll::Ready(Ok(block))
    }

    /// Takes bytes of a part that is being fetched; none if it has ended.
    fn take(&mut self, fill: Arc<Fill>, block: &Bytes) -> Option<Bytes> {
        let wanted = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let block = block.slice(..block.len().min(wanted).min(Self::BLOCK));
        if block.is_empty() {
            return None;
        }
        self.from = From::Fill(fill, self.index());
        (self.began, self.failures, self.failing_since) = (true, 0, None);
        Some(block)
    }

    /// Whether a part that could not be fetched is fetched again. Bytes of one that was found damaged must not go on
    /// with those of another.
    fn tries_again(&mut self, error: &OriginError) -> bool {
        self.failures += 1;
        if self.failing_since.get_or_insert_with(Instant::now).elapsed() > LAST_TRY {
            return false;
        }
        match error {
            OriginError::Unavailable(_) => self.failures <= Self::MOST_FAILURES + 2,
            OriginError::Damaged => !self.began && self.failures <= Self::MOST_DAMAGED,
            _ => false,
        }
    }
}

impl<O: Origin> Reader for CachedReader<O> {
    fn seek(&mut self, range: Range<u64>) {
        (self.next, self.end) = (range.start, range.end.min(self.identity.size));
        (self.from, self.peeked) = (From::Nowhere, None);
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(block) = self.peeked.take() {
            return self.give(block);
        }
        while self.next < self.end {
            match std::mem::replace(&mut self.from, From::Nowhere) {
                From::Nowhere => self.from = self.locate(),
                From::Memory(mut bytes) => {
                    let block = bytes.split_to(bytes.len().min(Self::BLOCK));
                    if !bytes.is_empty() {
                        self.from = From::Memory(bytes);
                    }
                    if !block.is_empty() {
                        return self.give(block);
                    }
                }
                From::File(_, until) if self.next >= until => {}
                From::File(mut content, until) => {
                    let block = content.poll_block(cx);
                    self.from = From::File(content, until);
                    return self.give(ready!(block)?);
                }
                From::Fill(fill, index) => {
                    let within = self.next - part(self.index(), self.identity.size).start;
                    let is_over = index != self.index();
                    self.began &= !is_over;
                    // What is on disk need not be in memory for the slow.
                    if is_over || (fill.is_stored() && within > 0 && self.is_cached()) {
                        continue;
                    }
                    match fill.get(within) {
                        Some(Ok(block)) => {
                            if let Some(block) = self.take(fill, &block) {
                                return self.give(block);
                            }
                        }
                        _ => self.from = From::Waiting(Arc::clone(&fill), Box::pin(wait(fill, within))),
                    }
                }
                From::Waiting(fill, mut waiting) => match waiting.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.from = From::Waiting(fill, waiting);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(block)) => match self.take(fill, &block) {
                        Some(block) => return self.give(block),
                        None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    },
                    Poll::Ready(Err(error)) if self.tries_again(&error) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                },
                From::Checking(mut checking) => match checking.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.from = From::Checking(checking);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(bytes)) => {
                        let within = self.next - part(self.index(), self.identity.size).start;
                        self.from = From::Memory(self.rest_of(&bytes, within));
                    }
                    // Dropped: it is fetched again.
                    Poll::Ready(None) => {}
                },
                From::Origin(mut blocks) => {
                    let Poll::Ready(block) = blocks.poll_next_unpin(cx) else {
                        self.from = From::Origin(blocks);
                        return Poll::Pending;
                    };
                    let cut = || Err(OriginError::Unavailable("the content breaks off".into()));
                    match block.unwrap_or_else(cut) {
                        Ok(block) => {
                            self.from = From::Origin(blocks);
                            return self.give(block);
                        }
                        Err(error) if self.tries_again(&error) => {}
                        Err(error) => return Poll::Ready(Err(error.into())),
                    }
                }
            }
        }
        Poll::Ready(Ok(Bytes::new()))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.next < self.end && !matches!(self.from, From::File(..) | From::Memory(_)) {
            self.from = match std::mem::replace(&mut self.from, From::Nowhere) {
                From::Nowhere => self.locate(),
                from => from,
            };
            if matches!(self.from, From::File(..) | From::Memory(_)) {
                return Poll::Ready(Ok(()));
            }
            let block = ready!(self.poll_block(cx))?;
            self.next -= block.len() as u64;
            self.peeked = Some(block);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Option<FilePiece>>> {
        if self.peeked.is_some() {
            return Poll::Ready(Ok(None));
        }
        while self.next < self.end {
            match std::mem::replace(&mut self.from, From::Nowhere) {
                From::Nowhere => {
                    self.from = self.locate();
                    if !matches!(self.from, From::File(..)) {
                        break;
                    }
                }
                From::File(_, until) if self.next >= until => {}
                From::File(mut content, until) => {
                    let piece = content.poll_piece(cx, most);
                    self.from = From::File(content, until);
                    let piece = ready!(piece)?;
                    self.next += piece.length as u64;
                    return Poll::Ready(Ok(Some(piece)));
                }
                From::Fill(_, index) if index != self.index() => self.began = false,
                From::Fill(fill, _) if fill.is_stored() && self.is_cached() => {}
                from => {
                    self.from = from;
                    break;
                }
            }
        }
        Poll::Ready(Ok(None))
    }
}

/// Waits for more of a part, but not for ever.
async fn wait(fill: Arc<Fill>, within: u64) -> Result<Bytes, OriginError> {
    let more = tokio::time::timeout(PATIENCE, fill.next(within)).await;
    more.unwrap_or_else(|_| Err(OriginError::Unavailable("others fetch it too slowly".into())))
}

/// When fetching has failed for so long, it is not tried again.
const LAST_TRY: Duration = Duration::from_secs(10);

/// For so long a reader waits for what another request fetches, before it asks by itself.
const PATIENCE: Duration = Duration::from_secs(5);
