//! The mount as programs and suites of other makers use it, from two mounts at once, and while what stands behind it is killed.

mod kills;
mod life;
mod locks;
mod model;
mod programs;
mod suites;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Runs a shell script in `directory`; what it wrote.
fn shell(directory: &Path, script: &str) -> Result<String> {
    let mut command = Command::new("sh");
    let output = command.args(["-euc", script]).current_dir(directory).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}: {}\n{out}{err}", output.status);
    Ok(out.into_owned())
}

/// True where a program is installed; else the test is left out, and says so.
fn is_there(program: &str) -> Result<bool> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let is_there = found.context("sh")?.status.success();
    if !is_there {
        eprintln!("SKIPPED: {program} is not installed, nothing is shown about it");
    }
    Ok(is_there)
}

/// True where tests may mount; else the test is left out, and says so.
fn can_mount() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let can = is_root && std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    if !can {
        eprintln!("SKIPPED: no root or no /dev/fuse, nothing is shown about mounts");
    }
    can
}
