//! The head of a request for a native path: path, query, conditions, ranges.

#![no_main]

use fdfs_fuzz::head;
use fdfs_http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(head) = head(input) else { return };
    for size in [0, 1, 5000, u64::MAX] {
        fuzzing::head(&head, size);
    }
});
