//! What a start does about an earlier run that did not end well.
//!
//! Temporary files are swept. Then every change of the journal whose record is not in the binlog is
//! dealt with, so that file and binlog agree again; none of them was ever answered:
//!
//! | change | what is done |
//! |---|---|
//! | new file, metadata set, rename | it is there: recorded now; else it never happened |
//! | delete | the file is gone: recorded now, with its metadata; else it never happened |
//! | append | it is there as a whole: recorded now; else cut back to the old size, which is recorded |
//! | modify | the range is recorded, so that peers get what is here |
//! | truncate | the file has the new size: recorded now; else it never happened |

use std::{collections::HashMap, io, path::PathBuf};

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, ftruncate, openat, statat, unlinkat},
    io::Errno,
};
use tracing::{info, warn};

use crate::{
    Binlog, Change, OpenError, Origin, Record,
    journal::Unfinished,
    layout::StorePath,
    store::{SIDECAR, is_there, move_sidecar, now, sidecar_field, sidecar_records},
    trunk::{Block, clear, header_at, is_sound},
};

/// What was found and done when a store was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OpenReport {
    /// There was no storage here before.
    pub new_storage: bool,
    /// Store paths whose directories were missing.
    pub created_paths: Vec<u8>,
    /// Store paths that have to be filled from other members.
    pub wiped_paths: Vec<u8>,
    /// Temporary files removed.
    pub swept: u64,
    /// Changes recorded that had been made but not recorded.
    pub recorded: u64,
    /// Changes undone that had been made in part.
    pub undone: u64,
    /// Files recorded that another program or a power failure had left without a record.
    pub reconciled: u64,
    /// Files without a record left alone, as they are not what their names say.
    pub broken: u64,
    /// The index of contents was made anew from the disk.
    pub contents_rebuilt: bool,
}

/// Brings files and binlog together again.
pub(crate) fn run(
    paths: &[StorePath],
    binlog: &Binlog,
    unfinished: &[Unfinished],
) -> Result<OpenReport, OpenError> {
    let mut report = OpenReport::default();
    for path in paths {
        report.swept += sweep(path).map_err(OpenError::doing("sweeping", &path.data_path))?;
    }
    let left = without_record(binlog, unfinished)
        .map_err(OpenError::doing("reading the binlog for", "the journal"))?;
    let mut lines = String::new();
    for change in left {
        settle(paths, change, &mut lines, &mut report)?;
    }
    if !lines.is_empty() {
        binlog.append(&lines, true).map_err(|error| OpenError::Io {
            action: "recording changes in",
            path: PathBuf::from("the binlog"),
            source: io::Error::other(error),
        })?;
    }
    if report.swept + report.recorded + report.undone > 0 {
        info!(report.swept, report.recorded, report.undone, "leftovers of an earlier run dealt with");
    }
    Ok(report)
}

/// Removes temporary files: ours, and those of replication in the original.
fn sweep(path: &StorePath) -> Result<u64, Errno> {
    let mut swept = 0;
    for entry in Dir::read_from(&path.temporary)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            unlinkat(&path.temporary, entry.file_name(), AtFlags::empty())?;
            swept += 1;
        }
    }
    for entry in Dir::read_from(&path.data)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.starts_with(b".cp") && name.ends_with(b".tmp") {
            unlinkat(&path.data, entry.file_name(), AtFlags::empty())?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// The changes whose record is not in the binlog behind the place where they began.
fn without_record<'a>(binlog: &Binlog, unfinished: &'a [Unfinished]) -> io::Result<Vec<&'a Record>> {
    let end = binlog.end();
    let mut by_name: HashMap<&str, Vec<&Unfinished>> = HashMap::new();
    for found in unfinished {
        if found.position > end {
            warn!(record = %found.record, "the binlog has lost its end, a change under way is left as it is");
        } else {
            by_name.entry(found.record.change.name()).or_default().push(found);
        }
    }
    if let Some(first) = by_name.values().flatten().map(|found| found.position).min() {
        let mut reader = binlog.reader(first);
        while let Some(entry) = reader.next_entry()? {
            let Ok(record) = entry.record else { continue };
            if let Some(waiting) = by_name.get_mut(record.change.name()) {
                waiting.retain(|found| found.position > entry.start || found.record.change != record.change);
            }
        }
        if reader.position() < end {
            warn!(?first, "the binlog cannot be read up to its end, changes under way are left as they are");
            return Ok(Vec::new());
        }
    }
    let mut left: Vec<&Unfinished> = by_name.into_values().flatten().collect();
    // A content before the link that was made with it: an original peer drops a link that comes first.
    left.sort_by_key(|found| (found.position, matches!(found.record.change, Change::Link { .. })));
    Ok(left.into_iter().map(|found| &found.record).collect())
}

/// The names that are gone by changes that had not been finished, and when.
pub(crate) fn deletions<'a>(paths: &[StorePath], unfinished: &'a [Unfinished]) -> Vec<(&'a str, Timestamp)> {
    let gone = unfinished.iter().filter_map(|found| match &found.record.change {
        Change::Delete { name } | Change::Rename { old_name: name, .. } => {
            let (path, local) = locate(paths, name)?;
            let is_gone = !is_there(path, local);
            is_gone.then_some((&**name, Timestamp(found.record.timestamp)))
        }
        _ => None,
    });
    gone.collect()
}

fn settle(
    paths: &[StorePath],
    found: &Record,
    lines: &mut String,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let Record { origin, change, .. } = found;
    let Some((path, local)) = locate(paths, change.name()) else {
        warn!(file_id = change.name(), "a change under way has a name that is not one of ours");
        return Ok(());
    };
    let doing = |action| OpenError::doing(action, path.data_path.join(local));
    if let Ok(name) = change.name().parse()
        && Block::of_name(&name).is_some()
        && settle_slot(path, &name, found, lines, report).map_err(doing("looking up"))?
    {
        return Ok(());
    }
    let present = look_up(path, local).map_err(doing("looking up"))?;
    // What a peer sent keeps the time it told.
    let of_same_origin = |time: Timestamp, change: Change| match origin {
        Origin::Source => Record::source(time.0, change),
        Origin::Replica => Record { change, ..found.clone() },
    };
    let mut record = |time: Timestamp, change: Change| {
        lines.push_str(&format!("{}\n", of_same_origin(time, change)));
        report.recorded += 1;
    };
    match (change, present) {
        (Change::Create { .. } | Change::Update { .. }, Some(stat)) => {
            record(modified(&stat), change.clone());
        }
        (Change::Link { .. }, Some(_)) => record(now(), change.clone()),
        (Change::Truncate { new_size, .. }, Some(stat)) if stat.st_size.unsigned_abs() == *new_size => {
            record(modified(&stat), change.clone());
        }
        (Change::Modify { name, offset, length }, Some(stat)) => {
            let length = stat.st_size.unsigned_abs().saturating_sub(*offset).min(*length);
            if length > 0 {
                record(modified(&stat), Change::Modify { name: name.clone(), offset: *offset, length });
            }
        }
        (Change::Append { offset, length, .. }, Some(stat))
            if stat.st_size.unsigned_abs() >= offset.saturating_add(*length) =>
        {
            record(modified(&stat), change.clone());
        }
        (Change::Append { name, offset, .. }, Some(stat)) if stat.st_size.unsigned_abs() > *offset => {
            cut(path, local, *offset).map_err(doing("cutting back"))?;
            report.undone += 1;
            // The whole file may have been sent to a peer just then, with what is cut off now.
            if *origin == Origin::Source {
                let (old_size, new_size) = (stat.st_size.unsigned_abs(), *offset);
                record(now(), Change::Truncate { name: name.clone(), old_size, new_size });
            }
        }
        (Change::Rename { name, old_name }, Some(_)) => {
            record(now(), change.clone());
            // Metadata that were here under the old name are told under the new one by this storage, too, whoever has
            // renamed the file: nobody else may have them. One record too many does no harm.
            if let (Ok(old), Ok(new)) = (old_name.parse(), name.parse()) {
                move_sidecar(path, &old, &new, Timestamp(found.timestamp));
                let sidecar = look_up(path, &format!("{local}{SIDECAR}")).map_err(doing("looking up"))?;
                if let Some(sidecar) = sidecar {
                    for record in sidecar_records(&old, &new, modified(&sidecar)) {
                        lines.push_str(&format!("{record}\n"));
                    }
                }
            }
        }
        (Change::Delete { name }, None) => {
            // Not before the file that is gone, whose clock may have gone ahead of ours.
            record(now().max(Timestamp(found.timestamp)), change.clone());
            if !local.ends_with(SIDECAR) {
                match unlinkat(&path.data, format!("{local}{SIDECAR}"), AtFlags::empty()) {
                    // It may have been deleted just before the end; one record too many does no harm.
                    Ok(()) | Err(Errno::NOENT) => {
                        let change = Change::Delete { name: sidecar_field(name) };
                        lines.push_str(&format!("{}\n", of_same_origin(now(), change)));
                    }
                    Err(error) => return Err(doing("deleting the metadata of")(error)),
                }
            }
        }
        // It never happened.
        _ => {}
    }
    Ok(())
}

/// Deals with a change of a file that lies in a slot, or did; whether that is all there is to be done.
fn settle_slot(
    path: &StorePath,
    name: &RemoteFilename,
    found: &Record,
    lines: &mut String,
    report: &mut OpenReport,
) -> Result<bool, Errno> {
    let of_disk = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    match (&found.change, path.slot_of(name)?) {
        (Change::Create { .. } | Change::Link { .. }, Some(slot)) => {
            if is_sound(&slot.file, slot.block.offset.into(), &slot.header).map_err(of_disk)? {
                lines.push_str(&format!("{found}\n"));
                report.recorded += 1;
            } else {
                // Its writing was cut off.
                clear(&slot.file, slot.block.offset.into(), slot.block.size.into()).map_err(of_disk)?;
                report.undone += 1;
            }
            Ok(true)
        }
        (Change::Delete { .. }, None) => {
            // The slot is not free before the delete is recorded: what may be left in it is of this file.
            let Some(block) = Block::of_name(name) else { return Ok(false) };
            if let Ok(file) = path.trunk.open(path, block.file)
                && header_at(&file, block.offset.into()).map_err(of_disk)?.is_none()
                && !is_there(path, name.local_path())
            {
                clear(&file, block.offset.into(), block.size.into()).map_err(of_disk)?;
            }
            Ok(false)
        }
        (_, Some(_)) => Ok(true),
        (_, None) => Ok(false),
    }
}

/// The store path and the local path of a name, also of a sidecar's.
fn locate<'a, 'n>(paths: &'a [StorePath], name: &'n str) -> Option<(&'a StorePath, &'n str)> {
    let owner: RemoteFilename = name.strip_suffix(SIDECAR).unwrap_or(name).parse().ok()?;
    let path = paths.get(usize::from(owner.store_path()))?;
    let prefix = owner.as_str().len() - owner.local_path().len();
    Some((path, &name[prefix..]))
}

fn look_up(path: &StorePath, local: &str) -> Result<Option<Stat>, Errno> {
    match statat(&path.data, local, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn cut(path: &StorePath, local: &str, size: u64) -> Result<(), Errno> {
    let file = openat(&path.data, local, OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile {
        ftruncate(&file, size)?;
    }
    Ok(())
}

fn modified(stat: &Stat) -> Timestamp {
    Timestamp(stat.st_mtime)
}
