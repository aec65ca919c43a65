//! Multipart uploads: parts that belong to none, uploads of no bucket, files that count waiting parts wrongly.
//!
//! Uploads come and go while this looks, and it looks at many pages. So what seems wrong is looked at again, in one snapshot, before it counts. No upload
//! number is given out twice, and a part is only ever written while its upload is there: parts that were there before all uploads were looked at, whose upload
//! was not among those, and which are there afterwards, belong to nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use super::faults::{self, Fault};
use crate::engine::{PAGE, Read, Row, prefix_end};
use crate::error::NamespaceError;
use crate::rows::{self, ExtentRow, FreedRow, InodeRow, PartRow, ReverseRow};
use crate::transaction::Transaction;
use crate::uploads::{self, UploadId, WAITING};
use crate::{keys, tree};

impl Checker {
    /// Parts that belong to no upload.
    pub(super) async fn parts_without_upload(&self) -> Result<Vec<Fault>, NamespaceError> {
        let (mut from, mut strays) = (Some(vec![keys::PART]), Vec::new());
        while let Some(start) = from {
            let (mut seen, next) = self.gather(start, upload_of_part).await?;
            from = next;
            let mut at = Some(vec![keys::UPLOAD]);
            while let Some(start) = at.filter(|_| !seen.is_empty()) {
                let (rows, next) = self.page(start, keys::UPLOAD).await?;
                for id in rows.iter().filter_map(|(key, _)| key.last_chunk::<16>()) {
                    seen.remove(id);
                }
                at = next;
            }
            strays.extend(seen);
        }
        let still = |read: &dyn Read, id: &[u8; 16]| {
            let prefix = keys::parts(id);
            Ok::<_, NamespaceError>(!rows::scan(read, &prefix, &prefix, 1)?.is_empty())
        };
        self.names
            .read(move |read| {
                let mut faults = Vec::new();
                for id in &strays {
                    if still(read, id)? {
                        faults.push(Fault::NoUpload { upload_id: *id });
                    }
                }
                Ok(faults)
            })
            .await
    }

    /// Files that say that more or fewer waiting parts use them than do.
    pub(super) async fn waiting_uses(&self) -> Result<Vec<Fault>, NamespaceError> {
        let (mut from, mut faults) = (Some(vec![keys::REVERSE]), Vec::new());
        while let Some(start) = from {
            let (said, next) = self.gather(start, file_of_waiting).await?;
            from = next;
            let mut left: BTreeMap<String, u32> = said.into_iter().collect();
            let mut at = Some(vec![keys::PART]);
            while let Some(start) = at.filter(|_| !left.is_empty()) {
                let (rows, next) = self.page(start, keys::PART).await?;
                for extent in rows.iter().filter_map(part_of_row).flat_map(|part| part.extents) {
                    if let Some(uses) = left.get_mut(&extent.file) {
                        *uses = uses.wrapping_sub(1);
                    }
                }
                at = next;
            }
            for (file, _) in left.into_iter().filter(|(_, uses)| *uses != 0) {
                faults.extend(self.names.read(move |read| waiting_fault(read, &file)).await?);
            }
        }
        Ok(faults)
    }

    /// The waiting parts that use a file, each by bucket, key, upload and number.
    pub async fn parts_of(&self, file: &fdfs_types::FileId) -> Result<Vec<String>, NamespaceError> {
        let file = file.to_string();
        self.names
            .read(move |read| {
                let users = parts_that_use(read, &file)?;
                users
                    .into_iter()
                    .map(|(id, number)| Ok(format!("{}, part {number}", place(read, &id)?)))
                    .collect()
            })
            .await
    }

    /// Forgets the waiting parts that use a file which is lost, so that their uploads ask for them again; how many.
    pub async fn forget_parts_of(&self, file: &fdfs_types::FileId) -> Result<usize, NamespaceError> {
        let file = file.to_string();
        self.names
            .write(move |tx| {
                let parts = parts_that_use(tx, &file)?;
                for (id, number) in &parts {
                    forget(tx, &keys::part(id, *number))?;
                }
                Ok(parts.len())
            })
            .await
    }

    /// What `take` finds in rows from `start` on, of as many rows as are kept in memory; where to go on.
    async fn gather<T: Ord>(
        &self,
        start: Vec<u8>,
        take: impl Fn(&Row) -> Option<T>,
    ) -> Result<(BTreeSet<T>, Option<Vec<u8>>), NamespaceError> {
        let family = start.first().copied().unwrap_or_default();
        let (mut found, mut from) = (BTreeSet::new(), Some(start));
        while let Some(at) = from.take() {
            let (rows, next) = self.page(at, family).await?;
            found.extend(rows.iter().filter_map(&take));
            from = next;
            if found.len() >= AT_ONCE {
                break;
            }
        }
        Ok((found, from))
    }

    async fn page(&self, from: Vec<u8>, family: u8) -> Result<(Vec<Row>, Option<Vec<u8>>), NamespaceError> {
        let rows = self.names.read(move |read| Ok(read.range(&from, &prefix_end(&[family]), PAGE)?)).await?;
        let next = rows.last().filter(|_| rows.len() == PAGE).map(|(key, _)| [key.as_slice(), &[0]].concat());
        Ok((rows, next))
    }
}

/// An upload against its bucket.
pub(super) fn upload(read: &dyn Read, key: &[u8]) -> Result<Option<Fault>, NamespaceError> {
    let root = faults::known(rows::load::<InodeRow>(read, &keys::inode(keys::number_at(key, 1))))?;
    let is_there = root.is_none_or(|root| root.is_some_and(|root| tree::is_directory(&root)));
    Ok((!is_there).then(|| Fault::NoBucket { key: key.to_vec() }))
}

/// A part against itself and its files.
pub(super) fn part(read: &dyn Read, key: &[u8], row: &PartRow) -> Result<Vec<Fault>, NamespaceError> {
    let mut faults = Vec::new();
    // Ranges of objects may have holes.
    let in_order = row.extents.is_sorted_by(|one, next| one.offset.saturating_add(one.length) <= next.offset);
    let end = row.extents.last().map_or(0, |extent| extent.offset.saturating_add(extent.length));
    if !in_order || end > row.size {
        faults.push(Fault::Part { key: key.to_vec() });
    }
    for file in row.extents.iter().map(|extent| extent.file.as_str()).collect::<BTreeSet<_>>() {
        if faults::known(rows::load::<ReverseRow>(read, &keys::reverse(file, WAITING)))?.flatten().is_none() {
            faults.extend(waiting_fault(read, file)?);
        }
    }
    Ok(faults)
}

/// How a file counts its waiting parts, where that is wrong: all parts are looked at, in one snapshot.
pub(super) fn waiting_fault(read: &dyn Read, file: &str) -> Result<Option<Fault>, NamespaceError> {
    let (mut uses, mut foreign, mut is_certain) = (0, false, true);
    for_each_part(read, |_, part| {
        is_certain &= part.is_some();
        for extent in part.iter().flat_map(|part| &part.extents).filter(|extent| extent.file == file) {
            (uses, foreign) = (uses + 1, foreign | extent.foreign);
        }
    })?;
    let said = match faults::known(rows::load::<ReverseRow>(read, &keys::reverse(file, WAITING)))? {
        Some(row) => row.map_or(0, |row| row.uses),
        // It cannot be read.
        None => u32::MAX,
    };
    // A part that cannot be read may be the one that is missed.
    let is_wrong = said < uses || said == u32::MAX || (said > uses && is_certain);
    Ok(is_wrong.then(|| Fault::Waiting { file: file.to_owned(), said, uses, foreign }))
}

/// Bucket and key of an upload, as far as they can be told, and its number.
pub(super) fn place(read: &dyn Read, id: &[u8; 16]) -> Result<String, NamespaceError> {
    let mut from = vec![keys::UPLOAD];
    let mut name = "a part".to_owned();
    loop {
        let rows = read.range(&from, &prefix_end(&[keys::UPLOAD]), PAGE)?;
        if let Some((key, _)) = rows.iter().find(|(key, _)| key.ends_with(id)) {
            name = place_of_upload(read, key);
        }
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(format!("{name}, upload {}", UploadId(*id))),
        }
    }
}

/// Bucket and key of the upload of a row.
pub(super) fn place_of_upload(read: &dyn Read, key: &[u8]) -> String {
    let name = key.get(9..key.len().saturating_sub(17)).unwrap_or_default();
    format!("{}{}", faults::place(read, keys::number_at(key, 1)), String::from_utf8_lossy(name))
}

/// Removes an upload whose bucket is gone, with its parts.
pub(super) fn remove_upload(tx: &mut Transaction<'_, '_>, key: &[u8]) -> Result<(), NamespaceError> {
    tx.delete(key);
    match key.last_chunk::<16>() {
        Some(id) => remove_parts(tx, id),
        None => Ok(()),
    }
}

/// Removes all parts of an upload and lets their files go.
pub(super) fn remove_parts(tx: &mut Transaction<'_, '_>, id: &[u8; 16]) -> Result<(), NamespaceError> {
    let prefix = keys::parts(id);
    loop {
        let page = rows::scan(tx, &prefix, &prefix, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        page.iter().try_for_each(|(key, _)| forget(tx, key))?;
    }
}

/// Counts the waiting parts of a file anew. One that none uses, nor any name, is put on the free list: a row of ours named it.
pub(super) fn recount(tx: &mut Transaction<'_, '_>, fault: &Fault) -> Result<(), NamespaceError> {
    let Fault::Waiting { file, uses, foreign, .. } = fault else { return Ok(()) };
    let key = keys::reverse(file, WAITING);
    if *uses > 0 {
        tx.put(key, &ReverseRow { uses: *uses, foreign: *foreign });
        return Ok(());
    }
    let was_foreign =
        faults::known(rows::load::<ReverseRow>(tx, &key))?.flatten().is_none_or(|row| row.foreign);
    tx.delete(&key);
    let prefix = keys::reverses(file);
    if !was_foreign && rows::scan(tx, &prefix, &prefix, 1)?.is_empty() {
        tx.put(keys::freed(tx.now_ms(), file), &FreedRow::default());
    }
    Ok(())
}

/// Removes the row of a part. What it names is let go of, where that can be read; else its file is found as one that no part uses.
pub(super) fn forget(tx: &mut Transaction<'_, '_>, key: &[u8]) -> Result<(), NamespaceError> {
    if let Some(part) = faults::known(rows::load::<PartRow>(tx, key))?.flatten() {
        uploads::let_part_go(tx, &part)?;
    }
    tx.delete(key);
    Ok(())
}

fn parts_that_use(read: &dyn Read, file: &str) -> Result<Vec<([u8; 16], u16)>, NamespaceError> {
    let mut users = Vec::new();
    for_each_part(read, |key, part| {
        let uses = |extent: &ExtentRow| extent.file == file;
        if part.is_some_and(|part| part.extents.iter().any(uses))
            && let (Some(id), Some(number)) = (key.get(1..17), key.last_chunk::<2>())
            && let Ok(id) = id.try_into()
        {
            users.push((id, u16::from_be_bytes(*number)));
        }
    })?;
    Ok(users)
}

/// Calls `on` for each row of a part: none where it cannot be read.
fn for_each_part(read: &dyn Read, mut on: impl FnMut(&[u8], Option<PartRow>)) -> Result<(), NamespaceError> {
    let mut from = vec![keys::PART];
    loop {
        let page = read.range(&from, &prefix_end(&[keys::PART]), PAGE)?;
        page.iter().for_each(|row| on(&row.0, part_of_row(row)));
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(()),
        }
    }
}

fn part_of_row((key, value): &Row) -> Option<PartRow> {
    rows::unseal(key, value).ok()
}

fn upload_of_part((key, _): &Row) -> Option<[u8; 16]> {
    key.get(1..17)?.try_into().ok()
}

fn file_of_waiting((key, value): &Row) -> Option<(String, u32)> {
    let (file, inode) = faults::reverse(key)?;
    let said = rows::unseal::<ReverseRow>(key, value).map_or(u32::MAX, |row| row.uses);
    (inode == WAITING).then(|| (file.to_owned(), said))
}

/// Uploads or files that are kept in memory together.
const AT_ONCE: usize = 65_536;
