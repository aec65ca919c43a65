//! The kernel's requests, translated.
//!
//! What can be answered at once is answered on the thread that took the request; what waits for a disk or a network goes to the runtime.

mod callers;
mod lingering;
mod replies;
mod running;

pub(crate) use lingering::Lingering;
pub(crate) use running::Patience;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use fdfs_objects::{Kind, NewInode, ObjectsError, RenameMode, SetAttributes, SetMode};
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;
use tracing::{Span, debug, info_span};

use self::callers::is_interrupted;
use self::replies::{GENERATION, caller, empty, errno, how, wanted, xattr};
use crate::attributes::{kind_of_mode, of_kernel, to_file_type, to_kernel};
use crate::directory::DOTS;
use crate::error::FsError;
use crate::file_system::{Caller, FileSystem};
use crate::ops;
use crate::read_ahead::PIECE;

/// Answers the kernel.
pub(crate) struct FuseAdapter {
    fs: Arc<FileSystem>,
    runtime: Handle,
    lingering: Arc<Lingering>,
}

impl FuseAdapter {
    /// An adapter whose work runs on `runtime`.
    pub(crate) fn new(fs: Arc<FileSystem>, runtime: Handle) -> Self {
        Self { fs, runtime, lingering: Arc::default() }
    }

    /// What its threads do between requests.
    pub(crate) fn lingering(&self) -> Arc<Lingering> {
        Arc::clone(&self.lingering)
    }

    fn shared(&self) -> Self {
        let lingering = Arc::clone(&self.lingering);
        Self { fs: Arc::clone(&self.fs), runtime: self.runtime.clone(), lingering }
    }

    fn make(&self, span: Span, caller: Caller, parent: u64, name: &OsStr, new: NewInode, reply: ReplyEntry) {
        let (this, name) = (self.shared(), name.to_owned());
        self.run(span, Patience::Usual, async move {
            let made = ops::names::make(&this.fs, caller, parent, name.as_bytes(), new).await;
            this.entry(made, reply);
        });
    }
}

impl Filesystem for FuseAdapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Not FUSE_ATOMIC_O_TRUNC: the kernel would have the content go before it finds that the file is a program which runs (ETXTBSY).
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            // Pages go when an open finds another content, or when somebody tells of one: not with every new time.
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
            InitFlags::FUSE_HAS_EXPIRE_ONLY,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_POSIX_LOCKS,
            InitFlags::FUSE_FLOCK_LOCKS,
        ] {
            if config.add_capabilities(wanted).is_err() {
                debug!(?wanted, "the kernel does not offer this");
            }
        }
        if self.fs.disk_cache.is_some()
            && rustix::process::geteuid().is_root()
            && config.set_max_stack_depth(1).is_ok()
            && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
        {
            self.fs.passthrough.offer();
        }
        // A smaller one is fine too.
        let _ = config.set_max_write(MAX_WRITE);
        let _ = config.set_max_background(MAX_BACKGROUND);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let span = info_span!("lookup", req = request.unique().0, parent = parent.0, ?name);
        let (this, name) = (self.shared(), name.to_owned());
        self.run(span, Patience::Usual, async move {
            match ops::attributes::lookup(&this.fs, parent.0, name.as_bytes()).await {
                Err(FsError::Objects(ObjectsError::NotFound)) => {
                    this.absent(this.fs.keep_absent(parent.0, name.as_bytes()), reply);
                }
                found => this.entry(found, reply),
            }
        });
    }

    fn forget(&self, _request: &Request, inode: INodeNo, lookups: u64) {
        self.fs.cache.forget(inode.0, lookups);
    }

    fn getattr(&self, request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        let span = info_span!("getattr", req = request.unique().0, ino = inode.0);
        let this = self.shared();
        self.run(span, Patience::Usual, async move {
            this.attr(this.fs.attributes(inode.0).await, reply);
        });
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let span = info_span!("setattr", req = request.unique().0, ino = inode.0);
        let set =
            SetAttributes { mode, uid, gid, size, atime: atime.map(of_kernel), mtime: mtime.map(of_kernel) };
        let this = self.shared();
        self.run(span, Patience::WhileBytesMove, async move {
            this.attr(ops::attributes::set(&this.fs, inode.0, set).await, reply);
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        let span = info_span!("readlink", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            match ops::attributes::read_link(&fs, inode.0).await {
                Ok(target) => reply.data(&target),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let span = info_span!("mknod", req = request.unique().0, parent = parent.0, ?name);
        match kind_of_mode(mode) {
            Some(kind) => {
                let new =
                    NewInode { kind, mode: mode & 0o7777, device: u64::from(device), ..NewInode::default() };
                self.make(span, caller(request), parent.0, name, new, reply);
            }
            None => reply.error(Errno::EINVAL),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let span = info_span!("mkdir", req = request.unique().0, parent = parent.0, ?name);
        let new = NewInode { kind: Kind::Directory, mode: mode & 0o7777, ..NewInode::default() };
        self.make(span, caller(request), parent.0, name, new, reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let span = info_span!("unlink", req = request.unique().0, parent = parent.0, ?name);
        let (fs, name) = (Arc::clone(&self.fs), name.to_owned());
        self.run(span, Patience::Usual, async move {
            empty(ops::names::unlink(&fs, parent.0, name.as_bytes()).await, reply);
        });
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let span = info_span!("rmdir", req = request.unique().0, parent = parent.0, ?name);
        let (fs, name) = (Arc::clone(&self.fs), name.to_owned());
        self.run(span, Patience::Usual, async move {
            empty(ops::names::remove_directory(&fs, parent.0, name.as_bytes()).await, reply);
        });
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let span = info_span!("symlink", req = request.unique().0, parent = parent.0, ?name);
        let target = target.as_os_str().as_bytes().to_vec();
        let new = NewInode { kind: Kind::Symlink, mode: 0o777, target, ..NewInode::default() };
        self.make(span, caller(request), parent.0, name, new, reply);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let span = info_span!("rename", req = request.unique().0, parent = parent.0, ?name, ?new_name);
        let mode = match flags {
            flags if flags.is_empty() => RenameMode::Replace,
            RenameFlags::RENAME_NOREPLACE => RenameMode::NoReplace,
            RenameFlags::RENAME_EXCHANGE => RenameMode::Exchange,
            _ => return reply.error(Errno::EINVAL),
        };
        let (fs, name, new_name) = (Arc::clone(&self.fs), name.to_owned(), new_name.to_owned());
        self.run(span, Patience::Usual, async move {
            let (from, to) = ((parent.0, name.as_bytes()), (new_parent.0, new_name.as_bytes()));
            empty(ops::names::rename(&fs, from, to, mode).await, reply);
        });
    }

    fn link(
        &self,
        request: &Request,
        inode: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let span = info_span!("link", req = request.unique().0, ino = inode.0, ?new_name);
        let (this, name) = (self.shared(), new_name.to_owned());
        self.run(span, Patience::Usual, async move {
            let linked = ops::names::link(&this.fs, inode.0, new_parent.0, name.as_bytes()).await;
            this.entry(linked, reply);
        });
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let span = info_span!("open", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        let how = how(flags);
        if inode.0 == ops::stats::INODE {
            return match ops::stats::open(&self.fs, how.write || how.truncate) {
                // Its length is not known before it is read.
                Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO),
                Err(error) => reply.error(errno(&error)),
            };
        }
        self.run(span, Patience::Usual, async move {
            match ops::content::open(&fs, inode.0, how).await {
                Ok(handle) => match ops::content::backing(&fs, handle, |file| reply.open_backing(file)) {
                    Some(id) => reply.opened_passthrough(handle, FopenFlags::empty(), &id),
                    None => reply.opened(handle, ops::content::flags(&fs, handle)),
                },
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let span = info_span!("create", req = request.unique().0, parent = parent.0, ?name);
        let (this, name, caller) = (self.shared(), name.to_owned(), caller(request));
        let how = how(OpenFlags(flags));
        self.run(span, Patience::Usual, async move {
            match ops::content::create(&this.fs, caller, parent.0, name.as_bytes(), mode, how).await {
                Ok((attributes, handle)) => {
                    this.fs.cache.looked_up(&attributes);
                    // Name and attributes share one time here.
                    let keep = this.fs.keep(attributes.inode);
                    let keep = keep.name.min(keep.attributes);
                    let attributes = to_kernel(&attributes);
                    reply.created(&keep, &attributes, GENERATION, handle, FopenFlags::empty());
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if inode.0 == ops::stats::INODE {
            return match ops::stats::read(&self.fs, handle, offset, size) {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(errno(&error)),
            };
        }
        let span = info_span!("read", req = request.unique().0, ino = inode.0, offset, size);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::WhileBytesMove, async move {
            // The bytes asked for, and the piece that the last of them come in.
            let _pass = fs.budget.pass(size as usize + PIECE).await;
            match ops::content::read_to_keep(&fs, handle, offset, size).await {
                Ok((bytes, filling)) => {
                    metrics::counter!("fdfs_mount_read_bytes_total").increment(bytes.len() as u64);
                    reply.data(&bytes);
                    if let Some(filling) = filling {
                        filling.take(offset, bytes).await;
                    }
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn write(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let span = info_span!("write", req = request.unique().0, ino = inode.0, offset, size = data.len());
        let pass = self.fs.budget.pass_here(data.len(), &self.runtime);
        let (fs, bytes) = (Arc::clone(&self.fs), Bytes::copy_from_slice(data));
        // Pages that were mapped are written where they belong.
        let appends = flags.0 & libc::O_APPEND != 0 && !write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        self.run(span, Patience::WhileBytesMove, async move {
            let _pass = pass;
            let length = bytes.len() as u32;
            let written = match appends {
                true => ops::content::append(&fs, handle, offset, bytes).await,
                false => ops::content::write(&fs, handle, offset, bytes).await,
            };
            match written {
                Ok(()) => {
                    metrics::counter!("fdfs_mount_written_bytes_total").increment(u64::from(length));
                    reply.written(length);
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn flush(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        if inode.0 == ops::stats::INODE {
            return reply.ok();
        }
        let span = info_span!("flush", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::WhileBytesMove, async move {
            let flushed = ops::content::flush(&fs, handle).await;
            let unlocked = ops::locks::closed(&fs, inode.0, lock_owner.0).await;
            empty(flushed.and(unlocked), reply);
        });
    }

    fn fsync(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let span = info_span!("fsync", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::WhileBytesMove, async move {
            empty(ops::content::sync(&fs, handle).await, reply);
        });
    }

    fn release(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if inode.0 == ops::stats::INODE {
            return empty(ops::stats::release(&self.fs, handle), reply);
        }
        let span = info_span!("release", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::WhileBytesMove, async move {
            let released = ops::content::release(&fs, handle).await;
            let unlocked = ops::locks::released(&fs, inode.0, handle).await;
            empty(released.and(unlocked), reply);
        });
    }

    fn opendir(&self, _request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(ops::directories::open(&self.fs, inode.0), FopenFlags::empty());
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let span = info_span!("readdir", req = request.unique().0, ino = inode.0, offset);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            let mut take = |row: ops::directories::Row<'_>| {
                let (inode, kind) = (INodeNo(row.attributes.inode), to_file_type(row.attributes.kind));
                reply.add(inode, row.cookie, kind, OsStr::from_bytes(row.name))
            };
            match ops::directories::read(&fs, handle, offset, &mut take).await {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn readdirplus(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let span = info_span!("readdirplus", req = request.unique().0, ino = inode.0, offset);
        let this = self.shared();
        self.run(span, Patience::Usual, async move {
            let mut take = |row: ops::directories::Row<'_>| {
                let inode = row.attributes.inode;
                let (name, attributes) = (OsStr::from_bytes(row.name), to_kernel(&row.attributes));
                let keep = this.fs.keep(inode);
                let keep = keep.name.min(keep.attributes);
                let full = reply.add(INodeNo(inode), row.cookie, name, &keep, &attributes, GENERATION);
                if !full && row.cookie > DOTS {
                    this.fs.cache.looked_up(&row.attributes);
                }
                full
            };
            match ops::directories::read(&this.fs, handle, offset, &mut take).await {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        empty(ops::directories::release(&self.fs, handle), reply);
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        // Every change of names is committed before it is answered.
        reply.ok();
    }

    fn statfs(&self, request: &Request, inode: INodeNo, reply: ReplyStatfs) {
        let span = info_span!("statfs", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            match ops::space::space(&fs, inode.0).await {
                Ok(space) => {
                    let blocks = |bytes: u64| bytes / u64::from(ops::space::BLOCK);
                    let (total, free) = (blocks(space.total), blocks(space.free));
                    let name = ops::names::MAX_POSIX_NAME as u32;
                    reply.statfs(total, free, free, 0, 0, ops::space::BLOCK, name, ops::space::BLOCK);
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn setxattr(
        &self,
        request: &Request,
        inode: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let span = info_span!("setxattr", req = request.unique().0, ino = inode.0, ?name);
        let mode = match flags {
            0 => SetMode::Any,
            libc::XATTR_CREATE => SetMode::Create,
            libc::XATTR_REPLACE => SetMode::Replace,
            _ => return reply.error(Errno::EINVAL),
        };
        let (fs, name, value) = (Arc::clone(&self.fs), name.to_owned(), value.to_vec());
        self.run(span, Patience::Usual, async move {
            empty(ops::extended::set(&fs, inode.0, name.as_bytes(), &value, mode).await, reply);
        });
    }

    fn getxattr(&self, request: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let span = info_span!("getxattr", req = request.unique().0, ino = inode.0, ?name);
        let (fs, name) = (Arc::clone(&self.fs), name.to_owned());
        self.run(span, Patience::Usual, async move {
            xattr(ops::extended::get(&fs, inode.0, name.as_bytes()).await, size, reply);
        });
    }

    fn listxattr(&self, request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        let span = info_span!("listxattr", req = request.unique().0, ino = inode.0);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            xattr(ops::extended::list(&fs, inode.0).await, size, reply);
        });
    }

    fn removexattr(&self, request: &Request, inode: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let span = info_span!("removexattr", req = request.unique().0, ino = inode.0, ?name);
        let (fs, name) = (Arc::clone(&self.fs), name.to_owned());
        self.run(span, Patience::Usual, async move {
            empty(ops::extended::remove(&fs, inode.0, name.as_bytes()).await, reply);
        });
    }

    fn fallocate(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let span = info_span!("fallocate", req = request.unique().0, ino = inode.0, offset, length, mode);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::WhileBytesMove, async move {
            empty(ops::ranges::allocate(&fs, handle, offset, length, mode).await, reply);
        });
    }

    fn lseek(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let span = info_span!("lseek", req = request.unique().0, ino = inode.0, offset, whence);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            match ops::ranges::seek(&fs, handle, offset, whence).await {
                Ok(offset) => reply.offset(i64::try_from(offset).unwrap_or(i64::MAX)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn copy_file_range(
        &self,
        request: &Request,
        from: INodeNo,
        from_handle: FileHandle,
        from_offset: u64,
        to: INodeNo,
        to_handle: FileHandle,
        to_offset: u64,
        length: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let span = info_span!("copy_file_range", req = request.unique().0, from = from.0, ino = to.0, length);
        let fs = Arc::clone(&self.fs);
        // The answer has 32 bits; the kernel asks again for what is left.
        let length = length.min(COPIED_AT_ONCE);
        self.run(span, Patience::WhileBytesMove, async move {
            let (from, to) = ((from_handle, from_offset), (to_handle, to_offset));
            match ops::ranges::copy(&fs, from, to, length).await {
                Ok(copied) => reply.written(u32::try_from(copied).unwrap_or(u32::MAX)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn getlk(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        reply: ReplyLock,
    ) {
        let span = info_span!("getlk", req = request.unique().0, ino = inode.0, start, end);
        let wanted = wanted(request, (inode, handle, owner), (start, end), kind, pid);
        let fs = Arc::clone(&self.fs);
        self.run(span, Patience::Usual, async move {
            match ops::locks::test(&fs, wanted).await {
                Ok(Some(held)) => {
                    let kind = if held.exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
                    reply.locked(held.start, held.end, kind, held.pid);
                }
                Ok(None) => reply.locked(0, 0, libc::F_UNLCK, 0),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn setlk(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        waits: bool,
        reply: ReplyEmpty,
    ) {
        let span = info_span!("setlk", req = request.unique().0, ino = inode.0, start, end, kind, waits);
        let wanted = wanted(request, (inode, handle, owner), (start, end), kind, pid);
        let (fs, thread) = (Arc::clone(&self.fs), request.pid());
        // Who waits for a lock may wait for long.
        self.run(span, Patience::WhileBytesMove, async move {
            let done = match (kind, waits) {
                (libc::F_UNLCK, _) => ops::locks::give_back(&fs, wanted).await,
                (_, false) => ops::locks::take(&fs, wanted).await,
                (_, true) => ops::locks::wait(&fs, wanted, || is_interrupted(thread)).await,
            };
            empty(done, reply);
        });
    }

    fn poll(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn access(&self, _request: &Request, _inode: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel checks mode bits itself.
        reply.ok();
    }
}

/// Bytes of the longest write.
const MAX_WRITE: u32 = 1024 * 1024;
/// Bytes that one copy_file_range takes.
const COPIED_AT_ONCE: u64 = 1 << 31;
/// Requests that the kernel may have under way that no program waits for.
const MAX_BACKGROUND: u16 = 64;
