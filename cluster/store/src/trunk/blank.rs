//! Parts of a trunk file to which nothing was written since this process made it: what is about to fill them need not look.

use parking_lot::Mutex;

/// Blank parts, by offset. What it has not room for does not count as blank.
#[derive(Debug, Default)]
pub(crate) struct Blank(Mutex<Vec<(u64, u64)>>);

impl Blank {
    /// So many bytes behind `from` have just been made.
    pub(crate) fn extend(&self, from: u64, end: u64) {
        let mut parts = self.0.lock();
        if from < end && parts.len() < MOST {
            parts.push((from, end));
        }
    }

    /// Takes a part that is about to be written; whether all of it was blank.
    pub(crate) fn take(&self, offset: u64, end: u64) -> bool {
        let mut parts = self.0.lock();
        let Some(at) = parts.iter().position(|(from, to)| *from <= offset && end <= *to) else {
            return false;
        };
        let (from, to) = parts.swap_remove(at);
        for part in [(from, offset), (end, to)] {
            if part.0 < part.1 && parts.len() < MOST {
                parts.push(part);
            }
        }
        true
    }
}

/// More parts than there are slots on their way between an order of slots and its end.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_blank_once_and_only_as_a_whole() {
        let blank = Blank::default();
        assert!(!blank.take(0, 256), "nothing is known");
        blank.extend(0, 4096);
        assert!(blank.take(256, 512));
        assert!(!blank.take(256, 512));
        assert!(!blank.take(0, 300), "the end was written to");
        assert!(blank.take(0, 256));
        assert!(blank.take(512, 4096));
        assert!(!blank.take(600, 700));
        assert!(blank.0.lock().is_empty());
    }

    #[test]
    fn more_parts_than_fit_do_not_count_as_blank() {
        let blank = Blank::default();
        blank.extend(0, 1 << 20);
        for slot in 0..1000_u64 {
            blank.take(slot * 1024, slot * 1024 + 512);
        }
        assert!(blank.0.lock().len() <= MOST);
        assert!(!blank.take(0, 512));
    }
}
