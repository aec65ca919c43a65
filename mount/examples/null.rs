//! A file system that keeps names and sizes and no bytes: what FUSE itself costs, for the benches to compare with.
//!
//! usage: null MOUNTPOINT
#![expect(clippy::unwrap_used, reason = "a peer for measurements may end with a panic")]

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, Session, TimeOrNow,
    WriteFlags,
};

fn main() -> io::Result<()> {
    let mountpoint = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: null MOUNTPOINT"))?;
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("null".to_owned()), MountOption::DefaultPermissions, MountOption::NoDev];
    config.n_threads = Some(4);
    config.clone_fd = true;
    Session::new(Null::default(), mountpoint, &config)?.run()
}

#[derive(Default)]
struct Null(Mutex<Files>);

#[derive(Default)]
struct Files {
    names: Vec<(OsString, u64)>,
    by_name: HashMap<OsString, usize>,
}

fn attributes(inode: u64, size: u64) -> FileAttr {
    let directory = inode == 1;
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(inode),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: if directory { FileType::Directory } else { FileType::RegularFile },
        perm: if directory { 0o777 } else { 0o666 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 131_072,
        flags: 0,
    }
}

impl Files {
    fn attributes(&self, inode: u64) -> FileAttr {
        let at = usize::try_from(inode).unwrap().wrapping_sub(2);
        attributes(inode, self.names.get(at).map_or(0, |(_, size)| *size))
    }

    fn size(&mut self, inode: INodeNo) -> &mut u64 {
        &mut self.names[usize::try_from(inode.0).unwrap() - 2].1
    }
}

impl Filesystem for Null {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_ATOMIC_O_TRUNC;
        let _ = config.add_capabilities(wanted);
        let _ = config.set_max_write(1024 * 1024);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let files = self.0.lock().unwrap();
        match files.by_name.get(name) {
            Some(at) => reply.entry(&TTL, &files.attributes(*at as u64 + 2), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn forget(&self, _: &Request, _: INodeNo, _: u64) {}

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.0.lock().unwrap().attributes(inode.0));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut files = self.0.lock().unwrap();
        if let Some(size) = size {
            *files.size(inode) = size;
        }
        reply.attr(&TTL, &files.attributes(inode.0));
    }

    fn create(&self, _: &Request, _: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut files = self.0.lock().unwrap();
        let at = files.names.len();
        files.names.push((name.to_owned(), 0));
        files.by_name.insert(name.to_owned(), at);
        let attributes = files.attributes(at as u64 + 2);
        reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
        let left = self.0.lock().unwrap().size(inode).saturating_sub(offset);
        reply.data(&ZEROS[..left.min(u64::from(size)) as usize]);
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut files = self.0.lock().unwrap();
        let size = files.size(inode);
        *size = (offset + data.len() as u64).max(*size);
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let files = self.0.lock().unwrap();
        for (at, (name, size)) in files.names.iter().enumerate().skip(offset as usize) {
            let (inode, next) = (at as u64 + 2, at as u64 + 1);
            if reply.add(INodeNo(inode), next, name, &TTL, &attributes(inode, *size), Generation(0)) {
                break;
            }
        }
        reply.ok();
    }
}

const TTL: Duration = Duration::from_secs(3_600);
