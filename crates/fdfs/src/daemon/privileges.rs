//! Running as another user.

use anyhow::Context as _;
use nix::unistd::{Group, User, setgid, setgroups, setuid};

/// Becomes `group` and `user` for good. Must be called before threads are started.
pub fn drop_to(group: Option<&str>, user: Option<&str>) -> anyhow::Result<()> {
    let group =
        group.map(|name| Group::from_name(name)?.with_context(|| format!("run_by_group: no group {name}")));
    let user =
        user.map(|name| User::from_name(name)?.with_context(|| format!("run_by_user: no user {name}")));
    let (group, user) = (group.transpose()?, user.transpose()?);
    if let Some(gid) = group.map(|group| group.gid).filter(|gid| *gid != nix::unistd::getegid()) {
        setgroups(&[gid]).context("run_by_group: cannot give up other groups; start as root")?;
        setgid(gid).context("run_by_group: cannot change the group; start as root")?;
    }
    if let Some(uid) = user.map(|user| user.uid).filter(|uid| *uid != nix::unistd::geteuid()) {
        setuid(uid).context("run_by_user: cannot change the user; start as root")?;
    }
    Ok(())
}
