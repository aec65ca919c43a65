//! Attributes as the kernel wants them.

use std::time::{Duration, SystemTime};

use fdfs_objects::{Attributes, Kind};
use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

/// Attributes as the kernel wants them.
pub(crate) fn to_kernel(attributes: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.inode),
        size: attributes.size,
        blocks: attributes.size.div_ceil(512),
        atime: to_time(attributes.atime),
        mtime: to_time(attributes.mtime),
        ctime: to_time(attributes.ctime),
        crtime: to_time(attributes.btime),
        kind: to_file_type(attributes.kind),
        perm: (attributes.mode & 0o7777) as u16,
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: u32::try_from(attributes.device).unwrap_or(u32::MAX),
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// The kind as the kernel wants it.
pub(crate) fn to_file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::BlockDevice => FileType::BlockDevice,
        Kind::CharDevice => FileType::CharDevice,
    }
}

/// The kind that the type bits of a mode mean; a file where there are none.
pub(crate) fn kind_of_mode(mode: u32) -> Option<Kind> {
    Some(match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Kind::File,
        libc::S_IFIFO => Kind::Fifo,
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFBLK => Kind::BlockDevice,
        libc::S_IFCHR => Kind::CharDevice,
        _ => return None,
    })
}

/// The present, nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    to_nanoseconds(SystemTime::now())
}

/// A time that the kernel sent, nanoseconds since 1970.
pub(crate) fn of_kernel(time: TimeOrNow) -> i64 {
    match time {
        TimeOrNow::SpecificTime(time) => to_nanoseconds(time),
        TimeOrNow::Now => now(),
    }
}

fn to_nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

fn to_time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds >= 0 { SystemTime::UNIX_EPOCH + distance } else { SystemTime::UNIX_EPOCH - distance }
}

/// What programs should read and write at once.
pub(crate) const BLOCK_SIZE: u32 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds_on_both_sides_of_1970() {
        for nanoseconds in [0, 1, -1, 1_700_000_000_123_456_789, -86_400_000_000_001] {
            assert_eq!(to_nanoseconds(to_time(nanoseconds)), nanoseconds);
        }
    }

    #[test]
    fn type_bits_make_a_kind() {
        assert_eq!(kind_of_mode(0o644), Some(Kind::File));
        assert_eq!(kind_of_mode(libc::S_IFIFO | 0o600), Some(Kind::Fifo));
        assert_eq!(kind_of_mode(libc::S_IFDIR), None);
    }
}
