//! Where the `fdfs` binary under test is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The binary under test: `$FDFS_BINARY` if set, else `fdfs` of the target directory this test was built
/// into, brought up to date first.
///
/// `$FDFS_BINARY` may name any program that understands `tracker -c FILE` and `storage -c FILE` in the
/// foreground.
///
/// # Errors
///
/// When the binary can neither be found nor built.
pub fn fdfs_binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(binary) = env::var_os("FDFS_BINARY") {
        return Ok(PathBuf::from(binary));
    }
    match BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        Ok(binary) => Ok(binary.clone()),
        Err(error) => bail!("{error}"),
    }
}

/// Builds the binary into the directory of the running test.
fn build() -> Result<PathBuf> {
    let test = env::current_exe().context("path of the running test")?;
    let profile_dir = test.parent().and_then(Path::parent).context("target directory of the running test")?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => bail!("{} is no target directory", profile_dir.display()),
    };
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", "fdfs", "--bin", "fdfs", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_dir.parent().context("target directory")?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("`cargo build --package fdfs` failed: {status}");
    }
    Ok(profile_dir.join("fdfs"))
}
