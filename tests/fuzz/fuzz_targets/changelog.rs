//! The trackers' log of identities, in pieces of any size.

#![no_main]

use fdfs_storage::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [piece, log @ ..] = input else { return };
    fuzzing::changelog(log, usize::from(*piece));
});
