//! The clients of other makers that tests use.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where the clients are installed, with `venv` and `node_modules`; `tests/clients/setup` installs them first where that was not done.
///
/// # Errors
///
/// When they cannot be installed.
pub fn clients_dir() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let dir = env::var_os("FDFS_CLIENTS").map_or_else(|| here.join("../../target/clients"), PathBuf::from);
    let status = Command::new(here.join("setup")).arg(&dir).status().context("tests/clients/setup")?;
    ensure!(status.success(), "tests/clients/setup: {status}");
    Ok(dir.canonicalize()?)
}

/// Where the clients in Rust are, in `bin`; `tests/clients/setup-rust` compiles them first where that was not done.
///
/// # Errors
///
/// When they cannot be compiled.
pub fn rust_clients_dir() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let dir = env::var_os("FDFS_TOOLS").map_or_else(|| here.join("../../target/tools"), PathBuf::from);
    let status =
        Command::new(here.join("setup-rust")).arg(&dir).status().context("tests/clients/setup-rust")?;
    ensure!(status.success(), "tests/clients/setup-rust: {status}");
    Ok(dir.canonicalize()?)
}

/// Where the test suites for file systems are, in `bin`; `tests/mount/setup` compiles them first where that was not done.
///
/// # Errors
///
/// When they cannot be compiled.
pub fn suites_dir() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("mount");
    let dir = env::var_os("FDFS_TOOLS").map_or_else(|| here.join("../../target/tools"), PathBuf::from);
    let output = Command::new(here.join("setup")).arg(&dir).output().context("tests/mount/setup")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tests/mount/setup: {}\n{text}", output.status);
    Ok(dir.canonicalize()?)
}
