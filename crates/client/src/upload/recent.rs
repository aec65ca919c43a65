//! What trackers answered a moment ago, for uploads that go on side by side, or quickly one after the other.
//!
//! One who uploads a file now and then asks for each, so that storages take turns as the trackers say. Where many upload at once, or one does more than a thousand
//! times a second, those who come within a few milliseconds go where the one before was sent: a question and its answer cost more than a small file. When that is over, one asks and the
//! others do not wait for it, unless it takes as long again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fdfs_types::GroupName;
use parking_lot::Mutex;

/// Answers, by the group that was asked for.
#[derive(Debug, Default)]
pub(crate) struct RecentTargets {
    under_way: AtomicUsize,
    pace: Mutex<Pace>,
    answers: Mutex<HashMap<Option<GroupName>, Answer>>,
}

/// How many uploads began lately.
#[derive(Debug, Default)]
struct Pace {
    since: Option<Instant>,
    begun: usize,
    /// In the moment before that.
    before: usize,
}

/// A storage and the number of its store path.
#[derive(Clone, Copy, Debug)]
struct Answer {
    came: Instant,
    /// When somebody went to ask anew.
    asked: Option<Instant>,
    storage: SocketAddr,
    store_path: u8,
}

/// An upload that looks for a storage, or has found one.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a RecentTargets);

impl RecentTargets {
    /// An upload begins.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.pace.lock().count(Instant::now());
        UnderWay(self)
    }

    fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 1 || self.pace.lock().is_quick()
    }
}

impl Pace {
    fn count(&mut self, now: Instant) {
        let passed = self.since.map(|since| now.saturating_duration_since(since));
        if passed.is_none_or(|passed| passed >= RECENT) {
            self.before = if passed.is_some_and(|passed| passed < 2 * RECENT) { self.begun } else { 0 };
            self.begun = 0;
            self.since = Some(now);
        }
        self.begun += 1;
    }

    fn is_quick(&self) -> bool {
        self.begun.max(self.before) >= QUICK
    }
}

impl UnderWay<'_> {
    /// Where one was sent a moment ago who asked for the same, if many upload.
    pub(super) fn answer(&self, group: Option<GroupName>) -> Option<(SocketAddr, u8)> {
        if !self.0.is_busy() {
            return None;
        }
        let mut answers = self.0.answers.lock();
        let answer = answers.get_mut(&group)?;
        if answer.came.elapsed() >= RECENT {
            // One asks; the others do not wait for that, unless it takes long.
            let is_asked = answer.asked.is_some_and(|asked| asked.elapsed() < RECENT);
            if !is_asked || answer.came.elapsed() >= 2 * RECENT {
                answer.asked = Some(Instant::now());
                return None;
            }
        }
        Some((answer.storage, answer.store_path))
    }

    /// A tracker has answered.
    pub(super) fn note(&self, group: Option<GroupName>, storage: SocketAddr, store_path: u8) {
        let answer = Answer { came: Instant::now(), asked: None, storage, store_path };
        self.0.answers.lock().insert(group, answer);
    }

    /// A storage does not take files now.
    pub(super) fn forget(&self, storage: SocketAddr) {
        self.0.answers.lock().retain(|_, answer| answer.storage != storage);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long an answer holds for others.
const RECENT: Duration = Duration::from_millis(5);
/// So many uploads that begin within that time are many, if each ends before the next begins.
const QUICK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uploads_quickly_shares_an_answer_with_himself() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for number in 0..QUICK {
            assert!(!pace.is_quick());
            pace.count(start + RECENT * number as u32 / QUICK as u32);
        }
        assert!(pace.is_quick());
        pace.count(start + RECENT);
        assert!(pace.is_quick(), "it was quick a moment ago");
        pace.count(start + 2 * RECENT);
        assert!(!pace.is_quick());

        let recent = RecentTargets::default();
        let storage = SocketAddr::from(([127, 0, 0, 2], 23_000));
        // A machine that stands still for longer than a moment is tried again.
        let shared = (0..1_000).any(|_| {
            (0..QUICK).for_each(|_| drop(recent.begin()));
            let one = recent.begin();
            one.note(None, storage, 1);
            one.answer(None) == Some((storage, 1))
        });
        assert!(shared);
    }

    #[test]
    fn who_uploads_alone_asks_every_time_and_others_share_an_answer_for_a_moment() {
        let recent = RecentTargets::default();
        let group = Some("group1".parse().unwrap());
        let storage = SocketAddr::from(([127, 0, 0, 2], 23_000));
        let one = recent.begin();
        one.note(group, storage, 1);
        assert_eq!(one.answer(group), None);
        let other = recent.begin();
        // A machine that stands still for longer than a moment is tried again.
        let shared = (0..1_000).any(|_| {
            one.note(group, storage, 1);
            other.answer(group) == Some((storage, 1))
        });
        assert!(shared);
        assert_eq!(other.answer(None), None);
        std::thread::sleep(RECENT);
        assert_eq!(other.answer(group), None, "this one asks");
        let goes_on = (0..1_000).any(|_| {
            one.note(group, storage, 1);
            std::thread::sleep(RECENT);
            one.answer(group).is_none() && other.answer(group) == Some((storage, 1))
        });
        assert!(goes_on, "others do not wait for that");
        std::thread::sleep(RECENT);
        assert_eq!(other.answer(group), None, "unless it takes long");
        one.note(group, storage, 1);
        other.forget(storage);
        assert_eq!(other.answer(group), None);
        drop(one);
        other.note(group, storage, 1);
        assert_eq!(other.answer(group), None);
    }
}
