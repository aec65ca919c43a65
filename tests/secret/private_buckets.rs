//! Private buckets through a mount, and the command that makes one.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use fdfs_tests::{Cluster, Gateway, Mounting, fdfs_binary};
use fdfs_types::RemoteFilename;
use tempfile::TempDir;

use super::{SECRET, cluster_config, secret_file, storage_config, stored_names};

/// A cluster whose members share a secret, and a gateway that knows it.
fn stage(secrets: &TempDir) -> Result<(Cluster, Gateway)> {
    let mut config = cluster_config(secrets, 1)?;
    config.storages.push(storage_config(secrets, SECRET)?);
    let cluster = Cluster::start(config)?;
    let secret = format!("cluster_secret_file = '{}'", secret_file(secrets, SECRET)?.display());
    let gateway = Gateway::start_with(&cluster, None, &secret)?;
    Ok((cluster, gateway))
}

fn are_private(names: &[String]) -> Vec<bool> {
    names.iter().map(|name| name.parse::<RemoteFilename>().is_ok_and(|name| name.is_private())).collect()
}

#[test]
fn a_mount_with_the_secret_reads_and_writes_a_private_bucket_and_one_without_does_not() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let (cluster, gateway) = stage(&secrets)?;
    ensure!(gateway.s3("/hidden", &["-X", "PUT", "-H", "x-fdfs-native-read: off"])?.status == 200);
    ensure!(gateway.put("/hidden/dir/a.txt", b"precious")?.status == 200);
    ensure!(gateway.put("/group1/b.txt", b"public")?.status == 200);

    let tracker = cluster.config().tracker().to_string();
    let namespace = format!("namespace={}", gateway.namespace_address());
    let secret = format!("cluster_secret_file={}", secret_file(&secrets, SECRET)?.display());
    let mut mount = Mounting::start_on(secrets.path(), &tracker, "with", &[&namespace, &secret])?;
    ensure!(fs::read(mount.path("hidden/dir/a.txt")).context("read")? == b"precious");
    // What is written, grows, and is copied there is private as well; a rename moves nothing.
    let long = vec![b'x'; 3 << 20];
    fs::write(mount.path("hidden/new"), &long).context("write")?;
    fs::write(mount.path("hidden/empty"), b"").context("empty")?;
    fs::rename(mount.path("hidden/new"), mount.path("hidden/dir/long")).context("rename")?;
    fs::copy(mount.path("group1/b.txt"), mount.path("hidden/copy")).context("copy")?;
    ensure!(fs::read(mount.path("hidden/dir/long")).context("read of what was written")? == long);
    for (key, content) in [("dir/long", &long[..]), ("copy", b"public"), ("empty", b"")] {
        let read = gateway.get(&format!("/hidden/{key}"))?;
        ensure!(read.status == 200 && read.body == content, "{key}: {}", read.status);
    }
    let private = are_private(&stored_names(&cluster)?);
    ensure!(private.iter().filter(|is| !**is).count() == 1, "only group1/b.txt is not: {private:?}");

    // Without the secret the names are seen, as the mount's host is trusted for them, and no byte is read or written.
    let mut without = Mounting::start_on(secrets.path(), &tracker, "without", &[&namespace])?;
    ensure!(fs::metadata(without.path("hidden/dir/a.txt")).context("attributes")?.len() == 8);
    let public = fs::read(without.path("group1/b.txt")).with_context(|| without.output())?;
    ensure!(public == b"public");
    let refused = fs::read(without.path("hidden/dir/a.txt")).err().context("it reads a private file")?;
    ensure!(refused.kind() == ErrorKind::PermissionDenied, "{refused:?}");
    without.stop()?;
    mount.stop()
}

#[test]
fn a_bucket_is_made_private_and_native_again_by_command() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let (cluster, gateway) = stage(&secrets)?;
    let config = gateway.config();
    let config = config.to_str().context("path is UTF-8")?;
    let bucket = |arguments: &[&str]| -> Result<Output> {
        Ok(Command::new(fdfs_binary()?).arg("bucket").args(arguments).args(["-c", config]).output()?)
    };
    let listed = || -> Result<String> { Ok(String::from_utf8(bucket(&["list"])?.stdout)?) };
    ensure!(gateway.s3("/made", &["-X", "PUT"])?.status == 200);
    ensure!(listed()?.contains("made") && !listed()?.contains("native_read=off"), "{}", listed()?);

    let done = bucket(&["native-read", "made", "off"])?;
    ensure!(done.status.success(), "{done:?}");
    ensure!(listed()?.contains("native_read=off"), "{}", listed()?);
    let head = gateway.s3("/made", &["--head"])?;
    let head = String::from_utf8_lossy(&head.body).to_ascii_lowercase();
    ensure!(head.contains("x-fdfs-native-read: off"), "{head}");
    ensure!(gateway.put("/made/a", b"precious")?.status == 200);
    ensure!(are_private(&stored_names(&cluster)?) == [true]);

    // Further files are as others' are; the one that is there stays as it is.
    let done = bucket(&["native-read", "made", "on"])?;
    ensure!(done.status.success(), "{done:?}");
    ensure!(gateway.put("/made/b", b"public")?.status == 200);
    let mut private = are_private(&stored_names(&cluster)?);
    private.sort_unstable();
    ensure!(private == [false, true], "{private:?}");
    ensure!(gateway.get("/made/a")?.body == b"precious");
    // It is not empty any more.
    let refused = bucket(&["native-read", "made", "off"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && said.contains("empty"), "{said}");
    let unknown = bucket(&["native-read", "nobody-made-this", "off"])?;
    ensure!(!unknown.status.success(), "{unknown:?}");
    Ok(())
}
