//! What stands behind a mount is killed while programs write: what fsync or close answered is whole, nothing hangs, and the mount goes on by itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Addresses, Cluster, ClusterConfig, Deadline, Gateway, Mounting, Site, StorageConfig};
use rustix::process::{Pid, Signal, kill_process};

use crate::can_mount;

/// A file whose fsync and close were answered with success: its path, the byte that it is full of, its size.
type Answered = (PathBuf, u8, usize);

/// Writes files until it is told to stop: those that were answered, and how long the slowest took.
fn write_files(directory: &Path, stop: &AtomicBool) -> Result<(Vec<Answered>, Duration)> {
    let (mut answered, mut slowest) = (Vec::new(), Duration::ZERO);
    let mut number = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let path = directory.join(format!("file-{number}"));
        let (byte, size) = (number as u8, SIZES[number % SIZES.len()]);
        let began = Instant::now();
        let written = write_synced(&path, &vec![byte; size]);
        slowest = slowest.max(began.elapsed());
        match written {
            Ok(()) => answered.push((path, byte, size)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
    Ok((answered, slowest))
}

/// Writes a file; what close would have to say is asked for by fsync, since nobody hears what close says.
fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn is_whole(path: &Path, byte: u8, size: usize) -> Result<()> {
    let content = fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(
        content.len() == size && content.iter().all(|found| *found == byte),
        "{} is not whole",
        path.display()
    );
    Ok(())
}

#[test]
fn what_was_answered_outlives_a_crash_of_everything_behind_the_mount() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let mut site = Site::start_without_mount()?;
    let mount = Mounting::start(&site, "mnt", &[])?;
    let stop = AtomicBool::new(false);
    let directory = mount.path("group1");
    let (site, answered) = thread::scope(|scope| -> Result<_> {
        let writer = scope.spawn(|| write_files(&directory, &stop));
        let crashes = || -> Result<Site> {
            for _ in 0..CRASHES {
                thread::sleep(WRITING);
                // Tracker, storage and gateway are one process here.
                site = site.crash_and_restart()?;
                let probe = mount.path("group1/probe");
                Deadline::after(RECOVERY)
                    .wait_for("the mount to work again", || fs::write(&probe, b"again"))?;
            }
            Ok(site)
        };
        let site = crashes();
        stop.store(true, Ordering::Relaxed);
        let (answered, slowest) = writer.join().expect("the writer does not panic")?;
        ensure!(slowest < HANGING, "an operation took {slowest:?}");
        Ok((site?, answered))
    })?;
    ensure!(answered.len() > CRASHES, "{} files were written", answered.len());
    for (path, byte, size) in &answered {
        is_whole(path, *byte, *size)?;
    }
    drop(mount);
    drop(site);
    Ok(())
}

#[test]
fn each_process_behind_the_mount_may_crash_while_programs_write() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let mut config = ClusterConfig::new((Addresses::next()?, 22122).into());
    let mut storage = StorageConfig::new((Addresses::next()?, 23000).into(), "group1", 1);
    // Tens of thousands of directories are slow to remove.
    storage.lines = "subdir_count_per_path=8\n".to_owned();
    config.storages.push(storage);
    let mut cluster = Cluster::start(config)?;
    let mut gateway = Gateway::start(&cluster)?;
    let dir = tempfile::Builder::new().prefix("fdfs-mount-").tempdir()?;
    let (tracker, namespace) = (cluster.config().tracker().to_string(), gateway.namespace());
    let mount = Mounting::start_on(dir.path(), &tracker, "mnt", &[&format!("namespace={namespace}")])?;
    let stop = AtomicBool::new(false);
    let directories = ["one", "two"].map(|name| mount.path("group1").join(name));
    for directory in &directories {
        fs::create_dir(directory)?;
    }
    let answered = thread::scope(|scope| -> Result<Vec<Answered>> {
        let stop = &stop;
        let writers =
            directories.each_ref().map(|directory| scope.spawn(move || write_files(directory, stop)));
        let mut crashes = || -> Result<()> {
            for victim in ["storage", "tracker", "gateway"] {
                thread::sleep(WRITING);
                match victim {
                    "storage" => cluster.crash_storage(0)?,
                    "tracker" => cluster.crash_tracker(0)?,
                    _ => {
                        gateway.kill()?;
                        gateway.launch()?;
                    }
                }
                let probe = mount.path(&format!("group1/after-{victim}"));
                Deadline::after(RECOVERY)
                    .wait_for("the mount to work again", || write_synced(&probe, victim.as_bytes()))
                    .context(victim)?;
            }
            thread::sleep(WRITING);
            Ok(())
        };
        let crashed = crashes();
        stop.store(true, Ordering::Relaxed);
        let mut answered = Vec::new();
        for writer in writers {
            let (files, slowest) = writer.join().expect("the writer does not panic")?;
            ensure!(slowest < HANGING, "an operation took {slowest:?}");
            ensure!(files.len() > CRASHES, "{} files were written", files.len());
            answered.extend(files);
        }
        crashed.map(|()| answered)
    })?;
    for (path, byte, size) in &answered {
        is_whole(path, *byte, *size)?;
    }
    for victim in ["storage", "tracker", "gateway"] {
        ensure!(fs::read_to_string(mount.path(&format!("group1/after-{victim}")))? == victim, "{victim}");
    }
    Ok(())
}

#[test]
fn what_was_answered_outlives_a_crash_of_the_mount() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let mut mount = Mounting::start(&site, "other", &[])?;
    let directory = mount.path("group1");
    let stop = AtomicBool::new(false);
    let answered = thread::scope(|scope| -> Result<_> {
        let writer = scope.spawn(|| write_files(&directory, &stop));
        thread::sleep(WRITING);
        let killed = mount.kill();
        stop.store(true, Ordering::Relaxed);
        let (answered, _) = writer.join().expect("the writer does not panic")?;
        killed?;
        Ok(answered)
    })?;
    ensure!(!answered.is_empty(), "no file was written");
    for (path, byte, size) in &answered {
        is_whole(&site.mounted("group1").join(path.file_name().context("a name")?), *byte, *size)?;
    }
    // The next mount takes the place of the dead one.
    mount.mount()?;
    for (path, byte, size) in &answered {
        is_whole(path, *byte, *size)?;
    }
    mount.stop()
}

#[test]
fn a_mount_whose_process_is_killed_answers_again_by_itself() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mut mount = Mounting::start(&site, "mnt", &["restart"])?;
    let directory = mount.path("group1");
    let stop = AtomicBool::new(false);
    let answered = thread::scope(|scope| -> Result<_> {
        let writer = scope.spawn(|| write_files(&directory, &stop));
        let crashes = || -> Result<()> {
            for crash in 1..=CRASHES {
                thread::sleep(PAUSE);
                let served = figure(&mount, "pid")?;
                kill_process(Pid::from_raw(served.parse()?).context("a process ID")?, Signal::KILL)?;
                Deadline::after(RECOVERY).wait_for("another process to serve", || {
                    ensure!(figure(&mount, "pid")? != served, "the same process still answers");
                    write_synced(&mount.path("group1/probe"), b"again")?;
                    Ok(())
                })?;
                ensure!(
                    figure(&mount, "fdfs_mount_restarts")? == crash.to_string(),
                    "restarts are not counted"
                );
            }
            Ok(())
        };
        let crashed = crashes();
        stop.store(true, Ordering::Relaxed);
        let (answered, slowest) = writer.join().expect("the writer does not panic")?;
        ensure!(slowest < HANGING, "an operation took {slowest:?}");
        crashed.map(|()| answered)
    })?;
    for (path, byte, size) in &answered {
        is_whole(path, *byte, *size)?;
    }
    mount.stop()
}

#[test]
fn a_mount_that_is_unmounted_stays_unmounted() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start_without_mount()?;
    let mut mount = Mounting::start(&site, "mnt", &["restart"])?;
    let done = Command::new("umount").arg(mount.path("")).status()?;
    ensure!(done.success(), "umount ended with {done}");
    // Its process ends by itself, and well.
    mount.ended()
}

/// One of the figures that a mount tells.
fn figure(mount: &Mounting, name: &str) -> Result<String> {
    let report = fs::read_to_string(mount.path(".stats"))?;
    let value = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {name}: {report}"))?.to_owned())
}

const SIZES: [usize; 3] = [1_000, 200_000, 3_000_000];
const CRASHES: usize = 2;
const WRITING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
const RECOVERY: Duration = Duration::from_secs(120);
/// Longer than every deadline of the mount.
const HANGING: Duration = Duration::from_secs(150);
