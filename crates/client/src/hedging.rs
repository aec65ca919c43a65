//! When a second storage is asked, because the first one takes longer than usual.

use std::collections::HashMap;
use std::time::Duration;

use fdfs_types::GroupName;
use parking_lot::Mutex;

/// How long answers take, and how many questions may be asked twice.
#[derive(Debug, Default)]
pub(crate) struct Hedging(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The time that 95 of 100 answers of a group take, in seconds.
    usual: HashMap<GroupName, f64>,
    /// Second questions that may be asked.
    budget: f64,
}

impl Default for State {
    fn default() -> Self {
        Self { usual: HashMap::new(), budget: FIRST }
    }
}

impl Hedging {
    /// A question is asked: after this time a second storage may be asked, too.
    pub(crate) fn begin(&self, group: GroupName) -> Duration {
        let mut state = self.0.lock();
        state.budget = (state.budget + SHARE).min(MOST);
        let usual = state.usual.get(&group).copied().unwrap_or_default();
        Duration::from_secs_f64(usual.clamp(SHORTEST, LONGEST))
    }

    /// Whether a second storage may be asked now; it counts as asked.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.0.lock();
        let may = state.budget >= 1.0;
        if may {
            state.budget -= 1.0;
            metrics::counter!("fdfs_client_hedges_total").increment(1);
        }
        may
    }

    /// An answer took this long.
    pub(crate) fn answered(&self, group: GroupName, after: Duration) {
        let mut state = self.0.lock();
        let usual = state.usual.entry(group).or_insert(SHORTEST);
        // It rises 19 times as fast as it falls, so it rests where one answer of twenty takes longer.
        let step = (*usual * STEP).max(STEP / 1000.0);
        *usual += if after.as_secs_f64() > *usual { step * 0.95 } else { step * -0.05 };
    }
}

/// Second questions for every first one.
const SHARE: f64 = 0.2;
/// Second questions that may be asked at first, so that who has just begun to ask need not wait for a silent server.
const FIRST: f64 = 2.0;
/// Second questions that can be saved up.
const MOST: f64 = 20.0;
/// Nobody is asked twice before this time, in seconds.
const SHORTEST: f64 = 0.05;
/// Everybody may be asked twice after this time, in seconds.
const LONGEST: f64 = 1.0;
const STEP: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_that_of_nearly_all_answers() {
        let (hedging, group) = (Hedging::default(), "group1".parse().unwrap());
        assert_eq!(hedging.begin(group), Duration::from_millis(50));
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            // Evenly between 0 and 400 ms.
            hedging.answered(group, Duration::from_secs_f64(rng.f64() * 0.4));
        }
        let usual = hedging.begin(group).as_millis();
        assert!((340..=400).contains(&usual), "{usual} ms");
        assert_eq!(
            hedging.begin("group2".parse().unwrap()),
            Duration::from_millis(50),
            "groups have their own"
        );
    }

    #[test]
    fn one_question_of_five_is_asked_twice_at_most() {
        let (hedging, group) = (Hedging::default(), "group1".parse().unwrap());
        let asked = (0..1000).filter(|_| {
            hedging.begin(group);
            hedging.take()
        });
        assert!((195..=202).contains(&asked.count()));
    }
}
