//! Any bytes as a line of the binlog, and as its files: one, or two where a NUL stands between.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use fdfs_store::{Position, fuzzing};
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("fdfs-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("room");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    fuzzing::record(bytes);
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    for name in ["binlog.000", "binlog.001"] {
        std::fs::write(FOLDER.join(name), files.next().unwrap_or_default()).expect("room");
    }
    fuzzing::binlog(&FOLDER, Position::default()).expect("plain files can be read");
});
