//! `fdfs mount` beside a running cluster: two mounts, one tree.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Mounting, Site, fdfs_binary};

#[test]
fn a_second_mount_and_the_first_show_the_same_files() -> Result<()> {
    let site = Site::start()?;
    let mut second = Mounting::start(&site, "second", &[])?;

    fs::create_dir(site.mounted("group1/shared"))?;
    fs::write(site.mounted("group1/shared/from-first"), CONTENT)?;
    ensure!(fs::read(second.path("group1/shared/from-first"))? == CONTENT, "second sees other content");

    fs::write(second.path("group1/shared/from-second"), CONTENT)?;
    ensure!(fs::read(site.mounted("group1/shared/from-second"))? == CONTENT, "first sees other content");

    // What one changes the other sees changed.
    fs::write(second.path("group1/shared/from-first"), b"shorter")?;
    ensure!(fs::read(site.mounted("group1/shared/from-first"))? == b"shorter", "first sees old content");
    fs::rename(site.mounted("group1/shared/from-second"), site.mounted("group1/shared/renamed"))?;
    ensure!(names(&second.path("group1/shared"))? == ["from-first", "renamed"], "second lists other names");
    fs::remove_file(second.path("group1/shared/renamed"))?;
    ensure!(names(&site.mounted("group1/shared"))? == ["from-first"], "first lists what is removed");

    // Written, never synchronised by who wrote it, and kept open by nobody when the signal comes.
    fs::write(second.path("group1/shared/last"), CONTENT)?;
    second.stop()?;
    ensure!(fs::read(site.mounted("group1/shared/last"))? == CONTENT, "lost at the end");
    Ok(())
}

#[test]
fn a_mount_outlives_a_restart_of_the_gateway() -> Result<()> {
    let site = Site::start()?;
    let mut second = Mounting::start(&site, "second", &[])?;
    fs::write(second.path("group1/before"), CONTENT)?;
    let site = site.crash_and_restart()?;
    let deadline = Deadline::after(RECOVERY_LIMIT);
    let content = deadline.wait_for("the mount to work again", || fs::read(second.path("group1/before")))?;
    ensure!(content == CONTENT, "other content");
    deadline.wait_for("writing", || fs::write(second.path("group1/after"), CONTENT))?;
    ensure!(fs::read(site.mounted("group1/after"))? == CONTENT, "first sees other content");
    second.stop()
}

#[test]
fn a_mount_says_in_one_line_what_is_missing() -> Result<()> {
    let site = Site::start_without_mount()?;
    let (host, port) = site.tracker();
    let tracker = format!("{host}:{port}");
    let dir = site.dir().to_str().context("path is UTF-8")?.to_owned();
    let missing = format!("{dir}/missing");
    let cases = [
        (vec!["mount", &tracker, &missing], "mkdir -p"),
        (vec!["mount", &tracker, &dir, "--namespace", "127.0.0.1:9"], "namespace service"),
        (vec!["mount", "127.0.0.1:9", &dir], "no tracker of 127.0.0.1:9 answers"),
        (vec!["mount", &tracker, &dir, "-o", "acl"], "-o acl is not known"),
    ];
    for (arguments, expected) in cases {
        let Output { status, stderr, .. } = Command::new(fdfs_binary()?).args(&arguments).output()?;
        let text = String::from_utf8_lossy(&stderr);
        let last = text.lines().last().unwrap_or_default();
        ensure!(!status.success() && last.contains(expected), "{arguments:?}: {status}\n{text}");
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

const CONTENT: &[u8] = b"the same on both sides";
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);
