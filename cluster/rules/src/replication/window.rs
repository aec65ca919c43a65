//! How far a peer has everything, while several records are on their way at once.

use std::collections::BTreeMap;

/// The records between the last position that is safe to remember and the last one read.
///
/// A position is safe when every record before it is done. Memory grows with the records that are not done, not with
/// those that are.
#[derive(Clone, Debug)]
pub struct Window<P> {
    end: P,
    next: u64,
    /// Where the records that are not done begin, by their number.
    unfinished: BTreeMap<u64, P>,
}

impl<P: Copy> Window<P> {
    /// Everything up to `start` is done.
    pub fn new(start: P) -> Self {
        Self { end: start, next: 0, unfinished: BTreeMap::new() }
    }

    /// A record that begins where the last one ended, and ends at `end`; its number.
    pub fn begin(&mut self, end: P) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unfinished.insert(number, std::mem::replace(&mut self.end, end));
        number
    }

    /// A record that needs nothing to be done.
    pub fn pass(&mut self, end: P) {
        self.end = end;
    }

    /// A record is done.
    pub fn finish(&mut self, number: u64) {
        self.unfinished.remove(&number);
    }

    /// Everything before this is done.
    pub fn position(&self) -> P {
        self.unfinished.values().next().copied().unwrap_or(self.end)
    }

    /// Whether nothing before record `number` is left to do.
    pub fn is_first(&self, number: u64) -> bool {
        self.unfinished.keys().next().is_none_or(|first| *first >= number)
    }

    /// Number of records that are not done.
    pub fn unfinished(&self) -> usize {
        self.unfinished.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_done_without_a_gap_counts() {
        let mut window = Window::new(0);
        let (first, second, third) = (window.begin(10), window.begin(20), window.begin(30));
        window.pass(40);
        assert!(window.is_first(first) && !window.is_first(second));
        window.finish(second);
        window.finish(third);
        assert_eq!((window.position(), window.unfinished()), (0, 1));
        window.finish(first);
        assert_eq!((window.position(), window.unfinished()), (40, 0));
    }

    #[test]
    fn a_record_that_needs_nothing_does_not_hide_one_before_it() {
        let mut window = Window::new(0);
        let first = window.begin(10);
        window.pass(20);
        assert_eq!(window.position(), 0);
        window.finish(first);
        assert_eq!(window.position(), 20);
    }

    proptest! {
        #[test]
        fn the_position_never_passes_an_unfinished_record(order in proptest::collection::vec(any::<(bool, u8)>(), 0..200)) {
            let mut window = Window::new(0_u32);
            let mut open: Vec<(u64, u32)> = Vec::new();
            let (mut end, mut last) = (0, 0);
            for (begins, pick) in order {
                if begins || open.is_empty() {
                    let start = end;
                    end += 1;
                    open.push((window.begin(end), start));
                } else {
                    let (number, _) = open.swap_remove(usize::from(pick) % open.len());
                    window.finish(number);
                }
                let least = open.iter().map(|(_, start)| *start).min().unwrap_or(end);
                prop_assert_eq!(window.position(), least);
                prop_assert!(window.position() >= last);
                last = window.position();
            }
        }
    }
}
