//! How a mount comes, says what it does, and goes: as mount(8) and fstab have it, and by hand.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Mounting, Site, fdfs_binary, http_get, is_mounted};

use crate::{can_mount, is_there, shell};

/// A mountpoint that is empty in the end, whatever becomes of the test.
struct Mountpoint(PathBuf);

impl Mountpoint {
    fn make(site: &Site, name: &str) -> Result<Self> {
        let path = site.dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn wait_until_gone(&self) -> Result<()> {
        Deadline::after(PATIENCE).wait_for("the end of the mount", || match is_mounted(&self.0)? {
            true => anyhow::bail!("it is still there"),
            false => Ok(()),
        })
    }
}

impl Drop for Mountpoint {
    fn drop(&mut self) {
        if is_mounted(&self.0).unwrap_or(false) {
            let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        }
    }
}

fn run(command: &mut Command) -> Result<(bool, String)> {
    let Output { status, stdout, stderr } = command.output()?;
    Ok((status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()))
}

fn status(directory: &Path) -> Result<(bool, String)> {
    run(Command::new(fdfs_binary()?).args(["mount", "status"]).arg(directory))
}

#[test]
fn mount_and_umount_work_as_for_any_file_system() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mountpoint = Mountpoint::make(&site, "mnt")?;
    let (host, port) = site.tracker();
    // What mount(8) calls, found as it finds it: by its name.
    let helper = site.dir().join("mount.fdfs");
    symlink(fdfs_binary()?.canonicalize()?, &helper)?;
    let log = site.dir().join("log");
    let options = format!("rw,_netdev,noexec,allow_other,log={}", log.display());
    let call = |directory: &Path, options: &str| {
        run(Command::new(&helper).arg(format!("{host}:{port}")).arg(directory).args(["-o", options]))
    };
    let (done, text) = call(&mountpoint.0, &options)?;
    ensure!(done && is_mounted(&mountpoint.0)?, "{text}");
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    ensure!(mounts.contains("fuse.fdfs rw,nosuid,nodev,noexec"), "{mounts}");
    fs::write(mountpoint.0.join("group1/file"), b"content")?;
    shell(
        &mountpoint.0,
        "cp /bin/true group1/program; chmod +x group1/program; ! ./group1/program 2>/dev/null",
    )?;
    ensure!(fs::read_to_string(&log)?.contains("mounted"), "nothing in the log");
    let (done, text) = run(Command::new("umount").arg(&mountpoint.0))?;
    ensure!(done, "umount: {text}");
    mountpoint.wait_until_gone()?;
    ensure!(fs::read_dir(&mountpoint.0)?.next().is_none(), "the mountpoint is not empty");

    // What is wrong is one line, and a failure.
    let (done, text) = call(&site.dir().join("missing"), &options)?;
    ensure!(!done && text.trim().lines().count() == 1 && text.contains("mkdir -p"), "{text}");
    let (done, text) = call(&mountpoint.0, "acl")?;
    ensure!(!done && text.contains("-o acl is not known"), "{text}");
    Ok(())
}

/// In a private namespace of mounts, where `/sbin` and `/etc/fstab` are others.
const FSTAB: &str = r#"
mount --make-rprivate /
mkdir sbin; ln -s "$FDFS" sbin/mount.fdfs; mount --bind sbin "$(readlink -f /sbin)"
echo "$TRACKER $PWD/mnt fdfs _netdev,noauto,allow_other,log=$PWD/log 0 0" >fstab
test ! -e /etc/fstab || mount --bind fstab /etc/fstab
if test -e /etc/fstab; then mount mnt; else mount -T fstab mnt; fi
grep -q "$PWD/mnt fuse.fdfs rw,nosuid,nodev,noatime" /proc/self/mounts
echo content >mnt/group1/file; "$FDFS" mount status "$PWD/mnt" | grep -q open_files
umount mnt; ! mountpoint -q mnt
mount -t fdfs "$TRACKER" mnt -o "ro,log=$PWD/log"
test "$(cat mnt/group1/file)" = content; ! echo more 2>/dev/null >mnt/group1/file
umount mnt; ! mountpoint -q mnt
! mount -t fdfs "$TRACKER" missing 2>error; test "$(wc -l <error)" -ge 1
"#;

#[test]
fn a_line_of_fstab_mounts_and_unmounts() -> Result<()> {
    if !can_mount() || !is_there("unshare")? || !is_there("mount")? {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mountpoint = Mountpoint::make(&site, "mnt")?;
    let (host, port) = site.tracker();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-euxc", FSTAB]).current_dir(site.dir());
    command.env("FDFS", fdfs_binary()?.canonicalize()?).env("TRACKER", format!("{host}:{port}"));
    let (done, text) = run(&mut command)?;
    ensure!(done, "{text}");
    ensure!(!is_mounted(&mountpoint.0)?, "it is mounted here as well");
    Ok(())
}

#[test]
fn a_mount_tells_what_it_does() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mut mount = Mounting::start(&site, "mnt", &[])?;
    let root = mount.path("");
    let names = shell(&root, "ls -A")?;
    ensure!(!names.contains(".stats"), "it is listed: {names}");
    let mut file = fs::File::create(mount.path("group1/file"))?;
    file.write_all(b"not committed")?;
    let stats = fs::read_to_string(mount.path(".stats"))?;
    ensure!(stats.contains("uncommitted_files 1\nuncommitted_bytes 13\n"), "{stats}");
    // Whoever starts a process closes its copy of the file, which commits.
    file.sync_all()?;
    let (done, text) = status(&root)?;
    ensure!(
        done && text.contains("open_files 1\n")
            && text.contains("uncommitted_files 0")
            && text.contains("fdfs_mount_commits_total 1"),
        "{text}"
    );
    for refused in ["echo x > .stats", "rm .stats", "touch .stats", "mv .stats group1/"] {
        ensure!(shell(&root, refused).is_err(), "{refused}");
    }
    let (done, text) = status(site.dir())?;
    ensure!(!done && text.contains("nothing of fdfs is mounted"), "{text}");
    drop(file);
    mount.kill()?;
    let (done, text) = status(&root)?;
    ensure!(!done && text.contains("its process is gone"), "{text}");
    Ok(())
}

#[test]
fn a_mount_in_the_background_has_metrics_and_goes_lazily() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mountpoint = Mountpoint::make(&site, "mnt")?;
    let (host, port) = site.tracker();
    let log = site.dir().join("log");
    let mut command = Command::new(fdfs_binary()?);
    command.arg("mount").arg(format!("{host}:{port}")).arg(&mountpoint.0).arg("--daemon");
    // The port is of the site's own address.
    command.args(["-o", &format!("metrics={host}:9117,log={}", log.display())]);
    let (done, text) = run(&mut command)?;
    ensure!(done && is_mounted(&mountpoint.0)?, "{text}");
    let mut file = fs::File::create(mountpoint.0.join("group1/file"))?;
    file.write_all(b"first")?;
    file.sync_all()?;
    let answer = http_get(&format!("http://{host}:9117/metrics"))?;
    let metrics = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(metrics.contains("fdfs_mount_commits_total 1"), "{metrics}");
    // In use, it leaves the tree at once, and commits to the end.
    let (done, text) = run(Command::new("umount").arg("--lazy").arg(&mountpoint.0))?;
    ensure!(done && !is_mounted(&mountpoint.0)?, "{text}");
    file.write_all(b", second")?;
    drop(file);
    let again = Mounting::start(&site, "again", &[])?;
    let content = fs::read_to_string(again.path("group1/file")).context("the file")?;
    ensure!(content == "first, second", "{content}");
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);
