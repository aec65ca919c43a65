//! Recording files that are on the disk and not in the binlog.
//!
//! The original answers before its records are in the file, and a power failure takes what was not on
//! the disk. After such an end the directories that have changed since shortly before the last record
//! was written are read, and what no record tells of is recorded. A name of ours is recorded as made
//! here, another as replicated. A file whose content is not what its name says is left alone: the
//! original gives an upload a name before it is whole, and blocks may be lost.
//!
//! The reverse is not done: a file that has a record and is gone may be gone through the same failure, and
//! recording a delete would take it from the peers that still have it.

use std::{collections::HashMap, fs::File, io};

use fdfs_types::{FileKind, RemoteFilename, Source, Timestamp};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};
use tracing::{info, warn};

use crate::{
    Binlog, Change, OpenError, Origin, Record, StoreError,
    contents::content_at,
    layout::StorePath,
    store::{SIDECAR, crc32_of},
};

/// What was done about files that no record told of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reconciled {
    /// Files recorded.
    pub(crate) recorded: u64,
    /// Files left alone, as they are not what their names say.
    pub(crate) broken: u64,
}

/// Finds files that no record tells of, and records them.
#[derive(Debug)]
struct Reconciliation<'a> {
    paths: &'a [StorePath],
    binlog: &'a Binlog,
    source: Source,
    since: i64,
    found: HashMap<String, Found>,
    done: Reconciled,
}

/// A file that may have no record.
#[derive(Debug)]
struct Found {
    modified: Timestamp,
    origin: Origin,
    /// The content that it is a link to.
    content: Option<RemoteFilename>,
    recorded: bool,
}

/// What may go wrong with it.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Disk(#[from] Errno),
    #[error(transparent)]
    Binlog(#[from] io::Error),
    #[error(transparent)]
    Record(#[from] StoreError),
}

/// Records what has no record.
pub(crate) fn run(
    paths: &[StorePath],
    binlog: &Binlog,
    source: Source,
    subdir_count: u32,
) -> Result<Reconciled, OpenError> {
    let since = binlog.last_written().0 - MARGIN;
    let mut work =
        Reconciliation { paths, binlog, source, since, found: HashMap::new(), done: Reconciled::default() };
    for path in paths {
        let walk = work.read_directories(path, subdir_count).and_then(|()| work.record(path));
        walk.map_err(|error| OpenError::doing("reconciling", &path.data_path)(io::Error::other(error)))?;
    }
    if work.done != Reconciled::default() {
        info!(work.done.recorded, work.done.broken, "files without a record were found");
    }
    Ok(work.done)
}

impl Reconciliation<'_> {
    fn read_directories(&mut self, path: &StorePath, subdir_count: u32) -> Result<(), ReconcileError> {
        for high in 0..subdir_count {
            for low in 0..subdir_count {
                let local = format!("{high:02X}/{low:02X}");
                match statat(&path.data, &local, AtFlags::empty()) {
                    Ok(stat) if stat.st_mtime >= self.since => self.read_directory(path, &local)?,
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn read_directory(&mut self, path: &StorePath, local: &str) -> Result<(), ReconcileError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = openat(&path.data, local, flags, Mode::empty())?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let Ok(base_name) = entry.file_name().to_str() else { continue };
            let name = format!("M{:02X}/{local}/{base_name}", path.index);
            let owner = name.strip_suffix(SIDECAR).unwrap_or(&name);
            let Ok(owner) = owner.parse::<RemoteFilename>() else { continue };
            let (Ok(kind), Ok(fields)) = (owner.kind(), owner.fields()) else { continue };
            let ours = fields.source == self.source;
            let named = name == owner.as_str() && matches!(kind, FileKind::Normal | FileKind::Appender);
            if ours && named && i64::from(fields.created) < self.since {
                continue;
            }
            let stat = statat(&directory, base_name, AtFlags::SYMLINK_NOFOLLOW)?;
            let content = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => content_at(self.paths, path, &format!("{local}/{base_name}"))?,
                _ => None,
            };
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            if (is_file || content.is_some()) && stat.st_ctime >= self.since {
                let origin = if ours { Origin::Source } else { Origin::Replica };
                let modified = Timestamp(stat.st_mtime);
                self.found.insert(name, Found { modified, origin, content, recorded: false });
            }
            if self.found.len() >= AT_ONCE {
                self.record(path)?;
            }
        }
        Ok(())
    }

    /// Looks for the records of what was found on `path`, and writes those that are missing.
    fn record(&mut self, path: &StorePath) -> Result<(), ReconcileError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut reader = self.binlog.reader(self.binlog.recent());
        while let Some(entry) = reader.next_entry()? {
            let Ok(Record { change, .. }) = entry.record else { continue };
            if let Some(found) = self.found.get_mut(change.name()) {
                found.recorded = !matches!(change, Change::Delete { .. });
            }
        }
        let (mut lines, mut links) = (String::new(), String::new());
        for (name, found) in self.found.drain().filter(|(_, found)| !found.recorded) {
            if let Some(content) = found.content {
                let change = Change::Link { name: name.into(), source: Some(content.as_str().into()) };
                let record = Record { timestamp: found.modified.0, origin: found.origin, change };
                links.push_str(&format!("{record}\n"));
                self.done.recorded += 1;
                continue;
            }
            if found.origin == Origin::Source && !is_what_it_says(path, &name)? {
                warn!(file_id = name, "a file without a record is not what its name says, and left alone");
                self.done.broken += 1;
                continue;
            }
            let change = Change::Create { name: name.into() };
            let record = Record { timestamp: found.modified.0, origin: found.origin, change };
            lines.push_str(&format!("{record}\n"));
            self.done.recorded += 1;
        }
        // Peers get a content before what leads to it.
        lines.push_str(&links);
        if !lines.is_empty() {
            self.binlog.append(&lines, true)?;
        }
        Ok(())
    }
}

/// Whether the content of a file fits its name, where the name tells size and CRC32.
fn is_what_it_says(path: &StorePath, name: &str) -> Result<bool, ReconcileError> {
    let Ok(name) = name.parse::<RemoteFilename>() else { return Ok(true) };
    let (Ok(FileKind::Normal), Ok(fields)) = (name.kind(), name.fields()) else { return Ok(true) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(&path.data, name.local_path(), flags, Mode::empty())?);
    Ok(fields.size.size() == Some(file.metadata()?.len()) && crc32_of(&mut file)? == fields.crc32)
}

/// How long before the last write of the binlog a file without a record may have been made, in seconds.
/// The original writes its records every `sync_binlog_buff_interval`, 60 by default.
const MARGIN: i64 = 300;
/// Files looked up in the binlog at once.
const AT_ONCE: usize = 100_000;
