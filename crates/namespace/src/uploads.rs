//! Multipart uploads: parts that become one content without moving a byte.

mod joining;
mod listing;
mod upload_id;

use std::ops::Range;

use crate::attributes::{
    Checksum, ContentHeaders, ETag, ExtendedAttributes, Extent, pairs_of_rows, pairs_to_rows,
};
use crate::content::{self, Uses};
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::names;
use crate::rows::{self, CompletedRow, ExtentRow, JoinRow, PartRow, PartTableRow, UploadRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::keyed::{self, NewFile};
use crate::tree::preconditions::Preconditions;
use crate::tree::shared::ContentSource;

pub use joining::WaitingJoin;
pub(crate) use joining::{is_one_file, join_failed, joined, needs_rewrite, waiting_joins};
pub(crate) use listing::page;
pub use listing::{UploadItem, UploadMarker, UploadPage, UploadQuery};
pub use upload_id::{ParseUploadIdError, UploadId};

/// What was said when an upload began, and holds for the object it becomes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewUpload {
    /// Who began it.
    pub owner: String,
    /// Headers of the content.
    pub headers: ContentHeaders,
    /// Extended attributes.
    pub extended: ExtendedAttributes,
    /// Object tags.
    pub tags: ExtendedAttributes,
    /// The checksum that each part brings; 0 for none that was asked for.
    pub checksum_algorithm: u32,
    /// What the object's checksum is to be: 0 nothing was said, 1 composed of the parts', 2 of the whole object.
    pub checksum_type: u32,
}

/// Where all parts of an upload go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartPlacement {
    /// The group.
    pub group: String,
    /// The storage, as the caller of the files knows it.
    pub storage: String,
    /// The store path.
    pub path: u8,
}

/// An upload that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The key that it will become.
    pub key: Vec<u8>,
    /// Its ID.
    pub upload_id: UploadId,
    /// When it began, milliseconds since 1970.
    pub initiated: u64,
    /// What was said when it began.
    pub new: NewUpload,
    /// Where the parts go, once there is one.
    pub placement: Option<PartPlacement>,
}

/// A part that has been uploaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// MD5 of the bytes.
    pub md5: [u8; 16],
    /// Where they are; offsets count from the part's beginning.
    pub extents: Vec<Extent>,
    /// Checksums.
    pub checksums: Vec<Checksum>,
    /// When it came, milliseconds since 1970.
    pub time: u64,
}

/// A part as Complete names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompletePart {
    /// The part.
    pub number: u16,
    /// Its MD5, if named.
    pub md5: Option<[u8; 16]>,
}

/// What Complete asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The parts, in the order named.
    pub parts: Vec<CompletePart>,
    /// The ETag that the object gets.
    pub etag: ETag,
    /// Its checksum, made of the parts'.
    pub checksum: Option<Checksum>,
    /// The smallest part that may be followed by another.
    pub min_part: u64,
    /// What must hold of the key.
    pub preconditions: Preconditions,
}

/// A part of an object that was uploaded in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectPart {
    /// The number it was uploaded under.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// Its checksum, where every part has one.
    pub checksum: Option<Checksum>,
}

/// What a complete upload became.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completed {
    /// The inode.
    pub inode: u64,
    /// The object's ETag.
    pub etag: ETag,
}

/// Begins an upload.
pub(crate) fn create(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    new: &NewUpload,
) -> Result<(), NamespaceError> {
    names::check_key(key)?;
    let row = UploadRow {
        initiated: tx.now_ms(),
        owner: new.owner.clone(),
        headers: keyed::headers_to_rows(&new.headers),
        attributes: pairs_to_rows(&new.extended),
        tags: pairs_to_rows(&new.tags),
        checksum_algorithm: new.checksum_algorithm,
        checksum_type: new.checksum_type,
        ..UploadRow::default()
    };
    tx.put(keys::upload(root, key, &upload_id.0), &row);
    Ok(())
}

/// An upload under way.
pub(crate) fn get(
    read: &dyn Read,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
) -> Result<Upload, NamespaceError> {
    Ok(Upload::of_row(key.to_vec(), upload_id, load(read, root, key, upload_id)?))
}

/// Uploads under way of keys that begin with `prefix`, from the row key `from` on, in order of keys.
pub(crate) fn list(
    read: &dyn Read,
    root: u64,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Vec<Upload>, NamespaceError> {
    let prefix = keys::uploads(root, prefix);
    let mut uploads = Vec::new();
    for (key, value) in rows::scan(read, &prefix, from, limit.min(PAGE))? {
        let row = rows::unseal(&key, &value)?;
        let corrupt = NamespaceError::Corrupt { family: 'u', what: "its key is too short" };
        let (name, upload_id) = key.get(9..).and_then(|rest| rest.split_last_chunk::<16>()).ok_or(corrupt)?;
        let name = name.strip_suffix(&[0]).unwrap_or(name);
        uploads.push(Upload::of_row(name.to_vec(), UploadId(*upload_id), row));
    }
    Ok(uploads)
}

/// Behind this upload.
pub(crate) fn after(root: u64, key: &[u8], upload_id: UploadId) -> Vec<u8> {
    [keys::upload(root, key, &upload_id.0).as_slice(), &[0]].concat()
}

/// Fixes where the parts go, if no part has done so yet; answers where they do.
pub(crate) fn place(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    placement: &PartPlacement,
) -> Result<PartPlacement, NamespaceError> {
    let mut row = load(tx, root, key, upload_id)?;
    if let Some(placement) = placement_of(&row) {
        return Ok(placement);
    }
    (row.group, row.storage, row.path) =
        (placement.group.clone(), placement.storage.clone(), Some(placement.path.into()));
    tx.put(keys::upload(root, key, &upload_id.0), &row);
    Ok(placement.clone())
}

/// Keeps a part; one that came before under its number goes.
pub(crate) fn put_part(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    part: &Part,
) -> Result<(), NamespaceError> {
    load(tx, root, key, upload_id)?;
    let part_key = keys::part(&upload_id.0, part.number);
    let old: Option<PartRow> = rows::load(tx, &part_key)?;
    let row = PartRow {
        extents: part.extents.iter().map(Extent::to_row).collect(),
        size: part.size,
        md5: part.md5.to_vec(),
        checksums: part.checksums.iter().map(Checksum::to_row).collect(),
        time: tx.now_ms(),
    };
    for extent in &row.extents {
        content::take(tx, &extent.file, WAITING, Uses::one(extent))?;
    }
    tx.put(part_key, &row);
    old.map_or(Ok(()), |old| let_part_go(tx, &old))
}

/// Keeps as a part a range of what is already there: no byte moves. `part.extents` and `size` are taken from the source. False, and nothing is
/// done, where the part would be of too many pieces.
pub(crate) fn share_part(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    part: &Part,
    source: &ContentSource,
    range: &Range<u64>,
) -> Result<bool, NamespaceError> {
    let content = source.content(tx)?;
    if range.end > content.size {
        return Err(NamespaceError::ContentChanged);
    }
    let size = range.end.saturating_sub(range.start);
    let part = Part { extents: content.slice(range.clone()), size, ..part.clone() };
    if part.extents.len() > MAX_PIECES {
        return Ok(false);
    }
    put_part(tx, root, key, upload_id, &part)?;
    Ok(true)
}

/// Parts of an upload after the number `after`.
pub(crate) fn parts(
    read: &dyn Read,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    after: u16,
    limit: usize,
) -> Result<Vec<Part>, NamespaceError> {
    load(read, root, key, upload_id)?;
    let from = keys::part(&upload_id.0, after.saturating_add(1));
    let found = rows::scan(read, &keys::parts(&upload_id.0), &from, limit.min(PAGE))?;
    found.iter().map(|(key, value)| Part::of_row(key, rows::unseal(key, value)?)).collect()
}

/// Makes the object of the named parts. A repeated Complete is answered as the first one was.
pub(crate) fn complete(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    completion: &Completion,
) -> Result<Completed, NamespaceError> {
    let Completion { parts: wanted, etag, min_part, .. } = completion;
    let (etag, min_part) = (*etag, *min_part);
    let upload = match load(tx, root, key, upload_id) {
        Ok(upload) => upload,
        Err(NamespaceError::NoSuchUpload) => {
            let row: CompletedRow =
                rows::load(tx, &keys::completed(&upload_id.0))?.ok_or(NamespaceError::NoSuchUpload)?;
            let etag = ETag::from_row(&row.etag, row.etag_parts).ok_or(NamespaceError::NoSuchUpload)?;
            return Ok(Completed { inode: row.inode, etag });
        }
        Err(error) => return Err(error),
    };
    if !wanted.is_sorted_by(|one, next| one.number < next.number) {
        return Err(NamespaceError::InvalidPartOrder);
    }
    let mut file = NewFile {
        etag: Some(etag),
        headers: keyed::headers_of_rows(&upload.headers),
        extended: pairs_of_rows(&upload.attributes),
        tags: pairs_of_rows(&upload.tags),
        checksums: completion.checksum.iter().cloned().collect(),
        ..NewFile::default()
    };
    let mut table = PartTableRow::default();
    let rows: Vec<Vec<u8>> = wanted.iter().map(|part| keys::part(&upload_id.0, part.number)).collect();
    tx.expect(&rows, &[])?;
    let mut too_small = None;
    for (index, wanted_part) in wanted.iter().enumerate() {
        let number = wanted_part.number;
        let row: PartRow =
            rows::load(tx, &keys::part(&upload_id.0, number))?.ok_or(NamespaceError::InvalidPart(number))?;
        if wanted_part.md5.is_some_and(|md5| md5.as_slice() != row.md5) {
            return Err(NamespaceError::InvalidPart(number));
        }
        if index + 1 < wanted.len() && row.size < min_part {
            too_small = too_small.or(Some(number));
        }
        for extent in &row.extents {
            let extent = Extent::of_row(extent)?;
            let offset = file.size.saturating_add(extent.offset);
            file.extents.push(Extent { offset, ..extent });
        }
        file.size = file.size.saturating_add(row.size);
        table.sizes.push(row.size);
        table.checksums.extend(row.checksums.into_iter().take(1));
    }

    // Parts that are not there are told first.
    if let Some(number) = too_small {
        return Err(NamespaceError::PartTooSmall(number));
    }
    // Without gaps, or nobody could say whose they are.
    if table.checksums.len() != table.sizes.len() {
        table.checksums.clear();
    }
    let numbers = wanted.iter().map(|part| u32::from(part.number));
    if !numbers.clone().eq(1..=u32::try_from(wanted.len()).unwrap_or(u32::MAX)) {
        table.numbers = numbers.collect();
    }
    let (inode, mut row) = keyed::put_row(tx, root, key, &file, &completion.preconditions)?;
    row.part_count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    tree::save(tx, inode, &mut row);
    tx.put(keys::part_table(inode), &table);
    if !is_one_file(&file.extents, file.size) {
        tx.put(keys::waiting_join(inode), &JoinRow { since: tx.now_ms(), ..JoinRow::default() });
    }
    remove(tx, root, key, upload_id, wanted)?;
    let completed =
        CompletedRow { inode, etag: etag.digest.to_vec(), etag_parts: etag.parts, time: tx.now_ms() };
    tx.put(keys::completed(&upload_id.0), &completed);
    Ok(Completed { inode, etag })
}

/// Ends an upload without an object; its parts are freed.
pub(crate) fn abort(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
) -> Result<(), NamespaceError> {
    load(tx, root, key, upload_id)?;
    remove(tx, root, key, upload_id, &[])
}

/// Removes what is kept of uploads completed before `before` (ms), of one page from `from` on; where the next page begins.
pub(crate) fn trim_completed(
    tx: &mut Transaction<'_, '_>,
    from: Option<&[u8]>,
    before: u64,
) -> Result<Option<Vec<u8>>, NamespaceError> {
    let page = rows::scan(tx, &[keys::COMPLETED], from.unwrap_or_default(), PAGE)?;
    for (key, value) in &page {
        if rows::unseal::<CompletedRow>(key, value)?.time < before {
            tx.delete(key);
        }
    }
    Ok((page.len() == PAGE).then(|| page.last().map(|(key, _)| [key.as_slice(), &[0]].concat())).flatten())
}

/// The parts that an object was made of.
pub(crate) fn object_parts(read: &dyn Read, inode: u64) -> Result<Vec<ObjectPart>, NamespaceError> {
    let row: PartTableRow = rows::load(read, &keys::part_table(inode))?.unwrap_or_default();
    let mut checksums = row.checksums.into_iter().map(Checksum::of_row);
    // Numbers are kept only where they are not those of the places.
    let number = |index: usize| {
        let kept = row.numbers.get(index).copied().and_then(|number| u16::try_from(number).ok());
        kept.or_else(|| u16::try_from(index + 1).ok()).unwrap_or_default()
    };
    let part = |(index, size)| ObjectPart { number: number(index), size, checksum: checksums.next() };
    Ok(row.sizes.into_iter().enumerate().map(part).collect())
}

fn load(read: &dyn Read, root: u64, key: &[u8], upload_id: UploadId) -> Result<UploadRow, NamespaceError> {
    rows::load(read, &keys::upload(root, key, &upload_id.0))?.ok_or(NamespaceError::NoSuchUpload)
}

/// Removes the upload and lets its parts go; those that an object has come to use (in ascending order) stay with it. There may be 10,000, so this is
/// the one write that reads several pages.
fn remove(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    upload_id: UploadId,
    used: &[CompletePart],
) -> Result<(), NamespaceError> {
    let prefix = keys::parts(&upload_id.0);
    loop {
        let page = tx.range(&prefix, &prefix_end(&prefix), PAGE)?;
        if page.is_empty() {
            break;
        }
        let parts: Vec<PartRow> =
            page.iter().map(|(key, value)| rows::unseal(key, value)).collect::<Result<_, _>>()?;
        let files = parts.iter().flat_map(|part| &part.extents).map(|extent| extent.file.as_str());
        content::expect_uses(tx, tx.shared.session, WAITING, std::iter::empty(), files)?;
        page.iter().for_each(|(key, _)| tx.delete(key));
        for (part, (key, _)) in parts.iter().zip(&page) {
            let number = key.last_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
            if used.binary_search_by_key(&number, |part| part.number).is_ok() {
                part.extents.iter().try_for_each(|extent| content::hand_over(tx, &extent.file, WAITING))?;
            } else {
                let_part_go(tx, part)?;
            }
        }
    }
    tx.delete(&keys::upload(root, key, &upload_id.0));
    Ok(())
}

/// Lets go of the files of a part.
pub(crate) fn let_part_go(tx: &mut Transaction<'_, '_>, part: &PartRow) -> Result<(), NamespaceError> {
    part.extents
        .iter()
        .try_for_each(|extent: &ExtentRow| content::let_go(tx, &extent.file, WAITING, Uses::one(extent)))
}

fn placement_of(row: &UploadRow) -> Option<PartPlacement> {
    let path = u8::try_from(row.path?).ok()?;
    Some(PartPlacement { group: row.group.clone(), storage: row.storage.clone(), path })
}

impl Upload {
    pub(crate) fn of_row(key: Vec<u8>, upload_id: UploadId, row: UploadRow) -> Self {
        Self {
            key,
            upload_id,
            initiated: row.initiated,
            placement: placement_of(&row),
            new: NewUpload {
                headers: keyed::headers_of_rows(&row.headers),
                extended: pairs_of_rows(&row.attributes),
                tags: pairs_of_rows(&row.tags),
                owner: row.owner,
                checksum_algorithm: row.checksum_algorithm,
                checksum_type: row.checksum_type,
            },
        }
    }
}

impl Part {
    pub(crate) fn of_row(key: &[u8], row: PartRow) -> Result<Self, NamespaceError> {
        let corrupt = |what| NamespaceError::Corrupt { family: 'q', what };
        let (_, number) = key.split_last_chunk::<2>().ok_or(corrupt("its key is too short"))?;
        Ok(Self {
            number: u16::from_be_bytes(*number),
            size: row.size,
            md5: row.md5.as_slice().try_into().map_err(|_| corrupt("its MD5"))?,
            extents: row.extents.iter().map(Extent::of_row).collect::<Result<_, _>>()?,
            checksums: row.checksums.into_iter().map(Checksum::of_row).collect(),
            time: row.time,
        })
    }
}

/// The inode number under which the files of waiting parts are counted.
pub(crate) const WAITING: u64 = 0;
/// The most extents that a part shares: 10,000 parts of more would be a content that nobody can hold.
const MAX_PIECES: usize = 256;
