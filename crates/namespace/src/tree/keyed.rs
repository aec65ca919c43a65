//! The tree as S3 sees it: whole keys.

use crate::attributes::{
    Attributes, Checksum, ContentHeader, ContentHeaders, DirectoryState, ETag, ExtendedAttributes, Extent,
    Kind, Mirrored, pairs_of_rows, pairs_to_rows,
};
use crate::changes::{Change, ChangeKind};
use crate::content;
use crate::engine::Read;
use crate::error::NamespaceError;
use crate::keys;
use crate::names;
use crate::rows::{ChecksumRow, HeaderRow, InodeRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::posix;
use crate::tree::preconditions::Preconditions;
use crate::tree::versions::{self, Deleted, VersionId, Versioning};

/// All that is known of a name: attributes, content, and what S3 keeps beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileRecord {
    /// The attributes.
    pub attributes: Attributes,
    /// Where the bytes are.
    pub extents: Vec<Extent>,
    /// Headers of the content.
    pub headers: ContentHeaders,
    /// Extended attributes, all of them.
    pub extended: ExtendedAttributes,
    /// Object tags.
    pub tags: ExtendedAttributes,
    /// Checksums.
    pub checksums: Vec<Checksum>,
    /// How much of the metadata is mirrored.
    pub mirrored: Mirrored,
    /// Parts of the upload that made it, 0 for none.
    pub part_count: u32,
    /// The target of a symbolic link.
    pub target: Vec<u8>,
}

/// A content that is to be put under a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewFile {
    /// Where the bytes are.
    pub extents: Vec<Extent>,
    /// How many.
    pub size: u64,
    /// Their ETag.
    pub etag: Option<ETag>,
    /// Headers of the content.
    pub headers: ContentHeaders,
    /// Extended attributes, mostly `user.` ones.
    pub extended: ExtendedAttributes,
    /// Object tags.
    pub tags: ExtendedAttributes,
    /// Checksums.
    pub checksums: Vec<Checksum>,
    /// How much of the metadata is mirrored.
    pub mirrored: Mirrored,
    /// Permission bits; else those of the replaced entry, else the defaults.
    pub mode: Option<u32>,
    /// Owner and group; else those of the replaced entry, else the defaults.
    pub owner: Option<(u32, u32)>,
    /// Modification time, nanoseconds since 1970; else now.
    pub mtime: Option<i64>,
}

/// The inode under `key`, if the key exists: implicit directories are no keys.
pub(crate) fn find(read: &dyn Read, root: u64, key: &[u8]) -> Result<Option<u64>, NamespaceError> {
    names::check_key(key)?;
    let (directories, last) = names::split_key(key);
    let Some(parent) = descend(read, root, &directories)? else { return Ok(None) };
    let entry = tree::entry(read, parent, last)?;
    let is_key = |state| state == DirectoryState::Explicit.number();
    Ok(entry.filter(|entry| is_key(entry.state)).map(|entry| entry.inode))
}

/// Everything about the file under `key`.
pub(crate) fn get(read: &dyn Read, root: u64, key: &[u8]) -> Result<FileRecord, NamespaceError> {
    let number = find(read, root, key)?.ok_or(NamespaceError::NotFound)?;
    record(read, number)
}

/// Everything about an inode.
pub(crate) fn record(read: &dyn Read, number: u64) -> Result<FileRecord, NamespaceError> {
    let row = tree::inode(read, number)?;
    Ok(FileRecord {
        attributes: tree::attributes(read, number, &row)?,
        extents: content::extents(read, number, &row)?,
        headers: headers_of_rows(&row.headers),
        extended: pairs_of_rows(&row.attributes),
        tags: pairs_of_rows(&row.tags),
        checksums: row.checksums.into_iter().map(Checksum::of_row).collect(),
        mirrored: Mirrored::from_number(row.mirrored),
        part_count: row.part_count,
        target: row.target,
    })
}

/// Puts a file under `key`, in place of what was there: a new inode; open handles and other links keep the old content. Keys that
/// end in a slash are directories, whose inode stays.
pub(crate) fn put(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    file: &NewFile,
    preconditions: &Preconditions,
) -> Result<Attributes, NamespaceError> {
    let (number, row) = put_row(tx, root, key, file, preconditions)?;
    Attributes::of_inode(number, &row)
}

pub(crate) fn put_row(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    file: &NewFile,
    preconditions: &Preconditions,
) -> Result<(u64, InodeRow), NamespaceError> {
    names::check_key(key)?;
    let (directories, last) = names::split_key(key);
    let old = match descend(tx, root, &directories)? {
        Some(parent) => tree::entry(tx, parent, last)?,
        None => None,
    };
    let old = match old {
        Some(entry) => Some((entry.inode, tree::inode(tx, entry.inode)?)),
        None => None,
    };
    let existing =
        old.as_ref().map(|(_, row)| row).filter(|row| row.state == DirectoryState::Explicit.number());
    preconditions.check_row(existing)?;

    let versioning = versions::state(tx, root)?;
    let parent = make_directories(tx, root, &directories)?;
    let is_directory = last.ends_with(b"/");
    if is_directory {
        let before = old.as_ref().filter(|(_, row)| row.state == DirectoryState::Explicit.number());
        let before = before.map(|(number, row)| (*number, row));
        let stamp = versions::supersede_copy(tx, versioning, parent, last, before)?;
        let number = match &old {
            Some((number, _)) => *number,
            None => {
                let row = tree::new_row(tx, root, Kind::Directory);
                tree::make_directory(tx, parent, last, row)?
            }
        };
        let mut row = tree::inode(tx, number)?;
        let was_ghost = row.state == DirectoryState::Ghost.number();
        row.state = DirectoryState::Explicit.number();
        fill(tx, number, &mut row, file)?;
        stamp.apply(&mut row);
        if was_ghost {
            versions::reappear(tx, number, &mut row)?;
        } else {
            tree::save(tx, number, &mut row);
        }
        tx.change(ChangeKind::Content, number, row.version, 0, b"");
        return Ok((number, row));
    }

    let mut row = tree::new_row(tx, root, Kind::File);
    let replaces = old.is_some();
    if let Some((_, old_row)) = &old {
        (row.mode, row.uid, row.gid) = (old_row.mode, old_row.uid, old_row.gid);
    }
    let number = tx.new_inode()?;
    // The new content first: a file that the old one names as well is never without a name.
    fill(tx, number, &mut row, file)?;
    versions::supersede(tx, versioning, parent, last, old)?.apply(&mut row);
    tree::add_link(tx, number, &mut row, parent, last)?;
    tree::touch(tx, parent, if replaces { 0 } else { 1 }, 0)?;
    Ok((number, row))
}

/// Removes `key`; in a bucket with versions, puts a delete marker over it. Directories that were only there for it go as well.
pub(crate) fn delete(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    preconditions: &Preconditions,
) -> Result<Deleted, NamespaceError> {
    let (directories, last) = names::split_key(key);
    let versioning = versions::state(tx, root)?;
    let number = find(tx, root, key)?;
    let row = number.map(|number| tree::inode(tx, number)).transpose()?;
    preconditions.check_row(row.as_ref())?;
    let (Some(number), Some(mut row)) = (number, row) else {
        if versioning == Versioning::Off {
            return Err(NamespaceError::NotFound);
        }
        let parent = versions::make_ghosts(tx, root, &directories)?;
        let stamp = versions::supersede(tx, versioning, parent, last, None)?;
        return Ok(versions::put_marker(tx, parent, last, stamp));
    };
    let parent = descend(tx, root, &directories)?.ok_or(NamespaceError::NotFound)?;
    if tree::is_directory(&row) {
        let mut deleted = Deleted::default();
        if versioning != Versioning::Off {
            let stamp = versions::supersede_copy(tx, versioning, parent, last, Some((number, &row)))?;
            deleted = versions::put_marker(tx, parent, last, stamp);
        }
        versions::give_up(tx, number, &mut row)?;
        return Ok(deleted);
    }
    let entry = tree::entry(tx, parent, last)?.ok_or(NamespaceError::NotFound)?;
    let deleted = versions::bury(tx, versioning, parent, last, &entry, row)?;
    prune(tx, parent)?;
    Ok(deleted)
}

/// What must hold for a rename to happen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RenameConditions {
    /// Of the key that moves.
    pub source: Preconditions,
    /// Of the key it moves to.
    pub target: Preconditions,
}

/// Moves a key in its bucket. A key that ends in a slash moves with everything below it, over nothing but an empty directory.
pub(crate) fn rename(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    new_key: &[u8],
    conditions: &RenameConditions,
) -> Result<(), NamespaceError> {
    names::check_key(new_key)?;
    let ((directories, last), (new_directories, new_last)) =
        (names::split_key(key), names::split_key(new_key));
    let number = find(tx, root, key)?.ok_or(NamespaceError::NotFound)?;
    conditions.source.check_row(Some(&tree::inode(tx, number)?))?;
    let replaced = find(tx, root, new_key)?.map(|number| tree::inode(tx, number)).transpose()?;
    conditions.target.check_row(replaced.as_ref()).map_err(|error| match error {
        // Not found is the key that is to move.
        NamespaceError::NotFound => NamespaceError::PreconditionFailed,
        error => error,
    })?;
    let is_directory = last.ends_with(b"/");
    if is_directory != new_last.ends_with(b"/") {
        return Err(NamespaceError::InvalidName);
    }
    if key == new_key {
        return Ok(());
    }
    let parent = descend(tx, root, &directories)?.ok_or(NamespaceError::NotFound)?;
    let versioning = versions::state(tx, root)?;
    if is_directory && versioning != Versioning::Off {
        // Versions stand below their directories: they cannot move along without changing their keys.
        return Err(NamespaceError::CrossBucket);
    }
    let new_parent = make_directories(tx, root, &new_directories)?;
    let mut stamp = None;
    if is_directory && posix::is_below(tx, new_parent, number)? {
        return Err(NamespaceError::Loop);
    }
    if let Some(target) = tree::entry(tx, new_parent, new_last)? {
        if is_directory && !tree::is_empty(tx, target.inode)? {
            return Err(NamespaceError::NotEmpty);
        }
        let mut target_row = tree::inode(tx, target.inode)?;
        tree::remove_entry(tx, new_parent, new_last, &target)?;
        if is_directory {
            tree::drop_link(tx, target.inode, &mut target_row, new_parent, new_last)?;
        } else {
            let target = Some((target.inode, target_row));
            stamp = Some(versions::supersede(tx, versioning, new_parent, new_last, target)?);
        }
    }
    let mut row = tree::inode(tx, number)?;
    if !is_directory && versioning != Versioning::Off {
        versions::leave(tx, versioning, (parent, last), number, &row)?;
        let stamp = match stamp {
            Some(stamp) => stamp,
            None => versions::supersede(tx, versioning, new_parent, new_last, None)?,
        };
        stamp.apply(&mut row);
    }
    row.ctime = tx.now;
    let directories = i64::from(is_directory);
    tx.delete(&keys::entry(parent, last));
    tree::touch(tx, parent, -1, -directories)?;
    posix::move_link(tx, number, &mut row, (parent, last), (new_parent, new_last));
    tree::touch(tx, new_parent, 1, directories)?;
    tx.record(Change {
        kind: ChangeKind::Renamed,
        inode: number,
        version: row.version,
        parent: new_parent,
        name: new_last.to_vec(),
        from: Some((parent, last.to_vec())),
        origin: None,
        number: 0,
    });
    prune(tx, parent)
}

/// Sets the tags of a key.
pub(crate) fn set_tags(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    version_id: Option<VersionId>,
    tags: &ExtendedAttributes,
) -> Result<(), NamespaceError> {
    let number = versions::find(tx, root, key, version_id)?;
    let mut row = tree::inode(tx, number)?;
    row.tags = pairs_to_rows(tags);
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    Ok(())
}

/// Sets the canned ACL of a version of a key, of the current one where none is named; none is `private`.
pub(crate) fn set_acl(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    version_id: Option<VersionId>,
    acl: Option<&str>,
) -> Result<(), NamespaceError> {
    let number = versions::find(tx, root, key, version_id)?;
    let mut row = tree::inode(tx, number)?;
    let id = ContentHeader::Acl as u32;
    row.headers.retain(|header| header.id != id);
    row.headers.extend(acl.map(|acl| HeaderRow { id, value: acl.to_owned() }));
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    Ok(())
}

/// Removes `directory` if it is implicit and empty, and then its parent likewise. One with history below it becomes a ghost.
pub(crate) fn prune(tx: &mut Transaction<'_, '_>, mut directory: u64) -> Result<(), NamespaceError> {
    loop {
        let mut row = tree::inode(tx, directory)?;
        let is_root = row.parent == directory;
        let is_ghost = row.state == DirectoryState::Ghost.number();
        let may_go = is_ghost || row.state == DirectoryState::Implicit.number();
        if is_root || !may_go || !tree::is_empty(tx, directory)? {
            return Ok(());
        }
        let (parent, name) = (row.parent, row.name.clone());
        if versions::has_history(tx, directory)? {
            if is_ghost {
                return Ok(());
            }
            versions::disappear(tx, directory, &mut row)?;
        } else {
            match is_ghost {
                true => tx.delete(&keys::entry(parent, &name)),
                false => {
                    let entry = tree::entry(tx, parent, &name)?.ok_or(NamespaceError::NotFound)?;
                    tree::remove_entry(tx, parent, &name, &entry)?;
                }
            }
            tree::drop_link(tx, directory, &mut row, parent, &name)?;
        }
        directory = parent;
    }
}

/// The directory at the end of these names, if all of them are there.
pub(crate) fn descend(
    read: &dyn Read,
    root: u64,
    directories: &[&[u8]],
) -> Result<Option<u64>, NamespaceError> {
    let mut parent = root;
    for name in directories {
        match tree::entry(read, parent, name)? {
            Some(entry) => parent = entry.inode,
            None => return Ok(None),
        }
    }
    Ok(Some(parent))
}

/// The directory at the end of these names; those that are missing are made, as implicit ones.
pub(crate) fn make_directories(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    directories: &[&[u8]],
) -> Result<u64, NamespaceError> {
    let mut parent = root;
    for name in directories {
        parent = match tree::entry(tx, parent, name)? {
            Some(entry) if entry.state == DirectoryState::Ghost.number() => {
                versions::revive(tx, entry.inode)?;
                entry.inode
            }
            Some(entry) => entry.inode,
            None => {
                let row = tree::new_row(tx, root, Kind::Directory);
                let row = InodeRow { state: DirectoryState::Implicit.number(), ..row };
                tree::make_directory(tx, parent, name, row)?
            }
        };
    }
    Ok(parent)
}

/// Gives the inode a content and all that goes with it; the caller saves it.
pub(crate) fn fill(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    file: &NewFile,
) -> Result<(), NamespaceError> {
    let size: usize = file.extended.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > posix::MAX_ATTRIBUTES {
        return Err(NamespaceError::AttributesTooLarge);
    }
    content::replace(tx, number, row, &file.extents)?;
    tree::forget_parts(tx, number, row);
    row.size = file.size;
    row.mode = file.mode.unwrap_or(row.mode);
    (row.uid, row.gid) = file.owner.unwrap_or((row.uid, row.gid));
    row.mtime = file.mtime.unwrap_or(tx.now);
    row.ctime = tx.now;
    row.content_time = tx.now_ms();
    row.etag = file.etag.map(|etag| etag.digest.to_vec()).unwrap_or_default();
    row.etag_parts = file.etag.and_then(|etag| etag.parts);
    row.headers = headers_to_rows(&file.headers);
    row.attributes = pairs_to_rows(&file.extended);
    row.tags = pairs_to_rows(&file.tags);
    row.checksums = file.checksums.iter().map(Checksum::to_row).collect();
    row.mirrored = file.mirrored.number();
    Ok(())
}

pub(crate) fn headers_to_rows(headers: &ContentHeaders) -> Vec<HeaderRow> {
    headers.iter().map(|(header, value)| HeaderRow { id: *header as u32, value: value.clone() }).collect()
}

pub(crate) fn headers_of_rows(rows: &[HeaderRow]) -> ContentHeaders {
    rows.iter().filter_map(|row| Some((ContentHeader::from_number(row.id)?, row.value.clone()))).collect()
}

impl Checksum {
    pub(crate) fn of_row(row: ChecksumRow) -> Self {
        Self { algorithm: row.algorithm, kind: row.kind, value: row.value }
    }

    pub(crate) fn to_row(&self) -> ChecksumRow {
        ChecksumRow { algorithm: self.algorithm, kind: self.kind, value: self.value.clone() }
    }
}
