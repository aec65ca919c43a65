//! Attaching to the tree: by the kernel's call where this may be done, else by the helper.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use fuser::{Session, SessionACL};
use rustix::mount::MountFlags;

use crate::adapter::FuseAdapter;
use crate::config::Config;
use crate::preflight;

/// Mounts and begins the conversation with the kernel.
pub(crate) fn attach(
    adapter: FuseAdapter,
    config: &Config,
    options: fuser::Config,
) -> io::Result<Session<FuseAdapter>> {
    if !rustix::process::geteuid().is_root() {
        return Session::new(adapter, &config.mountpoint, &options);
    }
    let device: OwnedFd = OpenOptions::new().read(true).write(true).open("/dev/fuse")?.into();
    let mut flags = MountFlags::NODEV | MountFlags::NOSUID;
    flags |= if config.access_times { MountFlags::RELATIME } else { MountFlags::NOATIME };
    flags.set(MountFlags::RDONLY, config.read_only);
    flags.set(MountFlags::NOEXEC, config.no_exec);
    let (device_number, user) = (device.as_raw_fd(), rustix::process::getuid().as_raw());
    let group = rustix::process::getgid().as_raw();
    let mut data =
        format!("fd={device_number},rootmode=40000,user_id={user},group_id={group},default_permissions");
    if config.allow_other {
        data.push_str(",allow_other");
    }
    let data = std::ffi::CString::new(data).map_err(io::Error::other)?;
    rustix::mount::mount(&config.source_name, &config.mountpoint, "fuse.fdfs", flags, data.as_c_str())?;
    let acl = if config.allow_other { SessionACL::All } else { SessionACL::Owner };
    Session::from_fd(adapter, device, acl, options).inspect_err(|_| {
        // Nobody would ever answer.
        let _ = preflight::unmount(&config.mountpoint, true);
    })
}
