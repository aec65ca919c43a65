//! Any bytes as the rows of a namespace's store.

#![no_main]

use fdfs_namespace::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| fuzzing::row(value));
