//! Any bytes as the small files of a storage: state, journal, owners, metadata.

#![no_main]

use fdfs_store::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::state_file(&String::from_utf8_lossy(bytes));
    fuzzing::journal(bytes);
    fuzzing::sidecar(bytes);
});
