//! What lies below the store paths of storages, to be compared between the members of a group.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Cluster, Deadline};

/// The files of one storage by logical name (`M00/00/00/…`).
pub type Files = BTreeMap<String, FileState>;

/// What a file is, as far as replicas must agree on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileState {
    /// A regular file.
    Regular {
        /// Length in bytes.
        size: u64,
        /// CRC32 of the content.
        crc32: u32,
    },
    /// A symbolic link, with the last four components of its target.
    Link(String),
}

/// Reads every file below the store paths of storage number `index`.
///
/// # Errors
///
/// When a directory cannot be read.
pub fn files_of(cluster: &Cluster, index: usize) -> Result<Files> {
    let mut files = Files::new();
    for path in 0..cluster.config().storages[index].store_paths {
        let data = cluster.store_path(index, path).join("data");
        for high in directories(&data)? {
            for low in directories(&data.join(&high))? {
                let dir = data.join(&high).join(&low);
                for entry in fs::read_dir(&dir)? {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    // A file may go while the directory is read.
                    if let Some(state) = state_of(&dir.join(&name))? {
                        files.insert(format!("M{path:02X}/{high}/{low}/{name}"), state);
                    }
                }
            }
        }
    }
    Ok(files)
}

/// Waits until the storages hold the same files, and returns these.
///
/// # Errors
///
/// When they still differ at the end of `limit`; the text names some of the differences.
pub fn wait_for_equal_replicas(cluster: &Cluster, storages: &[usize], limit: Duration) -> Result<Files> {
    Deadline::after(limit).wait_for("equal replicas", || {
        let (first, others) = storages.split_first().context("no storages")?;
        let files = files_of(cluster, *first)?;
        for other in others {
            let theirs = files_of(cluster, *other)?;
            let differences = differences(&files, &theirs);
            ensure!(
                differences.is_empty(),
                "storages {first} ({} files) and {other} ({} files) differ in {}: {:?}",
                files.len(),
                theirs.len(),
                differences.len(),
                &differences[..differences.len().min(5)],
            );
        }
        Ok(files)
    })
}

fn differences<'a>(
    ours: &'a Files,
    theirs: &'a Files,
) -> Vec<(&'a str, Option<&'a FileState>, Option<&'a FileState>)> {
    let of_ours = ours.iter().filter(|(name, state)| theirs.get(*name) != Some(state));
    let only_theirs = theirs.iter().filter(|(name, _)| !ours.contains_key(*name));
    of_ours
        .map(|(name, state)| (name.as_str(), Some(state), theirs.get(name)))
        .chain(only_theirs.map(|(name, state)| (name.as_str(), None, Some(state))))
        .collect()
}

/// The two-digit directories below `dir`; none where it is missing.
fn directories(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| dir.display().to_string())?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.filter(|name: &Result<String>| name.as_ref().map_or(true, |name| is_hex_pair(name))).collect()
}

fn is_hex_pair(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn state_of(path: &Path) -> Result<Option<FileState>> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::symlink_metadata(path) {
        Err(error) if gone(&error) => return Ok(None),
        Ok(found) if found.is_symlink() => {
            let target = fs::read_link(path)?.display().to_string();
            let last: Vec<&str> = target.rsplitn(5, '/').take(4).collect();
            return Ok(Some(FileState::Link(last.join("<"))));
        }
        other => other?,
    };
    match fs::read(path) {
        Err(error) if gone(&error) => Ok(None),
        other => {
            let content = other?;
            Ok(Some(FileState::Regular { size: content.len() as u64, crc32: crc32fast::hash(&content) }))
        }
    }
}
