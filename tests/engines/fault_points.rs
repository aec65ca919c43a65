//! A gateway is killed at every step of every write: the old content or the new one is there, never a mix, and no file is left over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{Cluster, Deadline, Gateway};

use super::{cluster, files_on_disk, get, list, put};

/// A cluster with a namespace that gateways come and go on, and where they are to be killed.
struct Stage {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

/// What a request that did not come to its end may have left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    Old,
    New,
    Either,
}

impl Stage {
    fn new() -> Result<Self> {
        Ok(Self { cluster: cluster()?, dir: tempfile::tempdir()? })
    }

    fn gateway(&self) -> Result<Gateway> {
        let url = format!("lmdb://{}", self.dir.path().join("namespace").display());
        let chosen = self.chosen();
        Gateway::start_on(
            &self.cluster,
            Some(&url),
            "free_after = 0\nfence_after = 4",
            &[("FDFS_FAULT_POINTS", &chosen)],
        )
    }

    fn chosen(&self) -> PathBuf {
        self.dir.path().join("points")
    }

    /// Has the gateway killed at `point` while `request` is made, and starts the next one.
    fn killed_at(
        &self,
        mut gateway: Gateway,
        point: &str,
        request: impl FnOnce(&Gateway) -> Result<()>,
    ) -> Result<Gateway> {
        fs::write(self.chosen(), point)?;
        // It may have been answered, where something after the answer was to be killed.
        let answered = request(&gateway);
        let ended =
            gateway.wait_for_end().with_context(|| format!("{point} was not reached: {answered:?}"))?;
        ensure!(!ended.success(), "{point}: it ended with {ended}");
        fs::remove_file(self.chosen())?;
        drop(gateway);
        self.gateway()
    }

    /// Waits until the storage has so many files: what a dead gateway left goes.
    fn until_files(&self, wanted: usize, what: &str) -> Result<()> {
        Deadline::after(Duration::from_secs(90)).wait_for(&format!("{wanted} files after {what}"), || {
            let files = files_on_disk(&self.cluster).map_err(|error| error.to_string())?;
            if files.len() == wanted { Ok(()) } else { Err(format!("{files:?}")) }
        })
    }
}

fn check(gateway: &Gateway, key: &str, old: &[u8], new: &[u8], left: Left, point: &str) -> Result<()> {
    let found = get(gateway, key)?;
    let is = |content: &[u8]| found.as_deref().unwrap_or_default() == content;
    let right = match left {
        Left::Old => is(old),
        Left::New => is(new),
        Left::Either => is(old) || is(new),
    };
    ensure!(right, "{point}: {key} has {} bytes, expected {left:?}", found.map_or(0, |found| found.len()));
    Ok(())
}

#[test]
fn a_gateway_killed_in_a_put_leaves_the_old_or_the_new() -> Result<()> {
    let stage = Stage::new()?;
    let mut gateway = stage.gateway()?;
    let (old, new) = (vec![b'o'; 300_000], vec![b'n'; 400_000]);
    put(&gateway, "key", &old)?;
    let points = [
        ("upload.begun", Left::Old),
        ("upload.sent", Left::Old),
        ("put.stored", Left::Old),
        ("put.committed", Left::New),
        ("free.deleted", Left::New),
    ];
    for (point, left) in points {
        gateway = stage.killed_at(gateway, point, |gateway| put(gateway, "key", &new))?;
        check(&gateway, "key", &old, &new, left, point)?;
        ensure!(list(&gateway, "")? == ["key"], "{point}");
        stage.until_files(1, point)?;
        check(&gateway, "key", &old, &new, left, point)?;
    }
    Ok(())
}

#[test]
fn a_gateway_killed_in_a_copy_or_a_delete_leaves_the_old_or_the_new() -> Result<()> {
    let stage = Stage::new()?;
    let mut gateway = stage.gateway()?;
    let (old, new) = (b"what was there".to_vec(), vec![b'n'; 200_000]);
    put(&gateway, "source", &new)?;
    for (point, left) in [("copy.checked", Left::Old), ("copy.committed", Left::New)] {
        put(&gateway, "target", &old)?;
        gateway = stage.killed_at(gateway, point, |gateway| {
            let arguments = ["--request", "PUT", "-H", "x-amz-copy-source: /group1/source"];
            gateway.s3("/group1/target", &arguments).map(drop)
        })?;
        check(&gateway, "target", &old, &new, left, point)?;
        check(&gateway, "source", &new, &new, Left::New, point)?;
        stage.until_files(if left == Left::New { 1 } else { 2 }, point)?;
        check(&gateway, "source", &new, &new, Left::New, point)?;
    }
    for (point, left) in
        [("delete.checked", Left::Old), ("delete.committed", Left::New), ("free.deleted", Left::New)]
    {
        put(&gateway, "target", &old)?;
        gateway = stage.killed_at(gateway, point, |gateway| {
            gateway.s3("/group1/target", &["--request", "DELETE"]).map(drop)
        })?;
        check(&gateway, "target", &old, b"", left, point)?;
        stage.until_files(if left == Left::New { 1 } else { 2 }, point)?;
    }
    Ok(())
}

#[test]
fn a_gateway_killed_in_a_multipart_upload_leaves_the_old_or_the_new() -> Result<()> {
    let stage = Stage::new()?;
    let mut gateway = stage.gateway()?;
    let old = b"what was there".to_vec();
    let parts = [vec![b'1'; 5 << 20], vec![b'2'; 100_000]];
    let new = parts.concat();
    let points = [
        ("part.stored", Left::Old),
        ("part.committed", Left::Old),
        ("complete.checked", Left::Old),
        ("complete.committed", Left::New),
        ("join.stored", Left::Either),
        ("join.swapped", Left::New),
    ];
    for (point, left) in points {
        put(&gateway, "key", &old)?;
        stage.until_files(1, "the start")?;
        let upload_id = begin(&gateway)?;
        gateway = stage.killed_at(gateway, point, |gateway| upload(gateway, &upload_id, &parts))?;
        check(&gateway, "key", &old, &new, left, point)?;
        let is_open = left == Left::Old;
        if is_open {
            // The upload goes on where it was: what is sent again replaces, and the whole is complete.
            upload(&gateway, &upload_id, &parts).with_context(|| format!("again after {point}"))?;
        }
        check(&gateway, "key", &old, &new, Left::New, point)?;
        // Old content and parts go; the joined file stays.
        stage.until_files(1, point)?;
        check(&gateway, "key", &old, &new, Left::New, point)?;
    }
    Ok(())
}

/// Begins an upload of `key`.
pub(super) fn begin(gateway: &Gateway) -> Result<String> {
    let answer = gateway.s3("/group1/key?uploads=", &["--request", "POST"])?;
    let text = String::from_utf8(answer.body)?;
    let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
    Ok(id.with_context(|| format!("upload ID in {text}"))?.0.to_owned())
}

/// Sends the parts and completes.
fn upload(gateway: &Gateway, upload_id: &str, parts: &[Vec<u8>]) -> Result<()> {
    let tags = (1..).zip(parts).map(|(number, part)| send_part(gateway, upload_id, number, part));
    match complete(gateway, upload_id, &tags.collect::<Result<Vec<_>>>()?)? {
        (200, _) => Ok(()),
        (status, text) => bail!("complete: {status} {text}"),
    }
}

/// Sends a part; its ETag.
pub(super) fn send_part(gateway: &Gateway, upload_id: &str, number: usize, part: &[u8]) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let (content, headers) = (dir.path().join("part"), dir.path().join("headers"));
    fs::write(&content, part)?;
    let path = format!("/group1/key?partNumber={number}&uploadId={upload_id}");
    let answer = gateway.s3(&path, &["--upload-file", text(&content)?, "--dump-header", text(&headers)?])?;
    ensure!(answer.status == 200, "part {number}: {}", answer.status);
    let headers = fs::read_to_string(&headers)?;
    let tag = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("etag").then(|| value.trim().to_owned())
    });
    tag.context("ETag of the part")
}

/// Completes an upload of parts 1, 2, ... with these ETags; status and body.
pub(super) fn complete(gateway: &Gateway, upload_id: &str, tags: &[String]) -> Result<(u16, String)> {
    let dir = tempfile::tempdir()?;
    let mut body = String::from("<CompleteMultipartUpload>");
    for (number, tag) in (1..).zip(tags) {
        body.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
    }
    body.push_str("</CompleteMultipartUpload>");
    let file = dir.path().join("complete");
    fs::write(&file, body)?;
    let path = format!("/group1/key?uploadId={upload_id}");
    let data = format!("@{}", file.display());
    let answer = gateway.s3(&path, &["--request", "POST", "--data-binary", &data])?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("path is UTF-8")
}
