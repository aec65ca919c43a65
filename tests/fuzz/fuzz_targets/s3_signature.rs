//! The signature of an S3 request, in its headers or its query.

#![no_main]

use fdfs_fuzz::head;
use fdfs_s3::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some(head) = head(input) {
        fuzzing::signature(&head);
    }
});
