//! A payload in the `aws-chunked` framing. The first byte chooses the mode, the second how it is cut.

#![no_main]

use fdfs_s3::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [mode, piece, wire @ ..] = input else { return };
    fuzzing::chunks(wire, mode & 1 != 0, mode & 2 != 0, usize::from(*piece));
});
