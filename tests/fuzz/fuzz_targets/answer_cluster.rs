//! What trackers answer to storages and to each other.

#![no_main]

use fdfs_fuzz::answer;
use fdfs_proto::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| answer(input, &[fuzzing::CLUSTER]));
