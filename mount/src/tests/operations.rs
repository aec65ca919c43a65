//! The operations without a kernel.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Kind, NewInode, ObjectsError, PutOptions, ROOT, SetAttributes, SetMode};
use fuser::FileHandle;
use tokio::sync::oneshot::error::TryRecvError;

use super::{bytes, objects};
use crate::adapter::{FuseAdapter, Patience};
use crate::config::Config;
use crate::error::FsError;
use crate::file_system::{Caller, FileSystem};
use crate::ops::content::Open;
use crate::ops::extended::Fitted;
use crate::ops::{attributes, content, directories, extended, names, space};

pub(super) const WRITE: Open = Open { write: true, truncate: false, exclusive: false };
pub(super) const READ: Open = Open { write: false, truncate: false, exclusive: false };
const OVERWRITE: Open = Open { write: true, truncate: true, exclusive: false };
const CALLER: Caller = Caller { uid: 1_000, gid: 100 };

/// A file system with what stands behind it, and the root of `group1`.
pub(super) struct Rig {
    pub(super) files: MemoryFiles,
    pub(super) fs: Arc<FileSystem>,
    group: u64,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let files = MemoryFiles::default();
        let mut config = Config::new("/nowhere");
        change(&mut config);
        let fs = FileSystem::new(objects(&files), &config);
        let group = attributes::lookup(&fs, ROOT, b"group1").await.unwrap().inode;
        Self { files, fs, group }
    }

    pub(super) async fn create(&self, name: &str) -> (u64, FileHandle) {
        let made = content::create(&self.fs, CALLER, self.group, name.as_bytes(), 0o640, WRITE).await;
        let (attributes, handle) = made.unwrap();
        (attributes.inode, handle)
    }

    pub(super) async fn write(&self, handle: FileHandle, offset: u64, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        content::write(&self.fs, handle, offset, bytes).await.unwrap();
    }

    pub(super) async fn close(&self, handle: FileHandle) {
        content::flush(&self.fs, handle).await.unwrap();
        content::release(&self.fs, handle).await.unwrap();
    }

    pub(super) async fn put(&self, name: &str, content: &[u8]) -> u64 {
        let mut writer =
            self.fs.objects.writer("group1", name.as_bytes(), PutOptions::default()).await.unwrap();
        writer.write(Bytes::copy_from_slice(content)).await.unwrap();
        writer.commit(Default::default()).await.unwrap().attributes.inode
    }

    /// The content as S3 sees it.
    pub(super) async fn get(&self, name: &str) -> Vec<u8> {
        let reader = self.fs.objects.open("group1", name.as_bytes()).await.unwrap();
        reader.read_bytes(0..u64::MAX).await.unwrap().to_vec()
    }

    pub(super) async fn file_id(&self, inode: u64) -> String {
        String::from_utf8(extended::get(&self.fs, inode, b"user.fdfs.file_id").await.unwrap()).unwrap()
    }

    pub(super) async fn size(&self, inode: u64) -> u64 {
        self.fs.attributes(inode).await.unwrap().size
    }

    pub(super) async fn names(&self, inode: u64) -> Vec<String> {
        let handle = directories::open(&self.fs, inode);
        let mut names = Vec::new();
        let mut take = |row: directories::Row<'_>| {
            names.push(String::from_utf8(row.name.to_vec()).unwrap());
            false
        };
        directories::read(&self.fs, handle, 0, &mut take).await.unwrap();
        directories::release(&self.fs, handle).unwrap();
        names
    }
}

#[tokio::test]
async fn a_file_put_by_s3_is_seen_and_read() {
    let rig = Rig::new().await;
    let content = bytes(1, 300_000);
    let inode = rig.put("pets/cat.jpg", &content).await;
    let pets = attributes::lookup(&rig.fs, rig.group, b"pets").await.unwrap();
    assert_eq!(pets.kind, Kind::Directory);
    let cat = attributes::lookup(&rig.fs, pets.inode, b"cat.jpg").await.unwrap();
    assert_eq!((cat.inode, cat.size), (inode, 300_000));

    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = Some(content::read(&rig.fs, handle, read.len() as u64, 65_536).await.unwrap())
        .filter(|bytes| !bytes.is_empty())
    {
        read.extend_from_slice(&bytes);
    }
    assert_eq!(read, content);
    rig.close(handle).await;
}

#[tokio::test]
async fn reading_on_continues_a_stream_and_reading_elsewhere_asks_for_that_only() {
    let rig = Rig::new().await;
    let content = bytes(2, 2_000_000);
    let inode = rig.put("big", &content).await;
    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    let range = |at: usize, length: usize| &content[at..at + length];
    // In another order than asked for, as the kernel's read-ahead may come.
    for at in [0, 131_072, 393_216, 262_144, 524_288, 655_360] {
        let read = content::read(&rig.fs, handle, at as u64, 131_072).await.unwrap();
        assert_eq!(read, range(at, 131_072), "at {at}");
    }
    assert_eq!(rig.files.state(|state| state.reads.clone()), [(0, 262_144), (262_144, 524_288),]);
    rig.files.state(|state| state.reads.clear());
    let read = content::read(&rig.fs, handle, 1_900_001, 10).await.unwrap();
    assert_eq!(read, range(1_900_001, 10));
    assert_eq!(rig.files.state(|state| state.reads.clone()), [(1_900_001, 10)]);
    assert_eq!(content::read(&rig.fs, handle, 1_999_990, 100).await.unwrap(), range(1_999_990, 10));
    assert_eq!(content::read(&rig.fs, handle, 2_000_000, 100).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_once_more() {
    let rig = Rig::new().await;
    let content = bytes(3, 100_000);
    let inode = rig.put("file", &content).await;
    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    rig.files.state(|state| state.broken_streams = 1);
    assert_eq!(content::read(&rig.fs, handle, 0, 1_000).await.unwrap(), content[..1_000]);
    rig.fs.rest(Duration::ZERO).await;
    rig.files.state(|state| state.broken_streams = 2);
    let error = content::read(&rig.fs, handle, 1_000, 1_000).await.unwrap_err();
    assert!(matches!(error, FsError::Objects(ObjectsError::Unavailable(_))), "{error}");
    assert_eq!(content::read(&rig.fs, handle, 1_000, 1_000).await.unwrap(), content[1_000..2_000]);
}

#[tokio::test]
async fn what_is_written_in_order_becomes_one_file_whatever_its_size() {
    let rig = Rig::new().await;
    for (seed, length) in [(1, 1), (2, 4_096), (3, 1_048_576), (4, 5_000_000)] {
        rig.files.state(|state| state.lengths.clear());
        let content = bytes(seed, length);
        let (inode, handle) = rig.create(&format!("file{length}.bin")).await;
        for (number, piece) in content.chunks(131_072).enumerate() {
            rig.write(handle, number as u64 * 131_072, piece).await;
        }
        rig.close(handle).await;
        let file_id = rig.file_id(inode).await;
        assert_eq!(rig.files.content(&file_id).unwrap(), content);
        assert!(file_id.ends_with(".bin"), "{file_id}");
        let known = (length <= 1_048_576).then_some(length as u64);
        assert_eq!(rig.files.state(|state| state.lengths.clone()), [known]);
        assert_eq!(rig.get(&format!("file{length}.bin")).await, content);
    }
}

#[tokio::test]
async fn an_answered_flush_or_fsync_has_committed() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("log").await;
    rig.write(handle, 0, b"one ").await;
    assert_eq!(rig.size(inode).await, 4);
    assert_eq!(rig.get("log").await, b"");
    content::flush(&rig.fs, handle).await.unwrap();
    assert_eq!(rig.get("log").await, b"one ");
    rig.write(handle, 4, b"two").await;
    content::flush(&rig.fs, handle).await.unwrap();
    assert_eq!(rig.get("log").await, b"one two");
    let before = rig.files.state(|state| state.lengths.len());
    rig.close(handle).await;
    assert_eq!(rig.files.state(|state| state.lengths.len()), before);
}

#[tokio::test]
async fn who_closes_late_or_only_reads_commits_nothing_of_who_still_writes() {
    let rig = Rig::new().await;
    let (old, new) = (bytes(6, 100_000), bytes(7, 3_000_000));
    let (inode, first) = rig.create("file.bin").await;
    rig.write(first, 0, &old).await;
    content::flush(&rig.fs, first).await.unwrap();
    let reader = content::open(&rig.fs, inode, READ).await.unwrap();
    let second = content::open(&rig.fs, inode, OVERWRITE).await.unwrap();
    assert_eq!(rig.get("file.bin").await, old);
    // The kernel tells of a close when it comes to it.
    content::release(&rig.fs, first).await.unwrap();
    assert!(rig.get("file.bin").await == old, "it is emptied for those only who have it open");
    rig.write(second, 0, &new[..2_000_000]).await;
    rig.close(reader).await;
    assert!(rig.get("file.bin").await == old, "it is half written");
    rig.write(second, 2_000_000, &new[2_000_000..]).await;
    rig.close(second).await;
    let file_id = rig.file_id(inode).await;
    assert!(rig.files.content(&file_id).unwrap() == new, "it is one file");
}

#[tokio::test]
async fn what_a_writer_left_behind_is_committed_by_the_last_close() {
    let rig = Rig::new().await;
    let (inode, writer) = rig.create("file").await;
    let reader = content::open(&rig.fs, inode, READ).await.unwrap();
    rig.write(writer, 0, b"content").await;
    rig.files.state(|state| state.away = true);
    content::flush(&rig.fs, writer).await.unwrap_err();
    content::release(&rig.fs, writer).await.unwrap_err();
    rig.files.state(|state| state.away = false);
    assert_eq!(rig.get("file").await, b"");
    rig.close(reader).await;
    assert_eq!(rig.get("file").await, b"content");
}

#[tokio::test]
async fn writes_in_any_order_are_kept() {
    // In memory, and with no memory to be had in the spool.
    for memory in [256 << 20, 0] {
        let rig = Rig::with(|config| config.memory = memory).await;
        let (inode, handle) = rig.create("video.mp4").await;
        let mut content = bytes(5, 3_000_000);
        rig.write(handle, 0, &content[..2_000_000]).await;
        rig.write(handle, 2_500_000, &content[2_500_000..]).await;
        rig.write(handle, 100, b"header").await;
        content[100..106].copy_from_slice(b"header");
        content[2_000_000..2_500_000].fill(0);
        assert_eq!(rig.size(inode).await, 3_000_000);
        assert_eq!(content::read(&rig.fs, handle, 90, 100).await.unwrap(), content[90..190]);
        rig.close(handle).await;
        assert_eq!(rig.get("video.mp4").await, content);
    }
}

#[tokio::test]
async fn a_part_of_an_old_file_is_changed_and_the_rest_stays() {
    let rig = Rig::new().await;
    for length in [1_000, 3_000_000] {
        let mut content = bytes(6, length);
        let inode = rig.put("old", &content).await;
        let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
        rig.write(handle, 500, b"changed").await;
        rig.write(handle, length as u64, b"appended").await;
        content[500..507].copy_from_slice(b"changed");
        content.extend_from_slice(b"appended");
        rig.close(handle).await;
        assert_eq!(rig.get("old").await, content);
    }
}

#[tokio::test]
async fn what_is_written_is_read_before_it_is_committed() {
    let rig = Rig::new().await;
    let content = bytes(7, 4_000_000);
    let (_, handle) = rig.create("growing").await;
    rig.write(handle, 0, &content[..2_000_000]).await;
    rig.write(handle, 2_000_000, &content[2_000_000..3_000_000]).await;
    assert_eq!(
        content::read(&rig.fs, handle, 1_999_000, 2_000).await.unwrap(),
        content[1_999_000..2_001_000]
    );
    rig.write(handle, 3_000_000, &content[3_000_000..]).await;
    assert_eq!(content::read(&rig.fs, handle, 3_999_000, 2_000).await.unwrap(), content[3_999_000..]);
    rig.close(handle).await;
    assert_eq!(rig.get("growing").await, content);
}

#[tokio::test]
async fn an_overwritten_file_shows_the_old_content_to_others_until_it_is_closed() {
    let rig = Rig::new().await;
    let inode = rig.put("page.html", b"old content").await;
    let handle = content::open(&rig.fs, inode, OVERWRITE).await.unwrap();
    assert_eq!(rig.size(inode).await, 0);
    assert_eq!(rig.get("page.html").await, b"old content");
    rig.write(handle, 0, b"new").await;
    assert_eq!(rig.get("page.html").await, b"old content");
    rig.close(handle).await;
    assert_eq!(rig.get("page.html").await, b"new");
    assert_eq!(rig.size(inode).await, 3);

    let handle = content::open(&rig.fs, inode, OVERWRITE).await.unwrap();
    rig.close(handle).await;
    assert_eq!(rig.get("page.html").await, b"");
}

#[tokio::test]
async fn a_new_size_cuts_or_adds_zeros_committed_or_not() {
    let rig = Rig::new().await;
    let resize = |inode, size| {
        let set = SetAttributes { size: Some(size), ..SetAttributes::default() };
        let fs = Arc::clone(&rig.fs);
        async move { attributes::set(&fs, inode, set).await.unwrap().size }
    };
    let inode = rig.put("file", b"0123456789").await;
    assert_eq!(resize(inode, 4).await, 4);
    assert_eq!(rig.get("file").await, b"0123");
    assert_eq!(resize(inode, 6).await, 6);
    assert_eq!(rig.get("file").await, b"0123\0\0");

    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    rig.write(handle, 0, b"abcdef").await;
    assert_eq!(resize(inode, 3).await, 3);
    assert_eq!(resize(inode, 5).await, 5);
    assert_eq!(rig.get("file").await, b"0123\0\0");
    rig.close(handle).await;
    assert_eq!(rig.get("file").await, b"abc\0\0");
    assert_eq!(resize(inode, 0).await, 0);
    assert_eq!(rig.get("file").await, b"");
}

#[tokio::test]
async fn a_time_set_before_the_close_stays() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("copied").await;
    rig.write(handle, 0, b"content").await;
    let set = SetAttributes { mtime: Some(1_000_000_007), mode: Some(0o600), ..SetAttributes::default() };
    let attributes = attributes::set(&rig.fs, inode, set).await.unwrap();
    assert_eq!((attributes.mtime, attributes.mode, attributes.size), (1_000_000_007, 0o600, 7));
    rig.close(handle).await;
    let attributes = rig.fs.attributes(inode).await.unwrap();
    assert_eq!((attributes.mtime, attributes.mode, attributes.size), (1_000_000_007, 0o600, 7));
}

#[tokio::test]
async fn a_failed_upload_is_told_by_the_flush_and_leaves_the_old_content() {
    let rig = Rig::new().await;
    let inode = rig.put("file", b"old").await;
    let handle = content::open(&rig.fs, inode, OVERWRITE).await.unwrap();
    rig.write(handle, 0, b"new").await;
    rig.files.state(|state| state.away = true);
    assert!(content::flush(&rig.fs, handle).await.is_err());
    rig.files.state(|state| state.away = false);
    assert_eq!(rig.get("file").await, b"old");
    // What is small is still here: trying again helps.
    content::flush(&rig.fs, handle).await.unwrap();
    assert_eq!(rig.get("file").await, b"new");
    rig.close(handle).await;
}

#[tokio::test]
async fn a_stream_that_fails_is_told_until_the_file_is_closed() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("big").await;
    let content = bytes(8, 3_000_000);
    rig.write(handle, 0, &content[..1_000_000]).await;
    rig.write(handle, 1_000_000, &content[1_000_000..2_000_000]).await;
    rig.files.state(|state| state.away = true);
    let more = Bytes::copy_from_slice(&content[2_000_000..]);
    assert!(matches!(content::write(&rig.fs, handle, 2_000_000, more.clone()).await, Err(FsError::Lost(_))));
    rig.files.state(|state| state.away = false);
    assert!(matches!(content::write(&rig.fs, handle, 2_000_000, more).await, Err(FsError::Lost(_))));
    assert!(matches!(content::flush(&rig.fs, handle).await, Err(FsError::Lost(_))));
    assert!(content::release(&rig.fs, handle).await.is_err());
    assert_eq!(rig.size(inode).await, 0);
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    rig.write(handle, 0, b"again").await;
    rig.close(handle).await;
    assert_eq!(rig.get("big").await, b"again");
}

#[tokio::test]
async fn a_stream_that_stands_still_is_committed() {
    let rig = Rig::new().await;
    let (_, handle) = rig.create("slow").await;
    let content = bytes(9, 3_000_000);
    rig.write(handle, 0, &content[..1_000_000]).await;
    rig.write(handle, 1_000_000, &content[1_000_000..2_000_000]).await;
    rig.fs.rest(Duration::ZERO).await;
    assert_eq!(rig.get("slow").await, content[..2_000_000]);
    rig.write(handle, 2_000_000, &content[2_000_000..]).await;
    rig.close(handle).await;
    assert_eq!(rig.get("slow").await, content);
}

#[tokio::test]
async fn a_file_that_is_open_outlives_its_name() {
    let rig = Rig::new().await;
    let inode = rig.put("temporary", b"content").await;
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    names::unlink(&rig.fs, rig.group, b"temporary").await.unwrap();
    assert!(attributes::lookup(&rig.fs, rig.group, b"temporary").await.is_err());
    assert_eq!(content::read(&rig.fs, handle, 0, 100).await.unwrap(), &b"content"[..]);
    rig.write(handle, 7, b" and more").await;
    assert_eq!(content::read(&rig.fs, handle, 0, 100).await.unwrap(), &b"content and more"[..]);
    rig.close(handle).await;
    assert!(rig.fs.objects.attributes(inode).await.is_err());
}

#[tokio::test]
async fn what_is_written_to_a_file_without_a_name_is_never_uploaded() {
    let rig = Rig::new().await;
    for length in [100, 3_000_000] {
        let (inode, handle) = rig.create("temporary").await;
        names::unlink(&rig.fs, rig.group, b"temporary").await.unwrap();
        let content = bytes(10, length);
        for (number, piece) in content.chunks(1_000_000).enumerate() {
            rig.write(handle, number as u64 * 1_000_000, piece).await;
        }
        rig.close(handle).await;
        assert_eq!(rig.files.count(), 0);
        assert!(rig.fs.objects.attributes(inode).await.is_err());
    }
}

#[tokio::test]
async fn small_writes_reach_a_storage_in_large_pieces() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("pieces").await;
    let content = bytes(11, 2_000_000);
    for (number, piece) in content.chunks(1_000).enumerate() {
        rig.write(handle, number as u64 * 1_000, piece).await;
    }
    assert_eq!(rig.size(inode).await, 2_000_000);
    rig.close(handle).await;
    assert_eq!(rig.get("pieces").await, content);
    assert!(rig.files.state(|state| state.pieces) < 12);
}

#[tokio::test]
async fn a_reader_goes_on_with_its_content_when_s3_puts_another() {
    let rig = Rig::new().await;
    let inode = rig.put("file", b"first").await;
    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    let other = rig.put("file", b"second").await;
    assert_ne!(inode, other);
    assert_eq!(content::read(&rig.fs, handle, 0, 100).await.unwrap(), &b"first"[..]);
    assert_eq!(attributes::lookup(&rig.fs, rig.group, b"file").await.unwrap().size, 6);
    rig.close(handle).await;
}

#[tokio::test]
async fn a_directory_in_the_root_is_a_bucket() {
    let rig = Rig::new().await;
    let new = NewInode { kind: Kind::Directory, mode: 0o750, ..NewInode::default() };
    let made = names::make(&rig.fs, CALLER, ROOT, b"photos", new.clone()).await.unwrap();
    assert_eq!((made.uid, made.gid, made.mode), (1_000, 100, 0o750));
    assert!(rig.fs.objects.bucket("photos").await.is_ok());
    assert_eq!(rig.names(ROOT).await, [".", "..", "group1", "photos"]);
    let error = names::make(&rig.fs, CALLER, ROOT, b"photos", new).await.unwrap_err();
    assert!(matches!(error, FsError::Objects(ObjectsError::AlreadyExists)), "{error}");
    let file = NewInode { mode: 0o644, ..NewInode::default() };
    assert!(names::make(&rig.fs, CALLER, ROOT, b"file", file).await.is_err());
    names::remove_directory(&rig.fs, ROOT, b"photos").await.unwrap();
    assert!(names::remove_directory(&rig.fs, ROOT, b"group1").await.is_err());
    assert_eq!(rig.names(ROOT).await, [".", "..", "group1"]);
}

#[tokio::test]
async fn a_directory_is_read_in_pieces_with_stable_offsets() {
    let rig = Rig::new().await;
    let count = 2_345;
    for number in 0..count {
        let new = NewInode { mode: 0o644, ..NewInode::default() };
        names::make(&rig.fs, CALLER, rig.group, format!("{number:05}").as_bytes(), new).await.unwrap();
    }
    let handle = directories::open(&rig.fs, rig.group);
    let read = async |cookie, most: usize| {
        let mut rows = Vec::new();
        let mut take = |row: directories::Row<'_>| {
            // As the kernel's buffer: the row that does not fit any more comes again.
            if rows.len() == most {
                return true;
            }
            rows.push((row.cookie, String::from_utf8(row.name.to_vec()).unwrap()));
            false
        };
        directories::read(&rig.fs, handle, cookie, &mut take).await.unwrap();
        rows
    };
    let mut all = Vec::new();
    let mut cookie = 0;
    loop {
        let rows = read(cookie, 77).await;
        let Some((last, _)) = rows.last() else { break };
        cookie = *last;
        // Removing what was read disturbs nothing.
        for (_, name) in rows.iter().filter(|(_, name)| !name.starts_with('.')).take(3) {
            names::unlink(&rig.fs, rig.group, name.as_bytes()).await.unwrap();
        }
        all.extend(rows);
    }
    let expected = (0..count).map(|number| format!("{number:05}"));
    let expected: Vec<String> = [".".to_owned(), "..".to_owned()].into_iter().chain(expected).collect();
    assert_eq!(all.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>(), expected);

    let (at, _) = all[2_200];
    assert_eq!(read(at, 1).await[0].1, "02199");
    let anew = read(0, 3).await;
    assert_eq!(anew[2].1, "00003");
    directories::release(&rig.fs, handle).unwrap();
}

#[tokio::test]
async fn raw_files_are_seen_by_their_ids_and_not_changed() {
    let rig = Rig::with(|config| config.raw_delete = false).await;
    let file = rig.files.add(b"uploaded by an old client", "txt");
    let mut inode = rig.group;
    let mut parent = inode;
    let path = file.filename.to_string();
    for name in path.split('/') {
        parent = inode;
        inode = attributes::lookup(&rig.fs, parent, name.as_bytes()).await.unwrap().inode;
    }
    let name = path.rsplit('/').next().unwrap();
    assert_eq!(rig.names(parent).await, [".", "..", name]);
    assert!(!rig.names(rig.group).await.contains(&"M00".to_owned()));
    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    assert_eq!(content::read(&rig.fs, handle, 9, 2).await.unwrap(), &b"by"[..]);
    rig.close(handle).await;

    assert!(matches!(content::open(&rig.fs, inode, WRITE).await, Err(FsError::NotPermitted(_))));
    assert!(matches!(content::open(&rig.fs, inode, OVERWRITE).await, Err(FsError::NotPermitted(_))));
    let refused = names::unlink(&rig.fs, parent, name.as_bytes()).await;
    assert!(matches!(refused, Err(FsError::NotPermitted(_))));
    extended::set(&rig.fs, inode, b"user.width", b"1024", SetMode::Any).await.unwrap();
    let metadata = rig.files.metadata_of(&file.to_string());
    assert_eq!(metadata.get(b"width"), Some(&b"1024"[..]));
}

#[tokio::test]
async fn raw_files_are_deleted_with_raw_delete_only() {
    let rig = Rig::with(|config| config.raw_delete = true).await;
    let file = rig.files.add(b"old", "txt");
    let mut parent = rig.group;
    let path = file.filename.to_string();
    let (directories, name) = path.rsplit_once('/').unwrap();
    for directory in directories.split('/') {
        parent = attributes::lookup(&rig.fs, parent, directory.as_bytes()).await.unwrap().inode;
    }
    names::unlink(&rig.fs, parent, name.as_bytes()).await.unwrap();
    assert!(rig.files.content(&file.to_string()).is_none());

    let (inode, handle) = rig.create("named").await;
    rig.write(handle, 0, b"content").await;
    rig.close(handle).await;
    let file_id = rig.file_id(inode).await;
    let mut parent = rig.group;
    let (directories, name) = file_id.strip_prefix("group1/").unwrap().rsplit_once('/').unwrap();
    for directory in directories.split('/') {
        parent = attributes::lookup(&rig.fs, parent, directory.as_bytes()).await.unwrap().inode;
    }
    let refused = names::unlink(&rig.fs, parent, name.as_bytes()).await;
    assert!(matches!(refused, Err(FsError::Objects(ObjectsError::NotPermitted(_)))));
}

#[tokio::test]
async fn user_attributes_are_metadata_and_ours_are_read_only() {
    let rig = Rig::new().await;
    let inode = rig.put("cat.jpg", b"meow").await;
    extended::set(&rig.fs, inode, b"user.width", b"1024", SetMode::Create).await.unwrap();
    let head = rig.fs.objects.head("group1", b"cat.jpg").await.unwrap();
    assert_eq!(head.user_metadata().collect::<Vec<_>>(), [(&b"width"[..], &b"1024"[..])]);
    let file_id = rig.file_id(inode).await;
    assert_eq!(rig.files.metadata_of(&file_id).get(b"width"), Some(&b"1024"[..]));

    let again = extended::set(&rig.fs, inode, b"user.width", b"1", SetMode::Create).await;
    assert!(matches!(again, Err(FsError::Objects(ObjectsError::AlreadyExists))));

    let list = extended::list(&rig.fs, inode).await.unwrap();
    let names: Vec<&[u8]> = list.split(|byte| *byte == 0).collect();
    for name in ["user.width", "user.fdfs.file_id", "user.fdfs.crc32", "user.fdfs.etag"] {
        assert!(names.contains(&name.as_bytes()), "{name}");
    }
    let refused = extended::set(&rig.fs, inode, b"user.fdfs.file_id", b"x", SetMode::Any).await;
    assert!(matches!(refused, Err(FsError::Objects(ObjectsError::NotPermitted(_)))));
    extended::remove(&rig.fs, inode, b"user.width").await.unwrap();
    let gone = extended::get(&rig.fs, inode, b"user.width").await;
    assert!(matches!(gone, Err(FsError::Objects(ObjectsError::NoAttribute))));
}

#[test]
fn an_attribute_is_given_whole_or_its_length_is() {
    assert_eq!(extended::fit(b"value", 0).unwrap(), Fitted::Length(5));
    assert_eq!(extended::fit(b"value", 5).unwrap(), Fitted::Value(b"value"));
    assert!(matches!(extended::fit(b"value", 4), Err(FsError::Range)));
}

#[tokio::test]
async fn what_is_made_in_a_directory_with_the_set_group_bit_belongs_to_its_group() {
    let rig = Rig::new().await;
    let new = NewInode { kind: Kind::Directory, mode: 0o2775, ..NewInode::default() };
    let shared = names::make(&rig.fs, Caller { uid: 1, gid: 55 }, rig.group, b"shared", new.clone());
    let shared = shared.await.unwrap();
    let below = names::make(&rig.fs, CALLER, shared.inode, b"below", NewInode { mode: 0o755, ..new });
    let below = below.await.unwrap();
    assert_eq!((below.uid, below.gid, below.mode), (1_000, 55, 0o2755));
}

#[tokio::test]
async fn space_is_that_of_the_groups() {
    let rig = Rig::new().await;
    let told = space::space(&rig.fs, ROOT).await.unwrap();
    assert_eq!((told.total, told.free), (4_096_000, 409_600));
    assert_eq!(space::space(&rig.fs, rig.group).await.unwrap(), told);
}

#[tokio::test]
async fn names_longer_than_255_bytes_are_refused() {
    let rig = Rig::new().await;
    let name = [b'x'; 256];
    let new = NewInode { mode: 0o644, ..NewInode::default() };
    let refused = names::make(&rig.fs, CALLER, rig.group, &name, new.clone()).await;
    assert!(matches!(refused, Err(FsError::NameTooLong)));
    assert!(names::make(&rig.fs, CALLER, rig.group, &name[..255], new).await.is_ok());
}

#[tokio::test]
async fn flushing_all_commits_what_every_program_wrote() {
    let rig = Rig::new().await;
    let (_, one) = rig.create("one").await;
    let (_, two) = rig.create("two").await;
    rig.write(one, 0, b"1").await;
    rig.write(two, 0, b"2").await;
    rig.files.state(|state| state.away = true);
    assert_eq!(rig.fs.flush_all().await, 2);
    rig.files.state(|state| state.away = false);
    assert_eq!(rig.fs.flush_all().await, 0);
    assert_eq!((rig.get("one").await, rig.get("two").await), (b"1".to_vec(), b"2".to_vec()));
}

#[tokio::test]
async fn an_empty_file_has_no_file_id() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("empty").await;
    rig.close(handle).await;
    assert!(extended::get(&rig.fs, inode, b"user.fdfs.file_id").await.is_err());
    assert_eq!(rig.get("empty").await, b"");
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    rig.write(handle, 0, b"x").await;
    rig.close(handle).await;
    assert!(rig.files.content(&rig.file_id(inode).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_hangs_ends() {
    let rig = Rig::new().await;
    let adapter = FuseAdapter::new(Arc::clone(&rig.fs), tokio::runtime::Handle::current());
    let (reply, mut replied) = tokio::sync::oneshot::channel::<()>();
    adapter.run(tracing::Span::none(), Patience::Usual, async move {
        // As a reply does: dropped, it tells the kernel of an I/O error.
        let _reply = reply;
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert!(replied.try_recv().is_err_and(|error| error == TryRecvError::Empty));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(replied.try_recv().is_err_and(|error| error == TryRecvError::Closed));
}

#[tokio::test]
async fn what_need_not_wait_is_answered_on_the_thread_that_asks() {
    let rig = Rig::new().await;
    let adapter = FuseAdapter::new(Arc::clone(&rig.fs), tokio::runtime::Handle::current());
    let (reply, mut replied) = tokio::sync::oneshot::channel();
    let (fs, group) = (Arc::clone(&rig.fs), rig.group);
    adapter.run(tracing::Span::none(), Patience::Usual, async move {
        let _ = reply.send(fs.attributes(group).await.unwrap().inode);
    });
    assert_eq!(replied.try_recv(), Ok(group));
}
