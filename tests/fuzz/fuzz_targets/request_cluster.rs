//! What storages ask trackers, and trackers each other.

#![no_main]

use fdfs_fuzz::request;
use fdfs_proto::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| request(frame, fuzzing::CLUSTER));
