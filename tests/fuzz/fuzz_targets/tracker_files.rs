//! Any bytes as the data files of a tracker, new and old.

#![no_main]

use fdfs_tracker::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::data_file(bytes));
