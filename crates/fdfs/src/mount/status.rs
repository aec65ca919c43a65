//! `fdfs mount status`: what mounts of this machine do.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// Shows the mounts on `directories`, or all there are; fails where one does not answer.
pub fn show(directories: &[PathBuf]) -> anyhow::Result<()> {
    let mounted = mounted(&fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?);
    let mut wanted = Vec::new();
    for directory in directories {
        // Without a slash at the end, as the table has it.
        let directory: PathBuf = std::path::absolute(directory)?.components().collect();
        ensure!(mounted.contains(&directory), "nothing of fdfs is mounted on {}", directory.display());
        wanted.push(directory);
    }
    if directories.is_empty() {
        wanted = mounted;
    }
    if wanted.is_empty() {
        println!("nothing is mounted");
    }
    let mut silent = 0;
    for directory in &wanted {
        println!("{}", directory.display());
        match report(directory) {
            Ok(report) => report.lines().for_each(|line| println!("  {line}")),
            Err(error) => {
                silent += 1;
                println!("  {error:#}");
            }
        }
    }
    match silent {
        0 => Ok(()),
        silent => bail!("{silent} of {} mounts do not answer", wanted.len()),
    }
}

/// True if something of ours is mounted there, alive or dead.
pub fn is_mounted(directory: &Path) -> anyhow::Result<bool> {
    let table = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    Ok(mounted(&table).iter().any(|mounted| mounted == directory))
}

fn report(directory: &Path) -> anyhow::Result<String> {
    let (sender, receiver) = mpsc::channel();
    let file = directory.join(".stats");
    std::thread::spawn(move || sender.send(fs::read_to_string(file)));
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error()) => {
            bail!("dead: its process is gone; mount again, or `umount -l {}`", directory.display())
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!("only the user who mounted it may look at it")
        }
        Ok(Err(error)) => Err(error).context("it cannot be looked at"),
        Err(_) => bail!("no answer within {PATIENCE:?}"),
    }
}

/// Where the table of mounts says that something of ours is.
fn mounted(table: &str) -> Vec<PathBuf> {
    let ours = table.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (directory, kind) = (words.next()?, words.next()?);
        (kind == "fuse.fdfs").then(|| unescaped(directory))
    });
    ours.collect()
}

/// A path as the table writes it: blanks and backslashes as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let (mut path, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let octal = text.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        match octal.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(bytes[at]);
                at += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(path).into()
}

/// How long a mount may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_ours_are_found_in_the_table() {
        let table =
            "/dev/sda / ext4 rw 0 0\nfastdfs /mnt/my\\040files fuse.fdfs rw 0 0\nx /y fuse.other rw 0 0\n";
        assert_eq!(mounted(table), [PathBuf::from("/mnt/my files")]);
    }
}
