//! Tests: operations without a kernel, and mounts through one.

mod caches;
mod disk_cache;
mod gone;
mod kernel;
mod model;
mod operations;
mod parts;
mod ranges;

use std::sync::Arc;

use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Defaults, Namespace, Objects, Settings};

/// Objects over a namespace and files in memory.
fn objects(files: &MemoryFiles) -> Arc<Objects> {
    let names = Namespace::in_memory(Defaults::default()).unwrap();
    let settings = Settings { raw_delete: true, ..Settings::default() };
    Objects::new(names, Arc::new(files.clone()), settings)
}

/// Bytes that differ from one another, and from those of another seed.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
