//! Limits of the kernel that make reading slow where they are left as they are.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tracing::{debug, info};

/// Raises how far the kernel reads ahead on a mount. That takes root; without it reading goes on in smaller pieces.
pub(crate) fn raise_read_ahead(mountpoint: &Path) {
    let raised = raise(mountpoint);
    match raised {
        Ok(Some(before)) => info!(
            mountpoint = %mountpoint.display(),
            before_kib = before,
            now_kib = READ_AHEAD_KIB,
            "the kernel reads ahead further"
        ),
        Ok(None) => {}
        Err(error) => debug!(%error, "the kernel's read-ahead is left as it is"),
    }
}

/// What it was before, if it was less.
fn raise(mountpoint: &Path) -> io::Result<Option<u32>> {
    let mounts = fs::read("/proc/self/mountinfo")?;
    let device = device(&mounts, mountpoint).ok_or(io::ErrorKind::NotFound)?;
    let setting = format!("/sys/class/bdi/{device}/read_ahead_kb");
    let before: u32 = fs::read_to_string(&setting)?.trim().parse().map_err(io::Error::other)?;
    if before >= READ_AHEAD_KIB {
        return Ok(None);
    }
    fs::write(&setting, READ_AHEAD_KIB.to_string())?;
    Ok(Some(before))
}

/// The number of the device that is mounted last on a directory, as `/proc/self/mountinfo` has it.
fn device(mounts: &[u8], mountpoint: &Path) -> Option<String> {
    let wanted = mountpoint.as_os_str().as_bytes();
    let mut found = mounts.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let (device, _root, path) = (fields.next()?, fields.next()?, fields.next()?);
        (unescape(path) == wanted).then(|| String::from_utf8_lossy(device).into_owned())
    });
    found.next_back()
}

/// Blanks and such stand as `\` and three octal digits.
fn unescape(mut path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    while let [first, rest @ ..] = path {
        path = rest;
        match (first, rest) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                path = rest;
            }
            _ => plain.push(*first),
        }
    }
    plain
}

/// How far the kernel reads ahead.
const READ_AHEAD_KIB: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_of_the_last_mount_on_a_directory_is_found() {
        let mounts = b"21 1 0:19 / /mnt/a\\040b rw - fuse.fdfs fastdfs rw\n\
            22 1 0:20 / /mnt/a rw - tmpfs tmpfs rw\n\
            23 22 0:57 / /mnt/a rw shared:5 - fuse.fdfs fastdfs rw\nnonsense\n";
        assert_eq!(device(mounts, Path::new("/mnt/a")).as_deref(), Some("0:57"));
        assert_eq!(device(mounts, Path::new("/mnt/a b")).as_deref(), Some("0:19"));
        assert_eq!(device(mounts, Path::new("/mnt")), None);
    }
}
