//! Any text as a configuration file, or as what trackers tell of theirs: an error that names its line, or settings.

#![no_main]

use std::io;
use std::path::Path;

use fdfs_conf::{
    ClientConfig, ClusterParameters, ConfFile, Configuration, StorageConfig, StorageIds, TrackerConfig,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(file) = ConfFile::parse(Path::new("fuzz.conf"), text) {
        drop(TrackerConfig::from_file(&file));
        drop(StorageConfig::from_file(&file));
        drop(ClientConfig::from_file(&file));
    }
    drop(StorageIds::parse(Path::new("fuzz.conf"), text, &mut |_| Err(io::ErrorKind::NotFound.into())));
    if let Ok(text) = std::str::from_utf8(text) {
        drop(ClusterParameters::from_reply(text));
    }
});
