//! The hours of the day in which records are sent.

use fdfs_conf::TimeOfDay;

/// `sync_start_time` to `sync_end_time`, also over midnight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyncHours {
    start: u32,
    end: u32,
}

impl SyncHours {
    /// From one time of day to another. The original's defaults, 00:00 to 23:59, mean always.
    pub fn new(start: TimeOfDay, end: TimeOfDay) -> Self {
        Self { start: start.seconds(), end: end.seconds() }
    }

    /// Whether every hour counts.
    pub fn is_always(self) -> bool {
        self.start == 0 && self.end >= LAST_MINUTE || self.start == self.end
    }

    /// Seconds until sending may begin; 0 within the hours. `now` is the second of the local day.
    pub fn wait(self, now: u32) -> u32 {
        if self.is_always() || self.contains(now) { 0 } else { (self.start + DAY - now) % DAY }
    }

    /// Seconds until sending must end; `None` where it never must.
    pub fn left(self, now: u32) -> Option<u32> {
        (!self.is_always()).then(|| if self.contains(now) { (self.end + DAY - now) % DAY + 1 } else { 0 })
    }

    fn contains(self, now: u32) -> bool {
        if self.start <= self.end {
            (self.start..=self.end).contains(&now)
        } else {
            now >= self.start || now <= self.end
        }
    }
}

const DAY: u32 = 24 * 3600;
const LAST_MINUTE: u32 = DAY - 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(start: (u32, u32), end: (u32, u32)) -> SyncHours {
        SyncHours::new(TimeOfDay::new(start.0, start.1), TimeOfDay::new(end.0, end.1))
    }

    #[test]
    fn the_defaults_mean_always() {
        let always = hours((0, 0), (23, 59));
        assert_eq!((always.wait(DAY - 1), always.left(0)), (0, None));
    }

    #[test]
    fn hours_of_one_day_begin_and_end() {
        let hours = hours((1, 0), (5, 0));
        assert_eq!((hours.wait(0), hours.left(0)), (3600, Some(0)));
        assert_eq!((hours.wait(3600), hours.left(5 * 3600)), (0, Some(1)));
        assert_eq!(hours.wait(5 * 3600 + 1), 20 * 3600 - 1);
    }

    #[test]
    fn hours_over_midnight_go_on_after_it() {
        let hours = hours((22, 0), (4, 0));
        assert_eq!((hours.wait(23 * 3600), hours.wait(0), hours.wait(4 * 3600)), (0, 0, 0));
        assert_eq!(hours.left(23 * 3600), Some(5 * 3600 + 1));
        assert_eq!(hours.left(3600), Some(3 * 3600 + 1));
        assert_eq!(hours.wait(12 * 3600), 10 * 3600);
    }
}
