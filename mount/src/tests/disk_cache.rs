//! Whole files on the local disk, through a kernel.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use fdfs_objects::Objects;
use fdfs_objects::testing::MemoryFiles;
use tempfile::TempDir;

use super::kernel::{Mounted, xattr};
use super::{bytes, objects};
use crate::config::DiskCacheConfig;

/// Objects, and a directory for the caches of mounts that come one after the other.
struct Rig {
    files: MemoryFiles,
    objects: Arc<Objects>,
    directory: TempDir,
    size: u64,
}

impl Rig {
    fn new(size: u64) -> Self {
        let files = MemoryFiles::default();
        let objects = objects(&files);
        Self { files, objects, directory: tempfile::tempdir().unwrap(), size }
    }

    fn mount(&self) -> Option<Mounted> {
        self.mount_in(self.directory.path())
    }

    /// A mount whose kernel knows nothing yet.
    fn mount_in(&self, directory: &Path) -> Option<Mounted> {
        let kept = DiskCacheConfig { directory: directory.to_owned(), size: self.size };
        let mounted = Mounted::of(Arc::clone(&self.objects), self.files.clone(), |config| {
            config.disk_cache = Some(kept);
        })?;
        // Counters count from the first look on.
        stats(&mounted);
        Some(mounted)
    }

    /// How often a storage was asked for bytes while `work` was done.
    fn reads(&self, work: impl FnOnce()) -> usize {
        self.files.state(|state| state.reads.clear());
        work();
        self.files.state(|state| state.reads.len())
    }

    fn kept(&self) -> Vec<fs::DirEntry> {
        let all = fs::read_dir(self.directory.path()).unwrap().map(Result::unwrap);
        all.filter(|entry| entry.file_name().to_string_lossy().starts_with("group1,")).collect()
    }

    /// What a mount reads is kept a moment after it was answered.
    fn wait_for_kept(&self, count: usize) {
        super::caches::soon("what was read is kept", || self.kept().len() == count);
    }
}

fn stats(mounted: &Mounted) -> String {
    fs::read_to_string(mounted.path("../.stats")).unwrap()
}

/// Whether the kernel reads anything that is open by itself.
fn passes(mounted: &Mounted) -> bool {
    !stats(mounted).contains("passthrough_handles 0\n")
}

#[test]
fn what_was_read_once_is_read_again_without_a_storage() {
    let rig = Rig::new(64 << 20);
    let Some(mounted) = rig.mount() else { return };
    let content = bytes(1, 3_000_000);
    mounted.put("dir/movie.mp4", &content);
    assert!(fs::read(mounted.path("dir/movie.mp4")).unwrap() == content);
    rig.wait_for_kept(1);
    drop(mounted);

    let Some(mounted) = rig.mount() else { return };
    let again = rig.reads(|| assert!(fs::read(mounted.path("dir/movie.mp4")).unwrap() == content));
    assert_eq!(again, 0);
    assert!(stats(&mounted).contains("fdfs_mount_disk_cache_hits_total"), "{}", stats(&mounted));

    // Another content has another ID: nobody has to take the old one back.
    let other = bytes(2, 2_000_000);
    fs::write(mounted.path("dir/movie.mp4"), &other).unwrap();
    assert!(fs::read(mounted.path("dir/movie.mp4")).unwrap() == other);
    mounted.put("dir/movie.mp4", &content);
    assert!(fs::read(mounted.path("dir/movie.mp4")).unwrap() == content);
}

#[test]
fn a_cached_file_that_is_not_what_it_was_is_read_from_a_storage_again() {
    let rig = Rig::new(64 << 20);
    let content = bytes(3, 1_000_000);
    let read = |name: &str| {
        let Some(mounted) = rig.mount() else { return 0 };
        let reads = rig.reads(|| assert!(fs::read(mounted.path(name)).unwrap() == content));
        rig.wait_for_kept(1);
        reads
    };
    {
        let Some(mounted) = rig.mount() else { return };
        mounted.put("file", &content);
    }
    assert!(read("file") > 0);
    assert_eq!(read("file"), 0);
    let kept = || File::options().write(true).open(rig.kept()[0].path()).unwrap();
    kept().write_all_at(b"rotten", 500_000).unwrap();
    assert!(read("file") > 0, "a byte is wrong");
    kept().set_len(999_999).unwrap();
    assert!(read("file") > 0, "it is too short");
    assert_eq!(read("file"), 0);

    // Touched while it is in use: the next open looks at it again.
    let Some(mounted) = rig.mount() else { return };
    assert!(fs::read(mounted.path("file")).unwrap() == content);
    kept().write_all_at(b"rotten", 100).unwrap();
    let file = File::open(mounted.path("file")).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 1_000_000);
    let mut read = Vec::new();
    (&file).read_to_end(&mut read).unwrap();
    assert!(read == content);
    assert!(stats(&mounted).contains("fdfs_mount_disk_cache_corrupt_total"), "{}", stats(&mounted));
}

#[test]
fn the_cache_on_disk_keeps_within_its_size_and_lets_the_least_used_go() {
    let rig = Rig::new(1_000_000);
    let Some(mounted) = rig.mount() else { return };
    for number in 0..5 {
        let (name, content) = (format!("file{number}"), bytes(number, 400_000));
        mounted.put(&name, &content);
        assert!(fs::read(mounted.path(&name)).unwrap() == content);
        rig.wait_for_kept((number as usize + 1).min(2));
    }
    let large = bytes(9, 1_000_001);
    mounted.put("large", &large);
    assert!(fs::read(mounted.path("large")).unwrap() == large);
    let total: u64 = rig.kept().iter().map(|entry| entry.metadata().unwrap().len()).sum();
    assert_eq!(total, 800_000);
    drop(mounted);
    let Some(mounted) = rig.mount() else { return };
    for number in 0..5 {
        let reads = rig.reads(|| {
            let read = fs::read(mounted.path(&format!("file{}", 4 - number))).unwrap();
            assert!(read == bytes(4 - number, 400_000));
        });
        assert_eq!(reads == 0, number < 2, "file{}", 4 - number);
        rig.wait_for_kept(2);
    }
}

#[test]
fn a_full_disk_under_the_cache_is_felt_by_nobody() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root makes a small disk");
        return;
    }
    let rig = Rig::new(64 << 20);
    let disk = rig.directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    if rustix::mount::mount("none", &disk, "tmpfs", rustix::mount::MountFlags::empty(), c"size=1m").is_err() {
        eprintln!("SKIPPED: nothing is mounted here");
        return;
    }
    if let Some(mounted) = rig.mount_in(&disk) {
        let content = bytes(4, 3_000_000);
        mounted.put("file", &content);
        for _ in 0..2 {
            assert!(fs::read(mounted.path("file")).unwrap() == content);
        }
        super::caches::soon("the failure is counted", || {
            stats(&mounted).contains("fdfs_mount_disk_cache_failures_total")
        });
        drop(mounted);
    }
    rustix::mount::unmount(&disk, rustix::mount::UnmountFlags::DETACH).unwrap();
}

#[test]
fn the_kernel_reads_raw_files_of_the_cache_by_itself() {
    let rig = Rig::new(64 << 20);
    let Some(mounted) = rig.mount() else { return };
    let content = bytes(5, 2_000_000);
    mounted.put("file", &content);
    let id = String::from_utf8(xattr(&mounted.path("file"), "user.fdfs.file_id").unwrap()).unwrap();
    let raw = mounted.path("..").join(id);
    // Read through pages, while another has it open as well: both go on so.
    let before = File::open(&raw).unwrap();
    assert!(fs::read(&raw).unwrap() == content);
    rig.wait_for_kept(1);
    assert!(fs::read(&raw).unwrap() == content);
    assert!(!passes(&mounted), "{}", stats(&mounted));
    drop(before);

    let (mut passed, begun) = (None, std::time::Instant::now());
    super::caches::soon("the handles of before are closed", || {
        passed = Some(File::open(&raw).unwrap());
        let offered = rustix::process::geteuid().is_root() && begun.elapsed().as_secs() < 10;
        !offered || passes(&mounted)
    });
    let passed = passed.unwrap();
    if !passes(&mounted) {
        eprintln!("SKIPPED: the kernel, or who runs this, offers no passthrough");
        return;
    }
    // The kernel tells of a close when it comes to it.
    super::caches::soon("it alone is open", || stats(&mounted).contains("open_handles 1\n"));
    let asked = mounted.requests();
    for _ in 0..10 {
        let mut read = vec![0; content.len()];
        passed.read_exact_at(&mut read, 0).unwrap();
        assert!(read == content);
    }
    assert_eq!(mounted.requests(), asked, "the kernel asks for no bytes");
    // The same bytes by their name are read and written as ever, meanwhile.
    assert!(fs::read(mounted.path("file")).unwrap() == content);
    fs::write(mounted.path("file"), b"other").unwrap();
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"other");
    assert!(fs::read(&raw).unwrap() == content);
}

#[test]
fn on_a_read_only_mount_who_opens_a_file_that_the_kernel_reads_gets_what_the_others_have() {
    let rig = Rig::new(64 << 20);
    let (content, other) = (bytes(6, 900_000), bytes(7, 800_000));
    {
        let Some(mounted) = rig.mount() else { return };
        mounted.put("file", &content);
        assert!(fs::read(mounted.path("file")).unwrap() == content);
        rig.wait_for_kept(1);
    }
    let kept = DiskCacheConfig { directory: rig.directory.path().to_owned(), size: rig.size };
    let read_only = |config: &mut crate::Config| {
        config.disk_cache = Some(kept);
        config.read_only = true;
    };
    let Some(mounted) = Mounted::of(Arc::clone(&rig.objects), rig.files.clone(), read_only) else { return };
    stats(&mounted);
    let held = File::open(mounted.path("file")).unwrap();
    if !passes(&mounted) {
        eprintln!("SKIPPED: the kernel, or who runs this, offers no passthrough");
        return;
    }
    // The same inode gets another content.
    rig.reads(|| {
        mounted.runtime.block_on(async {
            let inode = rig.objects.open("group1", b"file").await.unwrap().info().attributes.inode;
            let mut writer = rig.objects.write_inode(inode, None).await.unwrap();
            writer.write(other.clone().into()).await.unwrap();
            writer.commit(Default::default()).await.unwrap();
        });
    });
    assert!(fs::read(mounted.path("file")).unwrap() == content);
    drop(held);
    super::caches::soon("those who had it are gone", || fs::read(mounted.path("file")).unwrap() == other);
}
