//! What can go wrong, for programs that use the mount and for who mounts it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fdfs_objects::ObjectsError;
use fuser::Errno;
use thiserror::Error;

/// Why an operation failed.
#[derive(Clone, Debug, Error)]
pub(crate) enum FsError {
    /// Names or files refused it or failed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// What the kernel took a name for is gone: it looks again what the name stands for.
    #[error("the inode is gone")]
    OldName,
    /// The handle is not open.
    #[error("the handle is not open")]
    BadHandle,
    /// The name is longer than POSIX allows.
    #[error("the name is too long")]
    NameTooLong,
    /// The request makes no sense.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// The mount cannot do this.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The mount does not allow this.
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// The answer does not fit the caller's buffer.
    #[error("the buffer is too small")]
    Range,
    /// Somebody else holds a lock.
    #[error("locked by somebody else")]
    Locked,
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
    /// Nothing of what is looked for comes after the offset.
    #[error("no such offset")]
    NoSuchOffset,
    /// The file would be larger than files can be.
    #[error("the file is too large")]
    TooLarge,
    /// The local spool failed.
    #[error("spool: {0}")]
    Spool(Arc<io::Error>),
    /// Bytes written earlier are lost; told until the file is closed.
    #[error("an earlier write failed: {0}")]
    Lost(ObjectsError),
}

/// Why the mount could not be made or ended. The text says what to do.
#[derive(Debug, Error)]
pub enum MountError {
    /// This machine, or this container, has no FUSE.
    #[error(
        "/dev/fuse cannot be opened ({0}): load the module with `modprobe fuse`, or start the container with `--device /dev/fuse --cap-add SYS_ADMIN`"
    )]
    NoDevice(io::Error),
    /// Only root mounts without the helper.
    #[error("fusermount3 is not installed: install the package fuse3, or mount as root")]
    NoHelper,
    /// The mountpoint is not there.
    #[error("the mountpoint {} cannot be used ({source}): make it with `mkdir -p {}`", path.display(), path.display())]
    NoMountpoint {
        /// The mountpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The mountpoint is a file.
    #[error("the mountpoint {} is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// Something is mounted there that is not ours to remove.
    #[error("a dead mount on {} cannot be removed ({source}): remove it with `umount -l {}`", path.display(), path.display())]
    Stale {
        /// The mountpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel or the helper refused.
    #[error("{} cannot be mounted: {source}{}", path.display(), hint(source))]
    Refused {
        /// The mountpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache on disk cannot be used.
    #[error("the cache in {} cannot be used ({source}): name another directory with -o cache_dir=DIR", path.display())]
    DiskCache {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The mount is still there.
    #[error("{} cannot be unmounted ({source}): close what uses it (`fuser -m {}`), then `umount {}`", path.display(), path.display(), path.display())]
    Unmount {
        /// The mountpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some files could not be uploaded.
    #[error("{0} files that were being written could not be uploaded; the log names them")]
    NotFlushed(usize),
}

impl From<io::Error> for FsError {
    fn from(error: io::Error) -> Self {
        Self::Spool(Arc::new(error))
    }
}

/// What programs see.
impl From<&FsError> for Errno {
    fn from(error: &FsError) -> Self {
        match error {
            FsError::Objects(error) | FsError::Lost(error) => objects_errno(error),
            FsError::OldName => Self::ESTALE,
            FsError::BadHandle => Self::EBADF,
            FsError::NameTooLong => Self::ENAMETOOLONG,
            FsError::Invalid(_) => Self::EINVAL,
            FsError::Unsupported(_) => Self::EOPNOTSUPP,
            FsError::NotPermitted(_) => Self::EPERM,
            FsError::Range => Self::ERANGE,
            FsError::Locked => Self::EAGAIN,
            FsError::Interrupted => Self::EINTR,
            FsError::NoSuchOffset => Self::ENXIO,
            FsError::TooLarge => Self::EFBIG,
            FsError::Spool(error) => match error.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT) => Self::ENOSPC,
                _ => Self::EIO,
            },
        }
    }
}

fn objects_errno(error: &ObjectsError) -> Errno {
    match error {
        ObjectsError::NotFound | ObjectsError::NoSuchBucket | ObjectsError::NoSuchGroup => Errno::ENOENT,
        ObjectsError::AlreadyExists | ObjectsError::BucketExists => Errno::EEXIST,
        ObjectsError::NotEmpty | ObjectsError::BucketNotEmpty => Errno::ENOTEMPTY,
        ObjectsError::IsDirectory => Errno::EISDIR,
        ObjectsError::NotDirectory => Errno::ENOTDIR,
        ObjectsError::NotPermitted(_) | ObjectsError::NotPrivate => Errno::EPERM,
        ObjectsError::NoSecret => Errno::EACCES,
        ObjectsError::InvalidName | ObjectsError::Loop | ObjectsError::InvalidRange => Errno::EINVAL,
        ObjectsError::CrossBucket => Errno::EXDEV,
        ObjectsError::NoAttribute => Errno::ENODATA,
        ObjectsError::AttributesTooLarge | ObjectsError::NoSpace => Errno::ENOSPC,
        ObjectsError::Unsupported => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    }
}

fn hint(error: &io::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("user_allow_other") {
        "; write `user_allow_other` into /etc/fuse.conf, or mount without allow_other"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "; mount as root, or in a container with `--cap-add SYS_ADMIN`"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_reach_programs_as_posix_numbers() {
        let errno = |error: ObjectsError| Errno::from(&FsError::from(error)).code();
        assert_eq!(errno(ObjectsError::NotFound), libc::ENOENT);
        assert_eq!(errno(ObjectsError::BucketNotEmpty), libc::ENOTEMPTY);
        assert_eq!(errno(ObjectsError::CrossBucket), libc::EXDEV);
        assert_eq!(errno(ObjectsError::NoAttribute), libc::ENODATA);
        assert_eq!(errno(ObjectsError::Unavailable("no storage".to_owned())), libc::EIO);
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(Errno::from(&FsError::from(full)).code(), libc::ENOSPC);
        assert_eq!(Errno::from(&FsError::Lost(ObjectsError::NoSpace)).code(), libc::ENOSPC);
    }

    #[test]
    fn errors_of_mounting_say_what_to_do() {
        let text = MountError::NoDevice(io::ErrorKind::NotFound.into()).to_string();
        assert!(text.contains("modprobe fuse") && text.contains("--device /dev/fuse"), "{text}");
        let path = PathBuf::from("/mnt/x");
        let text = MountError::NoMountpoint { path, source: io::ErrorKind::NotFound.into() }.to_string();
        assert!(text.contains("mkdir -p /mnt/x"), "{text}");
    }
}
