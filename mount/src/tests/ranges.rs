//! Ranges of content, and names that trade places, through a kernel.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, RenameFlags, SeekFrom, copy_file_range, fallocate, seek};
use rustix::io::Errno;

use super::bytes;
use super::kernel::Mounted;

fn open(mounted: &Mounted, name: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(mounted.path(name)).unwrap()
}

#[test]
fn two_names_are_exchanged() {
    let Some(mounted) = Mounted::new() else { return };
    fs::create_dir(mounted.path("directory")).unwrap();
    fs::write(mounted.path("directory/below"), b"below").unwrap();
    fs::write(mounted.path("file"), b"file").unwrap();
    let cwd = rustix::fs::CWD;
    let exchange = |one: &str, other: &str| {
        rustix::fs::renameat_with(cwd, mounted.path(one), cwd, mounted.path(other), RenameFlags::EXCHANGE)
    };
    exchange("directory", "file").unwrap();
    assert_eq!(fs::read(mounted.path("directory")).unwrap(), b"file");
    assert_eq!(fs::read(mounted.path("file/below")).unwrap(), b"below");
    exchange("file/below", "directory").unwrap();
    assert_eq!(fs::read(mounted.path("file/below")).unwrap(), b"file");
    assert_eq!(exchange("file", "file/below"), Err(Errno::INVAL));
    assert_eq!(exchange("file", "missing"), Err(Errno::NOENT));
}

#[test]
fn fallocate_extends_empties_and_keeps_the_size() {
    let Some(mounted) = Mounted::new() else { return };
    let written = bytes(1, 3 << 20);
    // Written and not committed, small and large; then committed.
    for (name, length, commits) in
        [("small", 100_000, false), ("large", 3 << 20, false), ("old", 3 << 20, true)]
    {
        let file = open(&mounted, name);
        let mut content = written[..length].to_vec();
        file.write_all_at(&content, 0).unwrap();
        if commits {
            file.sync_all().unwrap();
        }
        let keep = FallocateFlags::KEEP_SIZE;
        fallocate(&file, FallocateFlags::PUNCH_HOLE | keep, 5_000, 60_000).unwrap();
        content[5_000..65_000].fill(0);
        assert!(fs::read(mounted.path(name)).unwrap() == content, "{name}: a hole");
        let size = length as u64;
        fallocate(&file, FallocateFlags::ZERO_RANGE, size - 1_000, 4_000).unwrap();
        content[length - 1_000..].fill(0);
        content.resize(length + 3_000, 0);
        assert!(fs::read(mounted.path(name)).unwrap() == content, "{name}: zeros");
        fallocate(&file, keep, 0, size + 300_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), content.len() as u64);
        fallocate(&file, FallocateFlags::empty(), 0, size + 300_000).unwrap();
        content.resize(length + 300_000, 0);
        file.write_all_at(b"end", size).unwrap();
        content[length..length + 3].copy_from_slice(b"end");
        drop(file);
        assert!(fs::read(mounted.path(name)).unwrap() == content, "{name}: extended");
        assert!(mounted.get(name) == content, "{name}: got by S3");
    }
    let file = open(&mounted, "small");
    assert_eq!(fallocate(&file, FallocateFlags::empty(), 0, 1 << 60), Err(Errno::NOSPC));
    assert_eq!(fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 4_096), Err(Errno::OPNOTSUPP));
}

#[test]
fn holes_are_found_by_lseek() {
    let Some(mounted) = Mounted::new() else { return };
    let file = open(&mounted, "file");
    file.write_all_at(&bytes(1, 200_000), 0).unwrap();
    let data = |offset| seek(&file, SeekFrom::Data(offset));
    let hole = |offset| seek(&file, SeekFrom::Hole(offset));
    // What is not committed has none.
    assert_eq!((data(7), hole(7)), (Ok(7), Ok(200_000)));
    file.sync_all().unwrap();
    file.set_len(400_000).unwrap();
    fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 50_000, 50_000).unwrap();
    assert_eq!((data(0), hole(0)), (Ok(0), Ok(50_000)));
    assert_eq!((data(60_000), hole(60_000)), (Ok(100_000), Ok(60_000)));
    assert_eq!((data(150_000), hole(150_000)), (Ok(150_000), Ok(200_000)));
    assert_eq!((data(200_000), hole(200_000)), (Err(Errno::NXIO), Ok(200_000)));
    assert_eq!((data(400_000), hole(400_000)), (Err(Errno::NXIO), Err(Errno::NXIO)));
}

#[test]
fn a_copied_range_shares_the_files_of_its_source() {
    let Some(mounted) = Mounted::new() else { return };
    let content = bytes(1, 1_000_000);
    fs::write(mounted.path("source"), &content).unwrap();
    let copy = |from: &dyn AsFd, from_at: u64, to: &dyn AsFd, to_at: u64, length: usize| {
        let (mut from_at, mut to_at, mut left) = (from_at, to_at, length);
        while left > 0 {
            let copied =
                copy_file_range(from.as_fd(), Some(&mut from_at), to.as_fd(), Some(&mut to_at), left);
            let copied = copied.unwrap();
            if copied == 0 {
                break;
            }
            left -= copied;
        }
        length - left
    };
    let (source, target) = (open(&mounted, "source"), open(&mounted, "target"));
    let before = mounted.files.ids().len();
    assert_eq!(copy(&source, 0, &target, 0, 2_000_000), content.len());
    assert_eq!(mounted.files.ids().len(), before, "bytes were moved");
    assert!(fs::read(mounted.path("target")).unwrap() == content);

    // Into the middle of what is being written, and within one file.
    let mut expected = bytes(2, 700_000);
    let other = open(&mounted, "other");
    other.write_all_at(&expected, 0).unwrap();
    assert_eq!(copy(&source, 1_000, &other, 600_000, 300_000), 300_000);
    expected.resize(900_000, 0);
    expected[600_000..].copy_from_slice(&content[1_000..301_000]);
    assert_eq!(copy(&other, 0, &other, 300_000, 100_000), 100_000);
    let moved = expected[..100_000].to_vec();
    expected[300_000..400_000].copy_from_slice(&moved);
    // Few bytes are copied as bytes.
    assert_eq!(copy(&source, 5, &other, 7, 100), 100);
    expected[7..107].copy_from_slice(&content[5..105]);
    drop(other);
    assert!(fs::read(mounted.path("other")).unwrap() == expected);
    assert!(mounted.get("other") == expected);
}
