//! Daemons that cannot start say why.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use fdfs_tests::{Addresses, fdfs_binary};

/// Runs a daemon that is to refuse.
fn refused(kind: &str, text: &str) -> Result<(tempfile::TempDir, String)> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("daemon.conf");
    fs::write(&config, text.replace("DIR", &dir.path().display().to_string()))?;
    let output: Output =
        Command::new("timeout").arg("20").arg(fdfs_binary()?).args([kind, "-c"]).arg(&config).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{kind}: {}: {said}", output.status);
    Ok((dir, said))
}

#[test]
fn a_base_path_that_is_missing_is_named_and_not_made() -> Result<()> {
    let bind = Addresses::next()?;
    let lines = format!("bind_addr={bind}\nmetrics_listen=off\nbase_path=DIR/disk/fdfs\n");
    for kind in ["tracker", "storage"] {
        let more = "group_name=group1\nhttp_listen=off\ntracker_server=127.0.0.9:22122\n";
        let text = if kind == "storage" { format!("{lines}{more}") } else { lines.clone() };
        let (dir, said) = refused(kind, &text)?;
        ensure!(said.contains("base_path: cannot") && said.contains("/disk/fdfs"), "{kind}: {said}");
        ensure!(!dir.path().join("disk").exists(), "{kind} made the base path");
    }
    Ok(())
}

#[test]
fn a_number_that_cannot_be_read_is_named_with_file_and_line() -> Result<()> {
    for kind in ["tracker", "storage"] {
        let (_dir, said) =
            refused(kind, "base_path=DIR\ntracker_server=127.0.0.9:22122\nport=abc\ngroup_name=group1\n")?;
        ensure!(said.contains("daemon.conf:3: port = abc: a number is needed"), "{kind}: {said}");
    }
    Ok(())
}
