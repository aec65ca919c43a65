//! Random operations on files, compared with the same on plain bytes after each.

use std::sync::Arc;

use bytes::Bytes;
use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{ROOT, SetAttributes};
use fuser::FileHandle;

use super::{bytes, objects};
use crate::config::Config;
use crate::file_system::{Caller, FileSystem};
use crate::ops::content::Open;
use crate::ops::{attributes, content};

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

async fn read_all(fs: &FileSystem, handle: FileHandle, piece: u32) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = content::read(fs, handle, all.len() as u64, piece).await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

async fn run(seed: u64, memory: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let files = MemoryFiles::default();
    let config = Config { memory, ..Config::new("/nowhere") };
    let fs = FileSystem::new(objects(&files), &config);
    let group = attributes::lookup(&fs, ROOT, b"group1").await.unwrap().inode;
    let caller = Caller { uid: 0, gid: 0 };
    let how = Open { write: true, ..Open::default() };
    let (made, mut handle) = content::create(&fs, caller, group, b"file", 0o644, how).await.unwrap();
    let inode = made.inode;
    let mut model: Vec<u8> = Vec::new();
    for step in 0..60 {
        let what = dice.below(12);
        let size = model.len() as u64;
        match what {
            // Appending is what most programs do.
            0..4 => {
                let data = bytes(dice.below(1 << 40), 1 + dice.below(700_000) as usize);
                content::write(&fs, handle, size, Bytes::from(data.clone())).await.unwrap();
                model.extend_from_slice(&data);
            }
            4..6 => {
                let offset = dice.below(size + 100_000);
                let data = bytes(dice.below(1 << 40), 1 + dice.below(50_000) as usize);
                content::write(&fs, handle, offset, Bytes::from(data.clone())).await.unwrap();
                let (from, to) = (offset as usize, offset as usize + data.len());
                model.resize(model.len().max(to), 0);
                model[from..to].copy_from_slice(&data);
            }
            6..8 => {
                let (offset, length) = (dice.below(size + 10), dice.below(200_000));
                let read = content::read(&fs, handle, offset, length as u32).await.unwrap();
                let from = (offset as usize).min(model.len());
                let to = (from + length as usize).min(model.len());
                assert!(read == model[from..to], "seed {seed} step {step}: read {offset}+{length}");
            }
            8 => {
                let size = dice.below(size * 2 + 10).min(4_000_000);
                let set = SetAttributes { size: Some(size), ..SetAttributes::default() };
                attributes::set(&fs, inode, set).await.unwrap();
                model.resize(size as usize, 0);
            }
            9 => content::flush(&fs, handle).await.unwrap(),
            10 => fs.rest(std::time::Duration::ZERO).await,
            _ => {
                content::flush(&fs, handle).await.unwrap();
                content::release(&fs, handle).await.unwrap();
                let truncate = dice.below(4) == 0;
                handle = content::open(&fs, inode, Open { truncate, ..how }).await.unwrap();
                if truncate {
                    model.clear();
                }
            }
        }
        assert_eq!(fs.attributes(inode).await.unwrap().size, model.len() as u64, "seed {seed} step {step}");
    }
    assert!(read_all(&fs, handle, 131_072).await == model, "seed {seed}: read by its writer");
    content::flush(&fs, handle).await.unwrap();
    let reader = fs.objects.open("group1", b"file").await.unwrap();
    assert!(reader.read_bytes(0..u64::MAX).await.unwrap() == model, "seed {seed}: got by S3");
    content::release(&fs, handle).await.unwrap();
    let handle = content::open(&fs, inode, Open::default()).await.unwrap();
    assert!(read_all(&fs, handle, 65_536).await == model, "seed {seed}: read again");
    content::release(&fs, handle).await.unwrap();
    assert_eq!(Arc::strong_count(&fs.budget), 1, "nothing holds memory for writing any more");
}

#[tokio::test]
async fn random_operations_leave_what_plain_bytes_would_hold() {
    for seed in 1..=24 {
        run(seed, 64 << 20).await;
        run(seed, 0).await;
    }
}
