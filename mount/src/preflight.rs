//! What must hold before mounting, and what is left of a mount that died.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::mount::UnmountFlags;
use tracing::warn;

use crate::error::MountError;

/// Checks what mounting needs; removes a dead mount.
pub(crate) fn check(mountpoint: &Path) -> Result<(), MountError> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(MountError::NoDevice)?;
    if !rustix::process::geteuid().is_root() && !has_helper() {
        return Err(MountError::NoHelper);
    }
    remove_stale(mountpoint)?;
    match fs::metadata(mountpoint) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(MountError::NotDirectory(mountpoint.to_owned())),
        Err(source) => Err(MountError::NoMountpoint { path: mountpoint.to_owned(), source }),
    }
}

/// Unmounts; `lazy` takes it out of the tree now and ends it when nobody uses it any more.
pub(crate) fn unmount(mountpoint: &Path, lazy: bool) -> io::Result<()> {
    let flags = if lazy { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(mountpoint, flags) {
        Err(rustix::io::Errno::PERM) => unmount_with_helper(mountpoint, lazy),
        result => Ok(result?),
    }
}

/// A mount whose process died answers nothing but "transport endpoint is not connected". Its attributes the kernel may still have, its space it asks for.
fn remove_stale(mountpoint: &Path) -> Result<(), MountError> {
    for _ in 0..MAX_STALE {
        match rustix::fs::statfs(mountpoint) {
            Err(rustix::io::Errno::NOTCONN) => {
                warn!(mountpoint = %mountpoint.display(), "a dead mount is removed");
                unmount(mountpoint, true)
                    .map_err(|source| MountError::Stale { path: mountpoint.to_owned(), source })?;
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn unmount_with_helper(mountpoint: &Path, lazy: bool) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.arg("-u");
    if lazy {
        command.arg("-z");
    }
    let output = command.arg("--").arg(mountpoint).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let kind =
        if text.contains("busy") { io::ErrorKind::ResourceBusy } else { io::ErrorKind::PermissionDenied };
    Err(io::Error::new(kind, text))
}

fn has_helper() -> bool {
    let version = Command::new("fusermount3").arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

/// Dead mounts that may lie on one another.
const MAX_STALE: usize = 16;
