//! What the kernel asks with and is answered with.

use std::time::Duration;

use fdfs_objects::{Attributes, Lock};
use fuser::{
    Errno, FileHandle, Generation, INodeNo, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyEmpty,
    ReplyEntry, ReplyXattr, Request,
};
use tracing::debug;

use super::FuseAdapter;
use super::callers::lock_kind;
use crate::attributes::to_kernel;
use crate::error::FsError;
use crate::file_system::Caller;
use crate::ops;
use crate::ops::content::Open;
use crate::ops::extended::Fitted;
use crate::ops::locks::Wanted;

impl FuseAdapter {
    pub(super) fn entry(&self, result: Result<Attributes, FsError>, reply: ReplyEntry) {
        match result {
            Ok(attributes) => {
                self.fs.cache.looked_up(&attributes);
                let keep = self.fs.keep(attributes.inode);
                reply.entry_with_ttls(&keep.attributes, &keep.name, &to_kernel(&attributes), GENERATION);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    /// There is no such name, and the kernel may remember that.
    pub(super) fn absent(&self, keep: Duration, reply: ReplyEntry) {
        match keep {
            Duration::ZERO => reply.error(Errno::ENOENT),
            keep => {
                let nothing = to_kernel(&Attributes::default());
                reply.entry_with_ttls(&Duration::ZERO, &keep, &nothing, GENERATION);
            }
        }
    }

    pub(super) fn attr(&self, result: Result<Attributes, FsError>, reply: ReplyAttr) {
        match result {
            Ok(attributes) => {
                self.fs.cache.tells(&attributes);
                reply.attr(&self.fs.keep(attributes.inode).attributes, &to_kernel(&attributes));
            }
            Err(error) => reply.error(errno(&error)),
        }
    }
}

pub(super) fn empty(result: Result<(), FsError>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

pub(super) fn xattr(result: Result<Vec<u8>, FsError>, size: u32, reply: ReplyXattr) {
    let fitted = result
        .as_ref()
        .map_err(errno)
        .and_then(|value| ops::extended::fit(value, size).map_err(|error| errno(&error)));
    match fitted {
        Ok(Fitted::Length(length)) => reply.size(length),
        Ok(Fitted::Value(value)) => reply.data(value),
        Err(errno) => reply.error(errno),
    }
}

/// What the program sees; what it cannot be told is logged.
pub(super) fn errno(error: &FsError) -> Errno {
    let errno = Errno::from(error);
    if errno.code() == libc::EIO {
        metrics::counter!("fdfs_mount_io_errors_total").increment(1);
        tracing::warn!(%error, "an operation failed");
    } else {
        debug!(%error, "an operation was refused");
    }
    errno
}

pub(super) fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid() }
}

/// The lock that a request is about.
pub(super) fn wanted(
    request: &Request,
    (inode, handle, owner): (INodeNo, FileHandle, LockOwner),
    (start, end): (u64, u64),
    kind: i32,
    pid: u32,
) -> Wanted {
    let exclusive = kind == libc::F_WRLCK;
    let lock = Lock { kind: lock_kind(request.pid(), start, end), start, end, exclusive, pid };
    Wanted { inode: inode.0, handle, owner: owner.0, lock }
}

pub(super) fn how(flags: OpenFlags) -> Open {
    Open {
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
        truncate: flags.0 & libc::O_TRUNC != 0,
        exclusive: flags.0 & libc::O_EXCL != 0,
    }
}

/// Inode numbers are never used again, so that one generation is enough.
pub(super) const GENERATION: Generation = Generation(0);
