//! Buffers that belong to a thread and are lent to connections while bytes are in hand.
//!
//! A connection that waits holds none: ten thousand idle clients cost no buffer at all.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

/// Room for a small request with its body, so that both arrive by one `recv`.
pub(crate) const SMALL: usize = 16 * 1024;

/// Room for one piece of a streamed body.
pub(crate) const LARGE: usize = 256 * 1024;

/// A borrowed buffer; dropping it gives it back to the thread it is dropped on.
#[derive(Debug)]
pub(crate) struct Buffer(Box<[u8]>);

impl Buffer {
    /// A buffer of [`SMALL`] bytes.
    pub(crate) fn small() -> Self {
        Self::take(SMALL)
    }

    /// A buffer of [`LARGE`] bytes.
    pub(crate) fn large() -> Self {
        Self::take(LARGE)
    }

    fn take(size: usize) -> Self {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().of(size).pop()).ok().flatten();
        Self(spare.unwrap_or_else(|| vec![0; size].into_boxed_slice()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        let keep = if bytes.len() == LARGE { KEEP_LARGE } else { KEEP_SMALL };
        // A thread that is ending has no spares any more: the buffer is simply freed.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            let list = spares.of(bytes.len());
            if list.len() < keep {
                list.push(bytes);
            }
        });
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[derive(Default)]
struct Spares {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
}

impl Spares {
    fn of(&mut self, size: usize) -> &mut Vec<Box<[u8]>> {
        if size == LARGE { &mut self.large } else { &mut self.small }
    }
}

thread_local! {
    static SPARES: RefCell<Spares> = RefCell::default();
}

const KEEP_SMALL: usize = 64;
const KEEP_LARGE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again() {
        let first = Buffer::large();
        let address = first.as_ptr();
        drop(first);
        assert_eq!(Buffer::large().as_ptr(), address);
    }

    #[test]
    fn a_thread_keeps_few_large_buffers() {
        let many: Vec<_> = (0..KEEP_LARGE * 3).map(|_| Buffer::large()).collect();
        drop(many);
        assert_eq!(SPARES.with(|spares| spares.borrow().large.len()), KEEP_LARGE);
    }
}
