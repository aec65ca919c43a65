//! Which storages take much longer than the others of their group, and are put aside for that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use fdfs_types::GroupName;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

/// How long the answers of every storage take, and who is put aside.
#[derive(Debug, Default)]
pub(crate) struct SlowStorages(Mutex<HashMap<GroupName, HashMap<SocketAddr, Pace>>>);

/// How long the answers of one storage take.
#[derive(Debug, Default)]
struct Pace {
    /// The average, the later the heavier, in seconds; absent before the first answer.
    average: Option<f64>,
    /// Answers in a row that took much longer than those of the others.
    slow: u32,
    last: Option<Instant>,
    aside_until: Option<Instant>,
}

impl SlowStorages {
    /// A storage of a group has answered after this time.
    pub(crate) fn answered(&self, group: GroupName, storage: SocketAddr, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let mut groups = self.0.lock();
        let paces = groups.entry(group).or_default();
        if !paces.contains_key(&storage) {
            // Members come and go.
            paces.retain(|_, pace| pace.is_recent(now));
        }
        let limit = limit(paces, storage, now);
        let aside = paces.values().filter(|pace| pace.is_aside(now)).count();
        // Half of a group at most, and so never the last one.
        let may_go = (aside + 1) * 2 <= paces.values().filter(|pace| pace.is_recent(now)).count();
        let pace = paces.entry(storage).or_default();
        pace.average = Some(pace.average.map_or(took, |average| average + (took - average) * WEIGHT));
        pace.last = Some(now);
        if limit.is_none_or(|limit| took <= limit) {
            pace.slow = 0;
            if pace.aside_until.take().is_some() {
                info!(%storage, "storage is as fast as others again");
            }
            return;
        }
        pace.slow += 1;
        let is_slow = limit.is_some_and(|limit| pace.average.is_some_and(|average| average > limit));
        if pace.slow >= IN_A_ROW && is_slow && may_go && !pace.is_aside(now) {
            pace.aside_until = Some(now + ASIDE);
            metrics::counter!("fdfs_client_slow_storages_total", "storage" => storage.to_string())
                .increment(1);
            warn!(%storage, %group, seconds = took, "storage takes much longer than others; those are asked first for a while");
        }
    }

    /// A storage of a group has not answered in this time, and its answer is not waited for any more: that tells something
    /// only where it is long.
    pub(crate) fn left(&self, group: GroupName, storage: SocketAddr, after: Duration, now: Instant) {
        let is_slow = {
            let groups = self.0.lock();
            let limit = groups.get(&group).and_then(|paces| limit(paces, storage, now));
            limit.is_some_and(|limit| after.as_secs_f64() > limit)
        };
        if is_slow {
            self.answered(group, storage, after, now);
        }
    }

    /// Whether others are asked before a storage.
    pub(crate) fn is_slow(&self, group: GroupName, storage: SocketAddr, now: Instant) -> bool {
        let groups = self.0.lock();
        let pace = groups.get(&group).and_then(|paces| paces.get(&storage));
        pace.is_some_and(|pace| pace.is_aside(now))
    }
}

impl Pace {
    fn is_recent(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.duration_since(last) < RECENT)
    }

    fn is_aside(&self, now: Instant) -> bool {
        self.aside_until.is_some_and(|until| now < until)
    }
}

/// The time from which on an answer of a storage is slow; unknown while no other one of its group answers.
fn limit(paces: &HashMap<SocketAddr, Pace>, storage: SocketAddr, now: Instant) -> Option<f64> {
    let others = paces.iter().filter(|(other, _)| **other != storage).map(|(_, pace)| pace);
    let mut averages: Vec<f64> =
        others.filter(|pace| pace.is_recent(now)).filter_map(|pace| pace.average).collect();
    averages.sort_by(f64::total_cmp);
    let median = *averages.get(averages.len().checked_sub(1)? / 2)?;
    Some((median * TIMES).max(SLOWEST))
}

/// The weight of the last answer in the average.
const WEIGHT: f64 = 0.2;
/// So many times as long as that of the others an answer is slow.
const TIMES: f64 = 5.0;
/// No answer is slow that takes no longer than this, in seconds.
const SLOWEST: f64 = 0.5;
/// After so many slow answers in a row a storage is put aside.
const IN_A_ROW: u32 = 5;
/// For so long it is.
const ASIDE: Duration = Duration::from_secs(10);
/// For so long an answer tells how fast a storage is.
const RECENT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, number], 23000))
    }

    struct Bench(SlowStorages, GroupName, Instant);

    impl Bench {
        fn new() -> Self {
            Self(SlowStorages::default(), "group1".parse().unwrap(), Instant::now())
        }

        fn answer(&self, storage: u8, ms: u64, count: usize) {
            for _ in 0..count {
                self.0.answered(self.1, address(storage), Duration::from_millis(ms), self.2);
            }
        }

        fn is_slow(&self, storage: u8) -> bool {
            self.0.is_slow(self.1, address(storage), self.2)
        }
    }

    #[test]
    fn a_storage_that_takes_much_longer_than_the_others_is_put_aside_for_a_while() {
        let mut bench = Bench::new();
        for storage in [2, 3, 4] {
            bench.answer(storage, 2, 10);
        }
        bench.answer(3, 2000, 4);
        assert!(!bench.is_slow(3), "four are chance");
        bench.answer(3, 2000, 1);
        assert!(bench.is_slow(3) && !bench.is_slow(2) && !bench.is_slow(4));
        bench.2 += ASIDE;
        assert!(!bench.is_slow(3), "it is tried again");
        bench.answer(3, 2000, 1);
        assert!(bench.is_slow(3), "one more slow answer is enough");
        bench.2 += ASIDE;
        bench.answer(3, 2, 1);
        bench.answer(3, 2000, 4);
        assert!(!bench.is_slow(3), "it was fast in between");
    }

    #[test]
    fn half_of_a_group_at_most_is_put_aside_and_never_the_only_one() {
        let bench = Bench::new();
        bench.answer(2, 2000, 50);
        assert!(!bench.is_slow(2), "there is nobody to compare with");
        for storage in [3, 4, 5] {
            bench.answer(storage, 2, 10);
        }
        for storage in [2, 3, 4, 5] {
            bench.answer(storage, 60_000, 20);
        }
        assert!((2..=5).filter(|storage| bench.is_slow(*storage)).count() <= 2);
        let two = Bench::new();
        two.answer(2, 2, 10);
        two.answer(3, 2000, 10);
        two.answer(2, 60_000, 20);
        assert!(two.is_slow(3) && !two.is_slow(2), "one of two stays");
    }

    #[test]
    fn a_question_that_was_given_up_tells_only_that_its_answer_takes_long() {
        let bench = Bench::new();
        bench.answer(2, 2, 10);
        bench.answer(3, 2, 10);
        let give_up = |ms, count| {
            for _ in 0..count {
                bench.0.left(bench.1, address(3), Duration::from_millis(ms), bench.2);
            }
        };
        give_up(2000, 4);
        // Another storage was quicker, and nobody knows by how much.
        give_up(60, 100);
        assert!(!bench.is_slow(3));
        give_up(2000, 1);
        assert!(bench.is_slow(3));
    }

    #[test]
    fn an_answer_that_is_quick_enough_for_anybody_is_never_slow() {
        let bench = Bench::new();
        bench.answer(2, 1, 10);
        bench.answer(3, 400, 50);
        assert!(!bench.is_slow(3));
    }
}
