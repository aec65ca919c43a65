//! Mounts through the kernel. Without `/dev/fuse` they are skipped, loudly.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Objects, PutOptions};
use rustix::fs::{RenameFlags, XattrFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{bytes, objects};
use crate::{Config, Mount, MountError, Unmounted};

/// A mount and what stands behind it; unmounted whatever becomes of the test.
pub(super) struct Mounted {
    mount: Option<Mount>,
    pub(super) objects: Arc<Objects>,
    pub(super) files: MemoryFiles,
    pub(super) runtime: Runtime,
    directory: TempDir,
}

impl Mounted {
    /// None where there is no FUSE.
    pub(super) fn new() -> Option<Self> {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Option<Self> {
        let files = MemoryFiles::default();
        let objects = objects(&files);
        Self::of(objects, files, change)
    }

    /// A mount of these objects.
    pub(super) fn of(
        objects: Arc<Objects>,
        files: MemoryFiles,
        change: impl FnOnce(&mut Config),
    ) -> Option<Self> {
        if OpenOptions::new().read(true).write(true).open("/dev/fuse").is_err() {
            eprintln!("SKIPPED: no /dev/fuse here, nothing is shown about mounts");
            return None;
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path());
        change(&mut config);
        let mount = Mount::start(&config, Arc::clone(&objects), runtime.handle()).unwrap();
        Some(Self { mount: Some(mount), objects, files, runtime, directory })
    }

    /// A path in the bucket of the group.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("group1").join(name)
    }

    pub(super) fn put(&self, name: &str, content: &[u8]) {
        self.runtime.block_on(async {
            let options = PutOptions::default();
            let mut writer = self.objects.writer("group1", name.as_bytes(), options).await.unwrap();
            writer.write(Bytes::copy_from_slice(content)).await.unwrap();
            writer.commit(Default::default()).await.unwrap();
        });
    }

    pub(super) fn get(&self, name: &str) -> Vec<u8> {
        self.runtime.block_on(async {
            let reader = self.objects.open("group1", name.as_bytes()).await.unwrap();
            reader.read_bytes(0..u64::MAX).await.unwrap().to_vec()
        })
    }

    /// How often the kernel has asked for anything.
    pub(super) fn requests(&self) -> u64 {
        self.mount.as_ref().map_or(0, Mount::requests)
    }

    fn unmount(&mut self) -> Result<Unmounted, MountError> {
        let mount = self.mount.take().unwrap();
        self.runtime.block_on(mount.unmount())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The mount must be gone before the directory is removed.
        drop(self.mount.take());
    }
}

pub(super) fn xattr(path: &Path, name: &str) -> Result<Vec<u8>, rustix::io::Errno> {
    let mut value = vec![0; 4_096];
    let length = rustix::fs::getxattr(path, name, &mut value)?;
    value.truncate(length);
    Ok(value)
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_s3_puts_is_seen_at_once_and_what_is_written_is_got_by_s3() {
    let Some(mounted) = Mounted::new() else { return };
    for length in [0, 1, 4_096, 5_242_880] {
        let content = bytes(length as u64, length);
        mounted.put("pets/cat.jpg", &content);
        assert_eq!(fs::metadata(mounted.path("pets/cat.jpg")).unwrap().len(), length as u64);
        assert_eq!(fs::read(mounted.path("pets/cat.jpg")).unwrap(), content);

        fs::write(mounted.path("written.bin"), &content).unwrap();
        assert_eq!(mounted.get("written.bin"), content);
        assert_eq!(fs::read(mounted.path("written.bin")).unwrap(), content);
    }
    let id = String::from_utf8(xattr(&mounted.path("written.bin"), "user.fdfs.file_id").unwrap()).unwrap();
    assert_eq!(mounted.files.content(&id).unwrap(), bytes(5_242_880, 5_242_880));
    assert_eq!(fs::read(mounted.directory.path().join(&id)).unwrap(), bytes(5_242_880, 5_242_880));
}

#[test]
fn names_are_made_renamed_linked_and_removed() {
    let Some(mounted) = Mounted::new() else { return };
    let path = |name: &str| mounted.path(name);
    fs::create_dir(path("a")).unwrap();
    fs::write(path("a/file"), b"1").unwrap();
    fs::rename(path("a"), path("b")).unwrap();
    assert_eq!(fs::read(path("b/file")).unwrap(), b"1");
    fs::write(path("other"), b"2").unwrap();
    fs::rename(path("other"), path("b/file")).unwrap();
    assert_eq!(fs::read(path("b/file")).unwrap(), b"2");
    assert_eq!(fs::rename(path("b"), path("b/below")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(fs::remove_dir(path("b")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    assert_eq!(fs::remove_file(path("b")).unwrap_err().kind(), ErrorKind::IsADirectory);

    fs::write(path("taken"), b"3").unwrap();
    let cwd = rustix::fs::CWD;
    let renamed = rustix::fs::renameat_with(cwd, path("taken"), cwd, path("b/file"), RenameFlags::NOREPLACE);
    assert_eq!(renamed, Err(rustix::io::Errno::EXIST));

    fs::hard_link(path("taken"), path("linked")).unwrap();
    assert_eq!(fs::metadata(path("taken")).unwrap().nlink(), 2);
    symlink("b/file", path("soft")).unwrap();
    assert_eq!(fs::read_link(path("soft")).unwrap(), Path::new("b/file"));
    assert_eq!(fs::read(path("soft")).unwrap(), b"2");
    assert_eq!(names(&path("")), ["b", "linked", "soft", "taken"]);

    fs::remove_file(path("b/file")).unwrap();
    fs::remove_dir(path("b")).unwrap();
    assert_eq!(fs::metadata(path("b")).unwrap_err().kind(), ErrorKind::NotFound);
    let exclusive = OpenOptions::new().write(true).create_new(true).open(path("taken"));
    assert_eq!(exclusive.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn directories_in_the_root_are_buckets() {
    let Some(mounted) = Mounted::new() else { return };
    let root = mounted.directory.path();
    fs::create_dir(root.join("photos")).unwrap();
    assert_eq!(names(root), ["group1", "photos"]);
    mounted.runtime.block_on(mounted.objects.bucket("photos")).unwrap();
    fs::write(root.join("photos/x"), b"x").unwrap();
    let across = fs::rename(root.join("photos/x"), mounted.path("x")).unwrap_err();
    assert_eq!(across.kind(), ErrorKind::CrossesDevices);
    assert_eq!(fs::remove_dir(root.join("photos")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_file(root.join("photos/x")).unwrap();
    fs::remove_dir(root.join("photos")).unwrap();
    assert!(fs::write(root.join("file"), b"").is_err());
    assert!(fs::remove_dir(root.join("group1")).is_err());
}

#[test]
fn files_are_written_and_read_in_any_order() {
    let Some(mounted) = Mounted::new() else { return };
    let path = mounted.path("any");
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    let mut content = bytes(1, 3_000_000);
    file.write_all(&content[..2_000_000]).unwrap();
    file.write_all_at(&content[2_200_000..], 2_200_000).unwrap();
    content[2_000_000..2_200_000].fill(0);
    file.write_all_at(b"head", 0).unwrap();
    content[..4].copy_from_slice(b"head");
    let mut read = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut read).unwrap();
    assert_eq!(read, content);
    file.sync_all().unwrap();
    assert_eq!(mounted.get("any"), content);
    file.set_len(1_000_000).unwrap();
    content.truncate(1_000_000);
    drop(file);
    assert_eq!(mounted.get("any"), content);

    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"tail").unwrap();
    drop(file);
    content.extend_from_slice(b"tail");
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn another_content_is_seen_by_the_next_open_and_by_nobody_halfway() {
    let Some(mounted) = Mounted::new() else { return };
    let (old, new) = (bytes(1, 600_000), bytes(2, 600_000));
    mounted.put("file", &old);
    let mut before = File::open(mounted.path("file")).unwrap();
    let mut read = vec![0; 300_000];
    before.read_exact(&mut read).unwrap();
    mounted.put("file", &new);
    assert_eq!(fs::read(mounted.path("file")).unwrap(), new);
    before.read_to_end(&mut read).unwrap();
    assert_eq!(read, old);
}

#[test]
fn attributes_are_kept() {
    let Some(mounted) = Mounted::new() else { return };
    let path = mounted.path("file");
    let file = File::create(&path).unwrap();
    (&file).write_all(b"content").unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    file.set_modified(time).unwrap();
    drop(file);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.modified().unwrap()), (7, time));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o751)).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.modified().unwrap()), (0o751, time));
    rustix::fs::mkfifoat(rustix::fs::CWD, mounted.path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(fs::metadata(mounted.path("pipe")).unwrap().mode() & libc::S_IFMT, libc::S_IFIFO);
}

#[test]
fn the_time_of_the_last_access_is_kept_where_that_is_asked_for() {
    let Some(mounted) = Mounted::with(|config| config.access_times = true) else { return };
    let path = mounted.path("file");
    fs::write(&path, "content").unwrap();
    let times = || {
        let metadata = fs::metadata(&path).unwrap();
        let nanos = |seconds: i64, nanos: i64| seconds * 1_000_000_000 + nanos;
        let accessed = nanos(metadata.atime(), metadata.atime_nsec());
        let changed = nanos(metadata.mtime(), metadata.mtime_nsec());
        (accessed, changed, nanos(metadata.ctime(), metadata.ctime_nsec()))
    };
    let (_, mtime, ctime) = times();
    assert_eq!(fs::read(&path).unwrap(), b"content");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let now = times();
        assert_eq!((now.1, now.2), (mtime, ctime), "no other time changes");
        if now.0 > mtime.max(ctime) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the access is not noted: {now:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn extended_attributes_are_metadata() {
    let Some(mounted) = Mounted::new() else { return };
    let path = mounted.path("cat.jpg");
    mounted.put("cat.jpg", b"meow");
    rustix::fs::setxattr(&path, "user.width", b"1024", XattrFlags::empty()).unwrap();
    assert_eq!(xattr(&path, "user.width").unwrap(), b"1024");
    let again = rustix::fs::setxattr(&path, "user.width", b"1", XattrFlags::CREATE);
    assert_eq!(again, Err(rustix::io::Errno::EXIST));
    let missing = rustix::fs::setxattr(&path, "user.height", b"1", XattrFlags::REPLACE);
    assert_eq!(missing, Err(rustix::io::Errno::NODATA));
    let reserved = rustix::fs::setxattr(&path, "user.fdfs.file_id", b"x", XattrFlags::empty());
    assert_eq!(reserved, Err(rustix::io::Errno::PERM));

    let mut list = vec![0; 4_096];
    let length = rustix::fs::listxattr(&path, &mut list).unwrap();
    let list = String::from_utf8(list[..length].to_vec()).unwrap();
    assert!(list.split('\0').any(|name| name == "user.width"), "{list:?}");
    assert!(list.split('\0').any(|name| name == "user.fdfs.file_id"), "{list:?}");
    let head = mounted.runtime.block_on(mounted.objects.head("group1", b"cat.jpg")).unwrap();
    assert_eq!(head.user_metadata().collect::<Vec<_>>(), [(&b"width"[..], &b"1024"[..])]);

    rustix::fs::removexattr(&path, "user.width").unwrap();
    assert_eq!(xattr(&path, "user.width"), Err(rustix::io::Errno::NODATA));
    assert_eq!(xattr(&path, "system.posix_acl_access"), Err(rustix::io::Errno::OPNOTSUPP));
}

#[test]
fn raw_files_are_read_by_their_ids_and_not_listed_among_others() {
    let Some(mounted) = Mounted::new() else { return };
    let file = mounted.files.add(b"old client", "txt").to_string();
    let path = mounted.directory.path().join(&file);
    assert_eq!(fs::read(&path).unwrap(), b"old client");
    assert_eq!(names(path.parent().unwrap()), [path.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(names(&mounted.path("")), Vec::<String>::new());
    assert!(OpenOptions::new().write(true).open(&path).is_err());
    assert_eq!(fs::remove_file(&path).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let missing = mounted.path("M00/01/01/wKgBcGsCeAWAUa5zAAAACw1KEYU777.txt");
    assert_eq!(fs::read(missing).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_directory_of_many_is_listed_whole() {
    let Some(mounted) = Mounted::new() else { return };
    let directory = mounted.path("many");
    fs::create_dir(&directory).unwrap();
    for number in 0..2_500 {
        File::create(directory.join(format!("{number:04}"))).unwrap();
    }
    let expected: Vec<String> = (0..2_500).map(|number| format!("{number:04}")).collect();
    assert_eq!(names(&directory), expected);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(names(&mounted.path("")), Vec::<String>::new());
}

#[test]
fn programs_work() {
    let Some(mounted) = Mounted::new() else { return };
    let run = |script: &str| {
        let output =
            Command::new("sh").current_dir(mounted.path("")).args(["-euc", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("echo one > log; echo two >> log; cat log"), "one\ntwo\n");
    assert_eq!(mounted.get("log"), b"one\ntwo\n");
    run("dd if=/dev/zero of=zeros bs=64k count=40 2>/dev/null; test $(stat -c %s zeros) = 2621440");
    run(
        "dd if=/dev/zero of=zeros bs=1 seek=100 count=1 conv=notrunc 2>/dev/null; cmp -n 2621440 zeros /dev/zero",
    );
    run("mkdir tree; cp /etc/passwd tree/a; cp -p tree/a tree/b; cmp tree/a tree/b");
    run("mkdir copied; tar cf - tree | tar xf - -C copied; diff -r tree copied/tree; rm -r tree");
    run("touch -d @1000 old; test $(stat -c %Y old) = 1000; mv old renamed; test ! -e old");
    assert_eq!(run("cp /bin/cat program; echo done | ./program"), "done\n");
    run("truncate -s 100 t; fallocate -l 200 t; test $(stat -c %s t) = 200");
    assert!(run("df --output=size -B 1 .").contains("4096000"));
}

#[test]
fn a_panic_costs_one_io_error() {
    let Some(mounted) = Mounted::new() else { return };
    mounted.put("file", b"content");
    mounted.files.state(|state| state.panics = true);
    let error = fs::read(mounted.path("file")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    mounted.files.state(|state| state.panics = false);
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"content");
}

#[test]
fn a_failed_upload_is_told_by_fsync_and_close() {
    let Some(mounted) = Mounted::new() else { return };
    mounted.put("file", b"old");
    let mut file = File::create(mounted.path("file")).unwrap();
    file.write_all(b"new").unwrap();
    mounted.files.state(|state| state.away = true);
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(libc::EIO));
    assert_eq!(rustix_close(file), libc::EIO);
    mounted.files.state(|state| state.away = false);
    assert_eq!(mounted.get("file"), b"old");
}

/// Closes a file and gives the error number of that; 0 for none.
fn rustix_close(file: File) -> i32 {
    use std::os::fd::IntoRawFd;
    // SAFETY: the descriptor is owned here and closed once.
    #[expect(unsafe_code, reason = "std and rustix hide errors of close")]
    let closed = unsafe { libc::close(file.into_raw_fd()) };
    if closed == 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap_or_default() }
}

#[test]
fn unmounting_commits_and_leaves_an_empty_directory() {
    let Some(mut mounted) = Mounted::new() else { return };
    fs::write(mounted.path("file"), b"content").unwrap();
    assert_eq!(mounted.unmount().unwrap(), Unmounted::Clean);
    assert_eq!(names(mounted.directory.path()), Vec::<String>::new());
    assert_eq!(mounted.get("file"), b"content");
}

#[test]
fn a_mount_in_use_is_committed_and_taken_out_of_the_tree() {
    let Some(mut mounted) = Mounted::new() else { return };
    let mut file = File::create(mounted.path("file")).unwrap();
    file.write_all(b"content").unwrap();
    assert_eq!(mounted.unmount().unwrap(), Unmounted::Lazily);
    assert_eq!(names(mounted.directory.path()), Vec::<String>::new());
    assert_eq!(mounted.get("file"), b"content");
    file.write_all(b" and more").unwrap();
    drop(file);
    assert_eq!(mounted.get("file"), b"content and more");
}

#[test]
fn a_mount_that_somebody_else_ends_is_noticed() {
    let Some(mounted) = Mounted::new() else { return };
    rustix::mount::unmount(mounted.directory.path(), rustix::mount::UnmountFlags::empty()).unwrap();
    let mount = mounted.mount.as_ref().unwrap();
    let ended = async { tokio::time::timeout(Duration::from_secs(10), mount.ended()).await };
    mounted.runtime.block_on(ended).unwrap();
}

#[test]
fn the_source_and_the_options_are_in_the_mount_table() {
    let Some(mounted) = Mounted::with(|config| {
        config.source_name = "cluster-7".to_owned();
        config.read_only = true;
        config.allow_other = true;
    }) else {
        return;
    };
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let path = mounted.directory.path().to_str().unwrap();
    let line = table.lines().find(|line| line.contains(path)).unwrap();
    assert!(line.starts_with(&format!("cluster-7 {path} fuse.fdfs ro,")), "{line}");
    assert!(line.contains("default_permissions") && line.contains("allow_other"), "{line}");
    let refused = fs::write(mounted.path("file"), b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn a_mount_whose_process_died_is_removed_by_the_next() {
    use std::os::fd::AsRawFd;
    let Some(mounted) = Mounted::new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let options = std::ffi::CString::new(options).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if rustix::mount::mount("dead", directory.path(), "fuse", flags, options.as_c_str()).is_err() {
        eprintln!("SKIPPED: only root shows what becomes of a dead mount");
        return;
    }
    // What is left of a process that was killed.
    drop(device);
    let error = fs::metadata(directory.path()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
    let (config, handle) = (Config::new(directory.path()), mounted.runtime.handle());
    let mount = Mount::start(&config, Arc::clone(&mounted.objects), handle).unwrap();
    assert_eq!(names(directory.path()), ["group1"]);
    mounted.runtime.block_on(mount.unmount()).unwrap();
}

#[test]
fn a_missing_mountpoint_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let start = |path: PathBuf| {
        let objects = objects(&MemoryFiles::default());
        Mount::start(&Config::new(path), objects, runtime.handle()).map(drop).unwrap_err().to_string()
    };
    if !Path::new("/dev/fuse").exists() {
        assert!(start(directory.path().to_owned()).contains("modprobe fuse"));
        return;
    }
    let missing = start(directory.path().join("missing"));
    assert!(missing.contains("mkdir -p"), "{missing}");
    fs::write(directory.path().join("file"), b"").unwrap();
    let file = start(directory.path().join("file"));
    assert!(file.contains("is not a directory"), "{file}");
}
