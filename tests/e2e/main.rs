//! `fdfs up` as a newcomer meets it: one process, and every way in shows the same object.

mod keys;
mod load;
mod outside;
mod second_mount;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Site, clients_dir};

use crate::outside::Outside;

/// A file put by aws-cli is seen on the mount, fetched by a Python and a Node FastDFS client under its ID, and by curl on its legacy URL.
#[test]
fn one_object_is_the_same_through_every_way_in() -> Result<()> {
    let outside = Outside::new(clients_dir()?);
    let site = Site::start()?;
    for (name, size) in SIZES {
        let source = site.dir().join(name);
        write_pattern(&source, size)?;
        let key = format!("pets/{name}");
        outside.aws(&site, &["s3", "cp", "--no-progress", path(&source)?, &format!("s3://group1/{key}")])?;
        let (mount, front) = (site.mounted(&format!("group1/{key}")), site.front());
        same(&source, &mount).with_context(|| format!("{name} on the mount"))?;
        let id = file_id(&mount).with_context(|| format!("{name}: its ID"))?;
        let fetched = site.dir().join("fetched");
        for (client, fetch) in outside.fetchers(&site, &id, &fetched)? {
            let _ = fs::remove_file(&fetched);
            fetch()?;
            same(&source, &fetched).with_context(|| format!("{name} as {id} through {client}"))?;
        }
        for base in [site.storage_http(), front] {
            outside.curl(&format!("{base}/{id}"), &fetched)?;
            same(&source, &fetched).with_context(|| format!("{name} from {base}/{id}"))?;
        }
        let raw = site.mounted(&id);
        same(&source, &raw).with_context(|| format!("{name} in the raw tree"))?;
    }
    Ok(())
}

#[test]
fn a_file_written_to_the_mount_is_an_s3_object_with_an_id() -> Result<()> {
    let outside = Outside::new(clients_dir()?);
    let site = Site::start()?;
    let source = site.dir().join("source");
    write_pattern(&source, 5 << 20)?;
    fs::create_dir(site.mounted("group1/made"))?;
    fs::copy(&source, site.mounted("group1/made/copy.bin"))?;
    let back = site.dir().join("back");
    outside.aws(&site, &["s3", "cp", "--no-progress", "s3://group1/made/copy.bin", path(&back)?])?;
    same(&source, &back)?;
    let id = file_id(&site.mounted("group1/made/copy.bin"))?;
    outside.curl(&format!("{}/{id}", site.storage_http()), &back)?;
    same(&source, &back)
}

#[test]
fn started_again_on_its_directory_it_finds_everything() -> Result<()> {
    let outside = Outside::new(clients_dir()?);
    let site = Site::start()?;
    let source = site.dir().join("source");
    write_pattern(&source, 100_000)?;
    outside.aws(&site, &["s3", "cp", "--no-progress", path(&source)?, "s3://group1/kept/file"])?;
    let id = file_id(&site.mounted("group1/kept/file"))?;
    let site = site.restart()?;
    same(&source, &site.mounted("group1/kept/file"))?;
    ensure!(file_id(&site.mounted("group1/kept/file"))? == id, "the ID is another");
    let back = site.dir().join("back");
    outside.aws(&site, &["s3", "cp", "--no-progress", "s3://group1/kept/file", path(&back)?])?;
    same(&source, &back)?;
    let site = site.crash_and_restart()?;
    same(&source, &site.mounted("group1/kept/file")).context("after a crash")
}

#[test]
fn metadata_is_one_through_every_way_in() -> Result<()> {
    let outside = Outside::new(clients_dir()?);
    let site = Site::start()?;
    let source = site.dir().join("source");
    write_pattern(&source, 1000)?;
    let put = [
        "s3api",
        "put-object",
        "--bucket",
        "group1",
        "--key",
        "cat.jpg",
        "--metadata",
        "width=1024",
        "--body",
    ];
    outside.aws(&site, &[&put[..], &[path(&source)?]].concat())?;
    ensure!(attribute(&site.mounted("group1/cat.jpg"), "user.width")? == "1024", "xattr");
    let id = file_id(&site.mounted("group1/cat.jpg"))?;
    let pairs = outside.node_metadata(&site, &id)?;
    ensure!(pairs.contains("\"width\":\"1024\""), "FastDFS metadata: {pairs}");
    let head = outside.aws(&site, &["s3api", "head-object", "--bucket", "group1", "--key", "cat.jpg"])?;
    ensure!(head.contains("\"width\": \"1024\""), "{head}");
    Ok(())
}

/// The ID of a file: what is joined in the background has it a little later.
fn file_id(path: &Path) -> Result<String> {
    Deadline::after(ID_LIMIT).wait_for("file ID", || attribute(path, "user.fdfs.file_id"))
}

fn attribute(path: &Path, name: &str) -> Result<String> {
    let mut value = [0; 1024];
    let length = rustix::fs::getxattr(path, name, &mut value[..])
        .with_context(|| format!("{name} of {}", path.display()))?;
    Ok(String::from_utf8(value[..length].to_vec())?)
}

/// Compares two files piece by piece.
fn same(one: &Path, other: &Path) -> Result<()> {
    let open = |path: &Path| fs::File::open(path).with_context(|| path.display().to_string());
    let (left, right) = (open(one)?, open(other)?);
    let (size, found) = (left.metadata()?.len(), right.metadata()?.len());
    ensure!(size == found, "{} has {found} bytes, not {size}", other.display());
    let (mut expected, mut seen) = (vec![0; PIECE], vec![0; PIECE]);
    for at in (0..size).step_by(PIECE) {
        let length = PIECE.min(usize::try_from(size - at)?);
        left.read_exact_at(&mut expected[..length], at)?;
        right.read_exact_at(&mut seen[..length], at)?;
        ensure!(expected[..length] == seen[..length], "{} differs after byte {at}", other.display());
    }
    Ok(())
}

/// Bytes that differ from piece to piece.
fn write_pattern(path: &Path, size: u64) -> Result<()> {
    let file = fs::File::create(path)?;
    for at in (0..size).step_by(PIECE) {
        let length = PIECE.min(usize::try_from(size - at)?);
        let number = at / PIECE as u64;
        let piece: Vec<u8> = (0..length as u64).map(|i| (i * 31 + i / 256 + number * 7) as u8).collect();
        file.write_all_at(&piece, at)?;
    }
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("path is UTF-8")
}

/// From empty to what aws-cli sends in parts.
const SIZES: [(&str, u64); 5] = [
    ("empty.txt", 0),
    ("one.txt", 1),
    ("small.jpg", 4096),
    ("middle.bin", 5 << 20),
    ("large.bin", 300 << 20),
];
const PIECE: usize = 1 << 20;
const ID_LIMIT: Duration = Duration::from_secs(60);
