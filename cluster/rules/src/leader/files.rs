//! Whose data files a tracker that starts goes by.

use std::time::Duration;

use fdfs_types::Timestamp;

use super::{Leadership, TrackerAddress, TrackerRank, rank};

/// What another tracker says when it is asked for its rank before the first storage is admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RankAnswer {
    /// It has groups, and this rank.
    Rank(TrackerRank),
    /// It knows no group: there is nothing to fetch from it.
    Newcomer,
    /// Its host says that nobody listens.
    NotRunning,
    /// No answer that makes sense: it may be running, and may know better.
    Silent,
}

/// Whose data files a tracker goes by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FilesPlan {
    /// Its own.
    Own,
    /// Those of the first of these that gives them; the best comes first. Storages are kept waiting
    /// until one has given them.
    Fetch(Vec<TrackerAddress>),
    /// Nobody knows yet: storages are kept waiting.
    Wait,
}

impl Leadership {
    /// Files of a tracker that was away for longer are stale.
    const STALE: Duration = Duration::from_secs(600);
    /// How long one that is not running is waited for.
    const PATIENCE_IF_NOT_RUNNING: Duration = Duration::from_secs(60);
    /// How long one that may be running is waited for.
    const PATIENCE_IF_SILENT: Duration = Duration::from_secs(600);

    /// Whose files to go by. `has_groups`: its own have any. `waited`: since the first storage was
    /// kept waiting.
    ///
    /// A tracker without groups, or away for long, takes those of the best of the others, as the
    /// original does. One that was away for a moment goes by its own: it may know a storage that no
    /// other knows yet.
    pub fn plan_files(
        &self,
        has_groups: bool,
        answers: &[(TrackerAddress, RankAnswer)],
        waited: Duration,
        now: Timestamp,
    ) -> FilesPlan {
        let own = self.rank(now);
        let is_stale = self.restart_interval > Self::STALE;
        let mut ranks: Vec<_> = answers
            .iter()
            .filter_map(|(tracker, answer)| match answer {
                RankAnswer::Rank(rank) => Some((*tracker, *rank)),
                _ => None,
            })
            .filter(|(_, rank)| !has_groups || (is_stale && rank.is_better_than(&own)))
            .collect();
        ranks.sort_by(|a, b| rank::compare(b, a));
        if !ranks.is_empty() {
            return FilesPlan::Fetch(ranks.into_iter().map(|(tracker, _)| tracker).collect());
        }
        let any = |wanted: RankAnswer| answers.iter().any(|(_, answer)| *answer == wanted);
        let answered = answers.iter().any(|(_, answer)| matches!(answer, RankAnswer::Rank(_)));
        let patience = match (any(RankAnswer::Silent), any(RankAnswer::NotRunning)) {
            (true, _) => Self::PATIENCE_IF_SILENT,
            (false, true) => Self::PATIENCE_IF_NOT_RUNNING,
            (false, false) => Duration::ZERO,
        };
        let needed = !has_groups || is_stale;
        if needed && !answered && waited < patience { FilesPlan::Wait } else { FilesPlan::Own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(100_000);

    fn tracker(last: u8) -> TrackerAddress {
        TrackerAddress::one([127, 0, 0, last].into(), 22122)
    }

    fn rank(leads: bool, running: u64) -> RankAnswer {
        let running = Duration::from_secs(running);
        RankAnswer::Rank(TrackerRank { leads, running, restart_interval: Duration::ZERO })
    }

    fn plan(away: u64, has_groups: bool, answers: &[RankAnswer], waited: u64) -> FilesPlan {
        let leadership = Leadership::new(22122, NOW, Duration::from_secs(away));
        let answers: Vec<_> = (3..).map(tracker).zip(answers.iter().copied()).collect();
        leadership.plan_files(has_groups, &answers, Duration::from_secs(waited), NOW)
    }

    fn fetch(from: &[u8]) -> FilesPlan {
        FilesPlan::Fetch(from.iter().map(|last| tracker(*last)).collect())
    }

    #[test]
    fn a_new_tracker_takes_the_files_of_the_best_of_the_others() {
        assert_eq!(plan(0, false, &[rank(false, 300), rank(true, 0)], 0), fetch(&[4, 3]));
        assert_eq!(plan(0, false, &[], 0), FilesPlan::Own, "it is alone");
    }

    #[test]
    fn trackers_that_know_nothing_either_have_nothing_to_give() {
        assert_eq!(plan(0, false, &[RankAnswer::Newcomer; 2], 0), FilesPlan::Own);
    }

    #[test]
    fn stale_files_give_way_to_better_ones_only() {
        assert_eq!(plan(601, true, &[rank(false, 600)], 0), fetch(&[3]));
        assert_eq!(plan(601, true, &[rank(false, 0)], 0), fetch(&[3]), "it was away for less");
        assert_eq!(plan(0, true, &[rank(false, 600)], 0), FilesPlan::Own, "its own are fresh");
    }

    #[test]
    fn a_tracker_that_was_away_for_a_moment_goes_by_its_own_files() {
        assert_eq!(plan(600, true, &[rank(false, 900), rank(true, 0)], 0), FilesPlan::Own);
    }

    #[test]
    fn storages_are_kept_waiting_for_others_that_may_know_better_but_not_for_ever() {
        let dead = [RankAnswer::Newcomer, RankAnswer::NotRunning];
        for (answers, patience) in [(&dead[..], 60), (&[RankAnswer::Silent, RankAnswer::NotRunning], 600)] {
            assert_eq!(plan(0, false, answers, patience - 1), FilesPlan::Wait);
            assert_eq!(plan(0, false, answers, patience), FilesPlan::Own);
            assert_eq!(plan(0, true, answers, 0), FilesPlan::Own, "its own will do");
        }
    }
}
