//! Files that are open while another process removes their last name. Through a kernel.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Preconditions, PutOptions};
use rustix::fs::FallocateFlags;

use super::bytes;
use super::caches::{Handed, Shared};
use super::kernel::Mounted;

#[test]
fn a_file_that_is_open_outlives_its_name_that_another_process_removes() {
    let shared = Arc::new(Shared::default());
    let files = MemoryFiles::default();
    let open = || Handed::objects(&shared, &files);
    let Some(mounted) = Mounted::of(open(), files.clone(), |_| {}) else { return };
    let elsewhere = open();
    for (length, is_replaced, is_written) in [
        (5_000, true, false),
        (5_000, false, true),
        (2_000_000, true, false),
        (2_000_000, false, true),
        (0, true, true),
    ] {
        let (path, mut model) = (mounted.path("file"), bytes(1, length));
        fs::write(&path, &model).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut appends = OpenOptions::new().append(true).open(&path).unwrap();
        let change = |model: &mut Vec<u8>, at: usize, seed| {
            let more = bytes(seed, 3_000);
            file.write_all_at(&more, at as u64).unwrap();
            model.resize(model.len().max(at + more.len()), 0);
            model[at..at + more.len()].copy_from_slice(&more);
        };
        if is_written {
            change(&mut model, 1_000, 2);
        }
        let other = bytes(3, 100);
        mounted.runtime.block_on(async {
            if is_replaced {
                let mut writer = elsewhere.writer("group1", b"file", PutOptions::default()).await.unwrap();
                writer.write(Bytes::from(other.clone())).await.unwrap();
                writer.commit(Default::default()).await.unwrap();
            } else {
                elsewhere.delete("group1", b"file", Preconditions::default()).await.unwrap();
            }
        });
        let read = |length: usize| {
            let mut read = vec![0; length + 10];
            let length = file.read_at(&mut read, 0).unwrap();
            read.truncate(length);
            read
        };
        assert!(read(model.len()) == model, "{length}: the old content is read");
        change(&mut model, length / 2, 4);
        change(&mut model, length + 20_000, 5);
        assert!(read(model.len()) == model, "{length}: what is written is read");
        assert_eq!(file.metadata().unwrap().len(), model.len() as u64);
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        file.set_len(10_000).unwrap();
        model.resize(10_000, 0);
        file.sync_all().unwrap();
        appends.write_all(b"end").unwrap();
        model.extend_from_slice(b"end");
        rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 100, 5_000)
            .unwrap();
        model[100..5_100].fill(0);
        assert!(read(model.len()) == model, "{length}: after all of it");
        drop((file, appends));
        match is_replaced {
            true => {
                // Nobody tells of the change here: it is the open that finds it.
                assert_eq!(fs::read(&path).unwrap(), other);
                assert_eq!(fs::metadata(&path).unwrap().len(), 100);
            }
            false => assert_eq!(fs::File::open(&path).unwrap_err().kind(), ErrorKind::NotFound),
        }
        let _ = fs::remove_file(&path);
    }
}
