//! What trackers answer to everybody.

#![no_main]

use fdfs_fuzz::answer;
use fdfs_proto::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| answer(input, &[fuzzing::TRACKER]));
