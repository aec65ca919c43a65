//! Repairs: each looks again in its own transaction, and changes only what is still wrong.

use super::faults::{self, Fault};
use super::uploads;
use crate::attributes::{DirectoryState, Kind};
use crate::changes::ChangeKind;
use crate::engine::Read as _;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, DeltaRow, FreedRow, InodeRow, ReverseRow};
use crate::transaction::Transaction;
use crate::tree;

/// Repairs a fault, if it is still there.
pub(super) fn repair(tx: &mut Transaction<'_, '_>, fault: &Fault) -> Result<(), NamespaceError> {
    if !is_still_so(tx, fault)? {
        return Ok(());
    }
    match fault {
        Fault::Dangling { parent, name, inode } => {
            tx.delete(&keys::entry(*parent, name));
            tx.change(ChangeKind::Removed, *inode, 0, *parent, name);
        }
        Fault::Differs { parent, name } => {
            let Some(entry) = tree::entry(tx, *parent, name)? else { return Ok(()) };
            let row = tree::inode(tx, entry.inode)?;
            tx.put(keys::entry(*parent, name), &faults::expected_entry(entry.inode, &row));
            tx.change(ChangeKind::Attributes, entry.inode, row.version, *parent, name);
        }
        Fault::Unknown { parent, name, inode } => {
            let mut row = tree::inode(tx, *inode)?;
            if row.links > 0 && faults::is_named(tx, *inode, row.parent, &row.name)? {
                tx.put(keys::link(*inode, *parent, name), &());
            } else {
                (row.parent, row.name) = (*parent, name.clone());
            }
            recount(tx, *inode, row)?;
        }
        Fault::Unreachable { directory, child } => {
            let bucket = tree::inode(tx, *child)?.bucket;
            let row = InodeRow {
                state: DirectoryState::Explicit.number(),
                links: 1,
                ..tree::new_row(tx, bucket, Kind::Directory)
            };
            rescue(tx, *directory, row)?;
        }
        Fault::Nameless { inode } => {
            let mut row = tree::inode(tx, *inode)?;
            let others = faults::links(tx, *inode)?;
            let is_free = row.links > 0
                && tx.get(&keys::entry(row.parent, &row.name))?.is_none_or(|value| {
                    rows::check_sum(&keys::entry(row.parent, &row.name), &value).is_err()
                });
            if is_free && tree::directory(tx, row.parent).is_ok() {
                recount(tx, *inode, row)?;
            } else if let Some(link) = others.first() {
                (row.parent, row.name) =
                    (keys::number_at(link, 9), link.get(17..).unwrap_or_default().to_vec());
                tx.delete(link);
                recount(tx, *inode, row)?;
            } else {
                row.links = 1;
                rescue(tx, *inode, row)?;
            }
        }
        Fault::Links { inode, .. } => {
            let row = tree::inode(tx, *inode)?;
            recount(tx, *inode, row)?;
        }
        Fault::DeadLink { inode, parent, name } => tx.delete(&keys::link(*inode, *parent, name)),
        Fault::Stray { key } => tx.delete(key),
        Fault::Counts { directory, entries, directories } => {
            // One that cannot be read counts nothing; what it counted is counted anew.
            for slot in 0..SLOTS {
                let key = keys::delta(*directory, slot);
                if matches!(rows::load::<DeltaRow>(tx, &key), Err(NamespaceError::Corrupt { .. })) {
                    tx.delete(&key);
                }
            }
            let key = keys::delta(*directory, tx.shared.slot);
            let mut delta: DeltaRow = rows::load(tx, &key)?.unwrap_or_default();
            delta.entries += entries;
            delta.directories += directories;
            delta.version += 1;
            tx.put(key, &delta);
        }
        Fault::Uses { inode, file, uses, foreign } => {
            tx.put(keys::reverse(file, *inode), &ReverseRow { uses: *uses, foreign: *foreign });
        }
        Fault::Unused { inode, file } => {
            let key = keys::reverse(file, *inode);
            let foreign = rows::load::<ReverseRow>(tx, &key)?.is_some_and(|row| row.foreign);
            tx.delete(&key);
            let prefix = keys::reverses(file);
            if !foreign && rows::scan(tx, &prefix, &prefix, 1)?.is_empty() {
                tx.put(keys::freed(tx.now_ms(), file), &FreedRow::default());
            }
        }
        Fault::NoBucket { key } => uploads::remove_upload(tx, key)?,
        Fault::NoUpload { upload_id } => uploads::remove_parts(tx, upload_id)?,
        Fault::Waiting { .. } => uploads::recount(tx, fault)?,
        Fault::Part { key } => uploads::forget(tx, key)?,
        // Only what may go comes here.
        Fault::Damaged { key } => tx.delete(key),
        Fault::LostUser { .. } | Fault::Content { .. } | Fault::Bucket { .. } => {}
    }
    Ok(())
}

fn is_still_so(tx: &Transaction<'_, '_>, fault: &Fault) -> Result<bool, NamespaceError> {
    let key = match fault {
        Fault::Dangling { parent, name, .. }
        | Fault::Differs { parent, name }
        | Fault::Unknown { parent, name, .. } => keys::entry(*parent, name),
        Fault::Unreachable { directory, .. } => return Ok(tx.get(&keys::inode(*directory))?.is_none()),
        Fault::Nameless { inode } | Fault::Links { inode, .. } | Fault::Uses { inode, .. } => {
            keys::inode(*inode)
        }
        Fault::DeadLink { inode, parent, name } => keys::link(*inode, *parent, name),
        Fault::Stray { key } => key.clone(),
        Fault::Counts { directory, .. } => {
            let key = keys::inode(*directory);
            let Some(value) = tx.get(&key)? else { return Ok(false) };
            return Ok(faults::counts(tx, &key, &value)?.as_ref() == Some(fault));
        }
        Fault::Unused { inode, file } => keys::reverse(file, *inode),
        Fault::NoBucket { key } | Fault::Part { key } | Fault::Damaged { key } => key.clone(),
        // No upload of this number is ever made again.
        Fault::NoUpload { .. } => return Ok(true),
        Fault::Waiting { file, .. } => return Ok(uploads::waiting_fault(tx, file)?.as_ref() == Some(fault)),
        Fault::LostUser { .. } | Fault::Content { .. } | Fault::Bucket { .. } => {
            return Ok(false);
        }
    };
    let Some(value) = tx.get(&key)? else { return Ok(false) };
    Ok(faults::row(tx, &key, &value)?.contains(fault))
}

/// Saves an inode with as many names as it has, and its entries.
fn recount(tx: &mut Transaction<'_, '_>, number: u64, mut row: InodeRow) -> Result<(), NamespaceError> {
    let others = faults::links(tx, number)?;
    row.links = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
    tree::save(tx, number, &mut row);
    if row.links > 1 || row.parent == number {
        let bare = faults::expected_entry(number, &row);
        let first = keys::entry(row.parent, &row.name);
        let names =
            others.iter().map(|key| keys::entry(keys::number_at(key, 9), key.get(17..).unwrap_or_default()));
        for key in names.chain((row.parent != number).then_some(first)) {
            tx.put(key, &bare);
        }
    }
    tx.change(ChangeKind::Created, number, row.version, row.parent, &row.name);
    Ok(())
}

/// Gives an inode a name of its own in the topmost directory of its bucket.
fn rescue(tx: &mut Transaction<'_, '_>, number: u64, mut row: InodeRow) -> Result<(), NamespaceError> {
    let slash = if tree::is_directory(&row) { "/" } else { "" };
    (row.parent, row.name) = (row.bucket, format!("lost+found-{number}{slash}").into_bytes());
    row.history = false;
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Created, number, row.version, row.parent, &row.name);
    Ok(())
}

/// Slots of directory deltas; FORMAT.md.
const SLOTS: u32 = 16;
