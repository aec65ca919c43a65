//! Which records travel on the connection that says who sends them.
//!
//! A receiver takes the time of every record on such a connection for the time up to which it has everything of the
//! sender, and trackers offer it for reading by that time. So a record goes there only when nothing before it is left to
//! do, and not while a dead letter of the same or an earlier time is waiting.

use std::time::Duration;

use fdfs_types::Timestamp;

/// What is known when the next record is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of the record.
    pub time: Timestamp,
    /// Nothing before it is left to do.
    pub is_first: bool,
    /// No record behind it is known.
    pub is_last: bool,
    /// The oldest dead letter, if there are any.
    pub oldest_dead_letter: Option<Timestamp>,
    /// The record is dated ahead of the clock, as changes of metadata may be: what is made until then has not been sent.
    pub is_ahead: bool,
    /// The present, on any clock that only rises.
    pub now: Duration,
}

/// Which way a record takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// The connection that says who we are.
    Identified,
    /// Any other.
    Plain,
    /// Wait for those before it, up to this time.
    Wait(Duration),
}

/// Chooses the way of each record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identified {
    /// The latest time that went over the identified connection.
    told: Option<Timestamp>,
    told_at: Option<Duration>,
    waiting_since: Option<Duration>,
}

impl Identified {
    /// The way of the next record.
    pub fn route(&mut self, moment: Moment) -> Route {
        let Moment { time, is_first, is_last, now, .. } = moment;
        let is_held_back = moment.is_ahead || moment.oldest_dead_letter.is_some_and(|oldest| oldest <= time);
        let is_due = self.told_at.is_none_or(|at| now.saturating_sub(at) >= INTERVAL);
        let is_news = self.told.is_none_or(|told| time > told);
        if is_held_back || !(is_last || is_due && is_news) {
            self.waiting_since = None;
            return Route::Plain;
        }
        if is_first {
            self.waiting_since = None;
            return Route::Identified;
        }
        let until = *self.waiting_since.get_or_insert(now) + LONGEST_WAIT;
        if now < until {
            return Route::Wait(until);
        }
        // What is on its way takes long: the rest goes on, and this is made up for later.
        self.waiting_since = None;
        self.told_at = Some(now);
        Route::Plain
    }

    /// A record of this time has been acknowledged on the identified connection.
    pub fn told(&mut self, time: Timestamp, now: Duration) {
        self.told = self.told.max(Some(time));
        self.told_at = Some(now);
    }

    /// Whether the peer would learn something from a record of this time.
    pub fn is_news(&self, time: Timestamp) -> bool {
        self.told.is_none_or(|told| time > told)
    }
}

/// So often the peer hears how far it is, at least, while much is sent.
const INTERVAL: Duration = Duration::from_millis(500);
/// So long a record waits for those before it.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(time: i64, millis: u64) -> Moment {
        Moment {
            time: Timestamp(time),
            is_first: true,
            is_last: false,
            oldest_dead_letter: None,
            is_ahead: false,
            now: Duration::from_millis(millis),
        }
    }

    #[test]
    fn a_record_tells_who_we_are_only_behind_everything_before_it() {
        let mut identified = Identified::default();
        let wait = Route::Wait(Duration::from_millis(20));
        assert_eq!(identified.route(Moment { is_first: false, ..moment(1, 0) }), wait);
        assert_eq!(identified.route(Moment { is_first: false, ..moment(1, 10) }), wait);
        assert_eq!(identified.route(moment(1, 10)), Route::Identified);
        identified.told(Timestamp(1), Duration::from_millis(12));
        assert_eq!(identified.route(moment(2, 13)), Route::Plain);
        assert_eq!(identified.route(Moment { is_last: true, ..moment(2, 13) }), Route::Identified);
        assert_eq!(identified.route(moment(2, 512)), Route::Identified);
        assert_eq!(identified.route(moment(1, 512)), Route::Plain);
    }

    #[test]
    fn a_slow_record_does_not_hold_up_the_next() {
        let mut identified = Identified::default();
        let behind = |millis| Moment { is_first: false, ..moment(1, millis) };
        assert_ne!(identified.route(behind(0)), Route::Plain);
        assert_eq!(identified.route(behind(20)), Route::Plain);
        assert_eq!(identified.route(behind(21)), Route::Plain);
    }

    #[test]
    fn a_record_ahead_of_the_clock_tells_nothing() {
        let mut identified = Identified::default();
        let last = Moment { is_last: true, ..moment(5, 0) };
        assert_eq!(identified.route(Moment { is_ahead: true, ..last }), Route::Plain);
        assert_eq!(identified.route(last), Route::Identified);
    }

    #[test]
    fn a_dead_letter_holds_back_its_time() {
        let mut identified = Identified::default();
        let beside = |time, oldest| Moment {
            is_last: true,
            oldest_dead_letter: Some(Timestamp(oldest)),
            ..moment(time, 0)
        };
        assert_eq!(identified.route(beside(5, 5)), Route::Plain);
        assert_eq!(identified.route(beside(4, 5)), Route::Identified);
    }
}
