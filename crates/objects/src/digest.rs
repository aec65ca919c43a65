//! The MD5 of contents that come at the same time, several in one go.
//!
//! MD5 is a chain: each step waits for the one before, and most of a core stands idle meanwhile. Contents that are being written at the
//! same time are therefore hashed side by side, a lane of the processor's vectors for each. What comes waits, as it is and within a
//! bound, until so much waits of so many contents that they fill the lanes, or one has too much waiting, or ends; who brought it then
//! hashes it, and along with it what waits of others. A content that ends lets the others of its thread have their turn first.

mod lanes;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use tokio::sync::Notify;

use lanes::{BLOCK, INITIAL, Lane, MOST_LANES, compress};

/// The MD5 of a content that is being written.
#[derive(Debug)]
pub(crate) struct Digest(Arc<Content>);

#[derive(Debug)]
struct Content {
    waiting: Mutex<Waiting>,
    /// The chain is back.
    back: Notify,
}

#[derive(Debug)]
struct Waiting {
    /// What was hashed so far; absent while somebody hashes.
    chain: Option<Chain>,
    /// What came since.
    pieces: VecDeque<Bytes>,
    /// Bytes that are not hashed, where nobody hashes.
    queued: usize,
    /// Bytes that came, hashed or not.
    length: u64,
    /// Enough waits to be hashed, in company.
    is_ripe: bool,
}

/// A state, and what is to be hashed next.
#[derive(Debug)]
struct Chain {
    state: [u32; 4],
    pieces: VecDeque<Bytes>,
    /// The beginning of a block whose rest is in the next piece.
    carry: [u8; BLOCK],
    carried: usize,
}

/// Every content that is being written.
static CONTENTS: Mutex<Vec<Weak<Content>>> = Mutex::new(Vec::new());
/// How many they are.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
/// Of how many enough waits.
static RIPE: AtomicUsize = AtomicUsize::new(0);

impl Digest {
    /// When so many bytes of a content wait, they are hashed as soon as there is company.
    const ENOUGH: usize = 128 * 1024;
    /// When so many wait, they are hashed, in company or not. No more come while others of the content are being hashed.
    const TOO_MANY: usize = 1024 * 1024;

    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        let content = Arc::new(Content { waiting: Mutex::new(Waiting::new()), back: Notify::new() });
        let mut contents = CONTENTS.lock();
        // Those that ended are dropped before the list would grow.
        if contents.len() == contents.capacity() {
            contents.retain(|other| other.strong_count() > 0);
        }
        contents.push(Arc::downgrade(&content));
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Self(content)
    }

    /// Takes the next bytes of the content.
    pub(crate) async fn update(&self, bytes: Bytes) {
        let is_full = {
            let mut waiting = self.0.waiting.lock();
            waiting.length += bytes.len() as u64;
            waiting.queued += bytes.len();
            waiting.pieces.push_back(bytes);
            waiting.queued > Self::TOO_MANY
        };
        if is_full {
            self.0.chain_is_back().await;
        }
        let chain = self.0.waiting.lock().take_in_time();
        if let Some(chain) = chain {
            self.0.give_back(hash_together(&self.0, chain, Self::ENOUGH));
        }
    }

    /// The digest of all that came.
    pub(crate) async fn finish(self) -> [u8; 16] {
        let would_be_company = {
            let waiting = self.0.waiting.lock();
            waiting.queued > WORTH_IT && UNDER_WAY.load(Ordering::Relaxed) > 1
        };
        if would_be_company {
            tokio::task::yield_now().await;
        }
        let (chain, length) = loop {
            self.0.chain_is_back().await;
            let mut waiting = self.0.waiting.lock();
            if let Some(chain) = waiting.take() {
                break (chain, waiting.length);
            }
        };
        hash_together(&self.0, chain, 0).end(length)
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        self.0.waiting.lock().set_ripe(false);
    }
}

impl Content {
    /// Waits until nobody hashes this: a few milliseconds at the most.
    async fn chain_is_back(&self) {
        loop {
            let mut back = pin!(self.back.notified());
            back.as_mut().enable();
            if self.waiting.lock().chain.is_some() {
                return;
            }
            back.await;
        }
    }

    fn give_back(&self, chain: Chain) {
        let mut waiting = self.waiting.lock();
        waiting.queued += chain.pieces.iter().map(Bytes::len).sum::<usize>();
        waiting.chain = Some(chain);
        drop(waiting);
        self.back.notify_waiters();
    }
}

impl Waiting {
    fn new() -> Self {
        Self { chain: Some(Chain::new()), pieces: VecDeque::new(), queued: 0, length: 0, is_ripe: false }
    }

    /// The chain with all that waits, if nobody else has it.
    fn take(&mut self) -> Option<Chain> {
        let mut chain = self.chain.take()?;
        chain.pieces.append(&mut self.pieces);
        self.queued = 0;
        self.set_ripe(false);
        Some(chain)
    }

    /// The chain, if it is time to hash what waits and nobody does.
    fn take_in_time(&mut self) -> Option<Chain> {
        if self.queued <= Digest::ENOUGH || self.chain.is_none() {
            return None;
        }
        self.set_ripe(true);
        let fills_the_lanes =
            || RIPE.load(Ordering::Relaxed) >= MOST_LANES.min(UNDER_WAY.load(Ordering::Relaxed));
        if self.queued > Digest::TOO_MANY || fills_the_lanes() { self.take() } else { None }
    }

    fn set_ripe(&mut self, is_ripe: bool) {
        if std::mem::replace(&mut self.is_ripe, is_ripe) != is_ripe {
            if is_ripe {
                RIPE.fetch_add(1, Ordering::Relaxed)
            } else {
                RIPE.fetch_sub(1, Ordering::Relaxed)
            };
        }
    }
}

impl Chain {
    fn new() -> Self {
        Self { state: INITIAL, pieces: VecDeque::new(), carry: [0; BLOCK], carried: 0 }
    }

    /// How many whole blocks stand at the front in one piece; none where less than a block is left.
    fn blocks(&mut self) -> usize {
        while let Some(piece) = self.pieces.front_mut() {
            if self.carried == 0 && piece.len() >= BLOCK {
                return piece.len() / BLOCK;
            }
            let taken = piece.len().min(BLOCK - self.carried);
            self.carry[self.carried..self.carried + taken].copy_from_slice(&piece[..taken]);
            self.carried += taken;
            self.skip(taken);
            if self.carried == BLOCK {
                self.carried = 0;
                compress(&mut [Lane { state: &mut self.state, bytes: &self.carry }], 1);
            }
        }
        0
    }

    /// The front has been used so far.
    fn skip(&mut self, length: usize) {
        if let Some(piece) = self.pieces.front_mut() {
            piece.advance(length);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// Hashes the end, behind which nothing waits.
    fn end(&mut self, length: u64) -> [u8; 16] {
        let mut last = [0; 2 * BLOCK];
        last[..self.carried].copy_from_slice(&self.carry[..self.carried]);
        last[self.carried] = 0x80;
        let blocks = if self.carried < BLOCK - 8 { 1 } else { 2 };
        let end = blocks * BLOCK;
        last[end - 8..end].copy_from_slice(&length.wrapping_mul(8).to_le_bytes());
        compress(&mut [Lane { state: &mut self.state, bytes: &last[..end] }], blocks);
        let mut digest = [0; 16];
        for (word, bytes) in self.state.iter().zip(digest.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }
}

/// Hashes the blocks of a content, and what waits of others along with them. Up to `may_wait` bytes are left when most of the
/// company is gone.
fn hash_together(content: &Arc<Content>, mut chain: Chain, may_wait: usize) -> Chain {
    let mut length: usize = chain.pieces.iter().map(Bytes::len).sum();
    let mut others = if length > WORTH_IT { others(content, MOST_LANES - 1) } else { Vec::new() };
    let company = others.len();
    loop {
        let whole = chain.blocks();
        if whole == 0 || (others.len() < company.div_ceil(2) && length <= may_wait) {
            break;
        }
        let mut along = Vec::with_capacity(MOST_LANES);
        for (other, mut chain) in others {
            match chain.blocks() {
                0 => other.give_back(chain),
                blocks => along.push((other, chain, blocks)),
            }
        }
        let blocks = along.iter().map(|(.., blocks)| *blocks).chain([whole]).min().unwrap_or(whole);
        let chains = std::iter::once(&mut chain).chain(along.iter_mut().map(|(_, chain, _)| chain));
        let mut lanes: Vec<Lane<'_>> = chains
            .filter_map(|Chain { state, pieces, .. }| {
                Some(Lane { state, bytes: pieces.front()?.get(..blocks * BLOCK)? })
            })
            .collect();
        compress(&mut lanes, blocks);
        drop(lanes);
        chain.skip(blocks * BLOCK);
        length -= blocks * BLOCK;
        others = along
            .into_iter()
            .map(|(other, mut chain, _)| {
                chain.skip(blocks * BLOCK);
                (other, chain)
            })
            .collect();
        let room = MOST_LANES - 1 - others.len();
        if room > 0 && length > WORTH_IT {
            others.extend(self::others(content, room));
        }
    }
    for (other, chain) in others {
        other.give_back(chain);
    }
    chain
}

/// Those contents, `most` of them, that most waits of and nobody hashes.
fn others(content: &Arc<Content>, most: usize) -> Vec<(Arc<Content>, Chain)> {
    let contents: Vec<Arc<Content>> = CONTENTS.lock().iter().filter_map(Weak::upgrade).collect();
    let mut waiting: Vec<(usize, Arc<Content>)> = contents
        .into_iter()
        .filter(|other| !Arc::ptr_eq(other, content))
        .filter_map(|other| {
            let queued = other.waiting.try_lock().filter(|waiting| waiting.chain.is_some())?.queued;
            (queued >= WORTH_IT).then_some((queued, other))
        })
        .collect();
    waiting.sort_unstable_by_key(|(queued, _)| std::cmp::Reverse(*queued));
    waiting.truncate(most);
    let taken = waiting.into_iter().filter_map(|(_, other)| {
        let chain = other.waiting.try_lock()?.take()?;
        Some((other, chain))
    });
    taken.collect()
}

/// So much of a content is worth a lane.
const WORTH_IT: usize = 4096;

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::*;

    fn now<T>(digesting: impl Future<Output = T>) -> T {
        thread_local! {
            static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        }
        RUNTIME.with(|runtime| runtime.block_on(digesting))
    }

    fn bytes(length: usize, seed: usize) -> Bytes {
        (0..length).map(|at| (at * 31 + at / 251 + seed * 7) as u8).collect::<Vec<u8>>().into()
    }

    #[test]
    fn the_digest_of_any_length_in_any_pieces_is_md5() {
        for length in (0..200).chain([1 << 16, (1 << 20) + 63]) {
            let whole = bytes(length, length);
            for most in [1, 63, 64, 65, 4096, 1 << 20] {
                if length / most > 10_000 {
                    continue;
                }
                let digest = Digest::new();
                for piece in whole.chunks(most) {
                    now(digest.update(whole.slice_ref(piece)));
                }
                assert_eq!(now(digest.finish()), <[u8; 16]>::from(Md5::digest(&whole)), "{length} by {most}");
            }
        }
    }

    #[test]
    fn contents_that_come_together_keep_their_own_digests() {
        for count in [2, 3, 4, 5, 8, 9, 20] {
            let wholes: Vec<Bytes> = (0..count).map(|one| bytes(700_000 + one * 9_001, one)).collect();
            let digests: Vec<Digest> = (0..count).map(|_| Digest::new()).collect();
            for turn in 0..100 {
                for (one, digest) in digests.iter().enumerate() {
                    let step = 10_000 + one * 13;
                    let from = (turn * step).min(wholes[one].len());
                    let to = ((turn + 1) * step).min(wholes[one].len());
                    now(digest.update(wholes[one].slice(from..to)));
                }
            }
            for (digest, whole) in digests.into_iter().zip(&wholes) {
                assert_eq!(now(digest.finish()), <[u8; 16]>::from(Md5::digest(whole)), "of {count}");
            }
        }
    }

    #[test]
    fn what_waits_is_bounded_and_a_content_that_is_given_up_is_forgotten() {
        let whole = bytes(1 << 20, 1);
        let (digest, given_up) = (Digest::new(), Digest::new());
        now(given_up.update(whole.slice(..1000)));
        drop(given_up);
        for piece in whole.chunks(10_000) {
            now(digest.update(whole.slice_ref(piece)));
            // What others took along and gave back waits beside what came meanwhile.
            assert!(digest.0.waiting.lock().queued <= 2 * Digest::TOO_MANY + 10_000);
        }
        let other = Digest::new();
        now(other.update(whole.clone()));
        assert_eq!(now(other.finish()), now(digest.finish()));
    }

    #[test]
    fn contents_are_written_on_many_threads() {
        let threads: Vec<_> = (0..6)
            .map(|one| {
                std::thread::spawn(move || {
                    for turn in 0..20 {
                        let whole = bytes(600_000 + one * 1001 + turn, one);
                        let digest = Digest::new();
                        for piece in whole.chunks(9_000 + 77 * one) {
                            now(digest.update(whole.slice_ref(piece)));
                        }
                        assert_eq!(now(digest.finish()), <[u8; 16]>::from(Md5::digest(&whole)));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// `cargo test --release -p fdfs-objects -- --ignored --nocapture lanes_are_measured`
    #[test]
    #[ignore = "a measurement"]
    fn lanes_are_measured() {
        let whole = bytes(1 << 20, 3);
        let started = std::time::Instant::now();
        for _ in 0..200 {
            std::hint::black_box(Md5::digest(&whole));
        }
        println!("alone, by the crate: {:.0} MB/s", 200.0 * 1.048_576 / started.elapsed().as_secs_f64());
        for count in [1, 2, 4, 8] {
            let started = std::time::Instant::now();
            for _ in 0..100 {
                let digests: Vec<Digest> = (0..count).map(|_| Digest::new()).collect();
                for piece in whole.chunks(64 * 1024) {
                    digests.iter().for_each(|digest| now(digest.update(whole.slice_ref(piece))));
                }
                for digest in digests {
                    std::hint::black_box(now(digest.finish()));
                }
            }
            let megabytes = f64::from(100 * count) * 1.048_576;
            println!("{count} together: {:.0} MB/s", megabytes / started.elapsed().as_secs_f64());
        }
    }
}
