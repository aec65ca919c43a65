//! `fdfs access`: keys that come, change and go while everything runs.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Site, fdfs_binary};

/// Runs `fdfs access`; what it prints.
fn access(site: &Site, arguments: &[&str]) -> Result<String> {
    let (host, _) = site.tracker();
    let output = Command::new(fdfs_binary()?)
        .args(["access", "--namespace", &format!("{host}:23100")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The status of a request that curl signs with this key pair, `ID:SECRET`.
fn status(site: &Site, pair: &str, method: &str, path: &str) -> Result<String> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(["--user", pair, "--request", method, &format!("{}{path}", site.s3())])
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn keys_come_change_and_go_while_everything_runs() -> Result<()> {
    let mut site = Site::start_without_mount()?;
    let made = access(&site, &["add", "ann", "pets:read+write", "new-*:admin"])?;
    let value = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(str::to_owned).with_context(|| format!("{name} in {made}"))
    };
    let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
    let pair = format!("{id}:{secret}");
    let check = |method: &str, path: &str, expected: &str| {
        let found = status(&site, &pair, method, path)?;
        ensure!(found == expected, "{method} {path}: {found} and not {expected}");
        Ok(())
    };
    check("PUT", "/new-bucket", "200")?;
    check("PUT", "/other-bucket", "403")?;
    check("PUT", "/group1/k", "403")?;
    let listed = access(&site, &["list"])?;
    ensure!(listed == format!("{id}  ann  pets:read+write new-*:admin\n"), "{listed}");
    ensure!(!listed.contains(&secret), "a secret is shown");

    access(&site, &["set", &id, "group1:write"])?;
    check("PUT", "/group1/k", "200")?;
    check("GET", "/group1/k", "403")?;
    access(&site, &["disable", &id])?;
    check("PUT", "/group1/k", "403")?;
    access(&site, &["enable", &id])?;
    check("PUT", "/group1/k", "200")?;
    access(&site, &["remove", &id])?;
    check("PUT", "/group1/k", "403")?;
    ensure!(access(&site, &["list"])?.is_empty(), "a key is left");
    ensure!(access(&site, &["remove", &id]).is_err(), "it is removed twice");
    ensure!(access(&site, &["add", "ann", "pets:everything"]).is_err(), "what is no grant is taken");
    site.stop()
}
