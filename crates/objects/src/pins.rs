//! Since when somebody here reads content that may meanwhile be replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::objects::now_ms;

/// Times at which the readers that are open were opened.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<u64, usize>>);

/// Keeps what could be read when it was made from being deleted.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    opened: u64,
}

impl Pins {
    /// Pins all content of now.
    pub(crate) fn pin(self: &Arc<Self>) -> Pin {
        let opened = now_ms();
        *self.0.lock().entry(opened).or_default() += 1;
        Pin { pins: Arc::clone(self), opened }
    }

    /// When the reader that is open for longest was opened, milliseconds since 1970.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.0.lock().first_key_value().map(|(opened, _)| *opened)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.0.lock();
        if let Some(count) = pins.get_mut(&self.opened) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.opened);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_is_that_of_the_reader_open_for_longest() {
        let pins = Arc::new(Pins::default());
        assert_eq!(pins.oldest(), None);
        let first = pins.pin();
        let opened = pins.oldest().unwrap();
        let second = pins.pin();
        assert_eq!(pins.oldest(), Some(opened));
        drop(second);
        assert_eq!(pins.oldest(), Some(opened));
        drop(first);
        assert_eq!(pins.oldest(), None);
    }
}
