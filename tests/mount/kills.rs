//! What stands behind a mount is killed while programs write: what fsync or close answered is whole, nothing hangs, and the mount goes on by itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Mounting, Site};

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
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![byte; size])?;
            file.sync_all()
        });
        slowest = slowest.max(began.elapsed());
        match written {
            Ok(()) => answered.push((path, byte, size)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
    Ok((answered, slowest))
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

const SIZES: [usize; 3] = [1_000, 200_000, 3_000_000];
const CRASHES: usize = 2;
const WRITING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
const RECOVERY: Duration = Duration::from_secs(120);
/// Longer than every deadline of the mount.
const HANGING: Duration = Duration::from_secs(150);
