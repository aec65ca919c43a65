//! Decoders of what trackers send beyond messages, for fuzzers.

use crate::tracker::Changelog;

/// The trackers' log of identities, in answers of at most `piece` bytes: however it is cut, it says the same.
pub fn changelog(log: &[u8], piece: usize) {
    let mut whole = Changelog::default();
    let mut cut = Changelog::default();
    let said = whole.push(log);
    let longest = log.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
    let again: Vec<_> = log.chunks(piece.max(1)).flat_map(|piece| cut.push(piece)).collect();
    // Of a longer line only the beginning is kept.
    assert!(said == again || longest > Some(1024), "{said:?} or {again:?}");
}
