//! Any bytes as the documents that S3 requests have.

#![no_main]

use fdfs_s3::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| fuzzing::document(body));
