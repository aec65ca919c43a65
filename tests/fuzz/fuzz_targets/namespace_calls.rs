//! Any bytes as the calls of the namespace service.

#![no_main]

use fdfs_namespace::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| fuzzing::call(message));
