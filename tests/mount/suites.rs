//! Suites of other makers: POSIX by pjdfstest, content by fsx.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Mounting, Site, suites_dir};

use crate::can_mount;

/// A program of the suites, or none where they cannot be had.
fn suite(name: &str) -> Option<PathBuf> {
    match suites_dir() {
        Ok(dir) => Some(dir.join("bin").join(name)),
        Err(error) => {
            eprintln!("SKIPPED: {name} cannot be installed, nothing is shown about it: {error:#}");
            None
        }
    }
}

fn settings(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mount").join(name)
}

#[test]
fn what_posix_says_of_a_file_system_holds() -> Result<()> {
    let Some(program) = suite("pjdfstest").filter(|_| can_mount()) else { return Ok(()) };
    let site = Site::start_for_everybody()?;
    let run = |part: &str| -> Result<usize> {
        let place = site.mounted(&format!("group1/{}", part.trim_end_matches(':')));
        fs::create_dir(&place)?;
        let mut command = Command::new(&program);
        command.arg("-c").arg(settings("pjdfstest.toml")).arg("-p").arg(&place).arg(part);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let summary = text.lines().last().unwrap_or_default();
        ensure!(output.status.success() && summary.contains(" 0 failed"), "{part}\n{text}");
        let passed =
            summary.split(", ").find_map(|part| part.strip_suffix(" passed")).context("a summary")?;
        Ok(passed.parse()?)
    };
    let passed = thread::scope(|scope| {
        let parts: Vec<_> = PARTS.iter().map(|part| scope.spawn(|| run(part))).collect();
        let mut passed = 0;
        for part in parts {
            passed += part.join().expect("no part panics")?;
        }
        anyhow::Ok(passed)
    })?;
    ensure!(passed >= PASSED, "{passed} of {PASSED} were run");
    Ok(())
}

/// Runs fsx on a file with a seed.
fn fsx(program: &Path, seed: u32, operations: u32, artifacts: &Path, file: &Path) -> Result<()> {
    // Small contents and large ones are kept differently; those of a few MB take longer.
    let kind = if seed.is_multiple_of(4) { "fsx-large.toml" } else { "fsx-small.toml" };
    let mut command = Command::new(program);
    command.args(["-q", "-S", &seed.to_string(), "-N", &operations.to_string(), "-f"]);
    command.arg(settings(kind)).arg("-P").arg(artifacts).arg(file);
    let output = command.output()?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&text));
    Ok(())
}

/// Runs fsx on a file of each seed below `directory`, all at once; what the files hold then.
fn fsx_of_all_seeds(program: &Path, directory: &Path, round: u32, operations: u32) -> Result<Vec<Vec<u8>>> {
    let artifacts = tempfile::tempdir()?;
    thread::scope(|scope| {
        let run = |seed: u32| {
            let seed_of_round = seed + round * 1_000;
            fsx(program, seed_of_round, operations, artifacts.path(), &directory.join(format!("fsx-{seed}")))
        };
        let seeds: Vec<_> = (1..=SEEDS).map(|seed| scope.spawn(move || run(seed))).collect();
        seeds.into_iter().try_for_each(|seed| seed.join().expect("no seed panics"))
    })?;
    contents(directory)
}

fn contents(directory: &Path) -> Result<Vec<Vec<u8>>> {
    (1..=SEEDS).map(|seed| Ok(fs::read(directory.join(format!("fsx-{seed}")))?)).collect()
}

/// What is there is there without the kernel's caches.
fn drop_caches() {
    rustix::fs::sync();
    // Not every machine lets its tests do this.
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
}

#[test]
fn random_operations_find_what_they_left() -> Result<()> {
    let Some(program) = suite("fsx").filter(|_| can_mount()) else { return Ok(()) };
    let operations = match std::env::var("FDFS_FSX_OPERATIONS") {
        Ok(text) => text.parse()?,
        // A binary for debugging is many times slower.
        Err(_) if std::env::var_os("FDFS_BINARY").is_none() => FEW_OPERATIONS,
        Err(_) => OPERATIONS,
    };
    let mut site = Site::start_that_frees_soon()?;
    for round in 0..ROUNDS {
        let directory = site.mounted("group1");
        let before = fsx_of_all_seeds(&program, &directory, round, operations / ROUNDS)?;
        drop_caches();
        ensure!(contents(&directory)? == before, "other bytes without caches");
        site = site.restart()?;
        ensure!(contents(&directory)? == before, "other bytes after a remount");
    }
    site.stop()
}

#[test]
fn random_operations_find_what_they_left_through_a_gateway_elsewhere() -> Result<()> {
    let Some(program) = suite("fsx").filter(|_| can_mount()) else { return Ok(()) };
    let site = Site::start_without_mount()?;
    let mut mount = Mounting::start(&site, "mnt", &[])?;
    let directory = mount.path("group1");
    let before = fsx_of_all_seeds(&program, &directory, 0, FEW_OPERATIONS)?;
    drop_caches();
    ensure!(contents(&directory)? == before, "other bytes without caches");
    mount.stop()?;
    mount.mount()?;
    ensure!(contents(&directory)? == before, "other bytes after a remount");
    mount.stop()
}

/// Parts of the suite that are run beside one another.
const PARTS: [&str; 12] = [
    "chmod::",
    "chown::",
    "link::",
    "mkdir::",
    "mkfifo::",
    "mknod::",
    "open::",
    "posix_fallocate::",
    "rename::",
    "rmdir::",
    "truncate::",
    "utimensat::",
];
/// Cases that pass on ext4, but for one that wants to know of a limit on links, of which there is none.
const PASSED: usize = 382;
const SEEDS: u32 = 8;
/// Remounts for each seed.
const ROUNDS: u32 = 4;
/// Operations of each seed.
const OPERATIONS: u32 = 100_000;
/// Operations of each seed where each takes long.
const FEW_OPERATIONS: u32 = 1_000;
