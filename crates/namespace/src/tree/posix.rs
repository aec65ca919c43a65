//! The tree as a mount sees it: directories and plain names.

use crate::attributes::{
    Attributes, DirectoryState, ETag, Entry, Extent, Kind, Mirrored, pairs_of_rows, pairs_to_rows,
};
use crate::changes::{Change, ChangeKind};
use crate::content;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::names::{check_posix_name, directory_name, is_posix_name};
use crate::rows::{EntryRow, InodeRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::exchange;
use crate::tree::versions::{self, Versioning};

/// Nanoseconds for which a time of access is new enough.
const DAY: i64 = 24 * 3_600 * 1_000_000_000;
/// Attributes of one inode together, names and values: as much as xattr allows.
pub(crate) const MAX_ATTRIBUTES: usize = 64 * 1024;

/// What a setattr changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SetAttributes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Owning group.
    pub gid: Option<u32>,
    /// Length: the content is cut or followed by zeros.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<i64>,
    /// Last change of content.
    pub mtime: Option<i64>,
}

/// What is to be made by a mount.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewInode {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// The target of a symbolic link.
    pub target: Vec<u8>,
    /// The device of a device node.
    pub device: u64,
}

/// Names, and where to go on.
pub(crate) type NamePage = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// How to set an extended attribute.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SetMode {
    /// Make or replace it.
    #[default]
    Any,
    /// It must not exist.
    Create,
    /// It must exist.
    Replace,
}

/// How a rename treats a name that is there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RenameMode {
    /// It is replaced.
    #[default]
    Replace,
    /// The rename is refused.
    NoReplace,
    /// It takes the old name: both must be there.
    Exchange,
}

/// What a mount shows under a name: the directory, else the file. The name is as in the key.
pub(crate) fn find(
    read: &dyn Read,
    parent: u64,
    name: &[u8],
) -> Result<Option<(Vec<u8>, EntryRow)>, NamespaceError> {
    check_posix_name(name)?;
    let directory = directory_name(name);
    let found = read.get_many(&[keys::entry(parent, &directory), keys::entry(parent, name)])?;
    for (name, value) in [directory, name.to_vec()].into_iter().zip(found) {
        let Some(value) = value else { continue };
        let row: EntryRow = crate::rows::unseal(&keys::entry(parent, &name), &value)?;
        if row.state != DirectoryState::Ghost.number() {
            return Ok(Some((name, row)));
        }
    }
    Ok(None)
}

/// The attributes of what a mount shows under a name.
pub(crate) fn lookup(read: &dyn Read, parent: u64, name: &[u8]) -> Result<Attributes, NamespaceError> {
    let (_, entry) = find(read, parent, name)?.ok_or(NamespaceError::NotFound)?;
    get_attributes(read, entry.inode)
}

/// The attributes of an inode.
pub(crate) fn get_attributes(read: &dyn Read, number: u64) -> Result<Attributes, NamespaceError> {
    let row = tree::inode(read, number)?;
    tree::attributes(read, number, &row)
}

/// Entries of a directory after the name `after` (as in the key; none for the first page): those that a mount shows, and where to go on.
pub(crate) fn read_directory(
    read: &dyn Read,
    number: u64,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<Vec<u8>>), NamespaceError> {
    tree::directory(read, number)?;
    let limit = limit.clamp(1, PAGE);
    let from = after.map(|name| [name, &[0]].concat()).unwrap_or_default();
    let rows = tree::entries(read, number, &from, limit)?;
    let next = (rows.len() == limit).then(|| rows.last().map(|(name, _)| name.clone())).flatten();
    let mut entries = Vec::with_capacity(rows.len());
    for (name, row) in &rows {
        let mut entry = tree::visible(name, row)?;
        let ghost = row.state == DirectoryState::Ghost.number();
        if ghost
            || !is_posix_name(&entry.name)
            || (entry.kind != Kind::Directory && shadowed(read, number, name, &rows)?)
        {
            continue;
        }
        if entry.attributes.is_none() {
            entry.attributes = Some(get_attributes(read, entry.inode)?);
        }
        entries.push(entry);
    }
    Ok((entries, next))
}

/// Names in a directory that a mount cannot show, as they stand in keys (directories with their slash), after the name `after`;
/// one page of entries is looked at, and the second value tells where to go on. What only history is below is not there at all.
pub(crate) fn hidden_names(
    read: &dyn Read,
    number: u64,
    after: Option<&[u8]>,
) -> Result<NamePage, NamespaceError> {
    tree::directory(read, number)?;
    let from = after.map(|name| [name, &[0]].concat()).unwrap_or_default();
    let rows = tree::entries(read, number, &from, PAGE)?;
    let next = (rows.len() == PAGE).then(|| rows.last().map(|(name, _)| name.clone())).flatten();
    let mut hidden = Vec::new();
    for (name, row) in &rows {
        let entry = tree::visible(name, row)?;
        let is_ghost = row.state == DirectoryState::Ghost.number();
        let cannot_show = !is_posix_name(&entry.name)
            || (entry.kind != Kind::Directory && shadowed(read, number, name, &rows)?);
        if cannot_show && !is_ghost {
            hidden.push(name.clone());
        }
    }
    Ok((hidden, next))
}

/// True where a directory of the same name hides the file. Its entry comes after the file's: mostly in the same page.
fn shadowed(
    read: &dyn Read,
    parent: u64,
    name: &[u8],
    page: &[(Vec<u8>, EntryRow)],
) -> Result<bool, NamespaceError> {
    let directory = directory_name(name);
    match page.binary_search_by(|(other, _)| other.as_slice().cmp(&directory)) {
        Ok(at) => Ok(page.get(at).is_some_and(|(_, row)| is_shown(row))),
        Err(at) if at < page.len() => Ok(false),
        Err(_) => Ok(tree::entry(read, parent, &directory)?.is_some_and(|row| is_shown(&row))),
    }
}

/// What only history is below is not there for a mount.
fn is_shown(row: &EntryRow) -> bool {
    row.state != DirectoryState::Ghost.number()
}

/// Makes a file, directory, link or node under a name that is free.
pub(crate) fn make(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    new: &NewInode,
) -> Result<Attributes, NamespaceError> {
    let parent_row = tree::directory(tx, parent)?;
    if parent_row.links == 0 {
        return Err(NamespaceError::NotFound);
    }
    if find(tx, parent, name)?.is_some() {
        return Err(NamespaceError::AlreadyExists);
    }
    let row = tree::new_row(tx, parent_row.bucket, new.kind);
    let mut row = InodeRow {
        mode: new.mode,
        uid: new.uid,
        gid: new.gid,
        target: new.target.clone(),
        size: new.target.len() as u64,
        device: new.device,
        ..row
    };
    let number = if new.kind == Kind::Directory {
        let name = directory_name(name);
        match tree::entry(tx, parent, &name)? {
            // History is below it: the inode stays, with the attributes of the new directory.
            Some(ghost) => {
                let old = tree::inode(tx, ghost.inode)?;
                row = InodeRow { links: 1, parent, name, version: old.version, kind: old.kind, ..row };
                versions::reappear(tx, ghost.inode, &mut row)?;
                ghost.inode
            }
            None => tree::make_directory(tx, parent, &name, row)?,
        }
    } else {
        let number = tx.new_inode()?;
        if new.kind == Kind::File {
            let versioning = versions::state(tx, parent_row.bucket)?;
            versions::supersede(tx, versioning, parent, name, None)?.apply(&mut row);
        }
        tree::add_link(tx, number, &mut row, parent, name)?;
        tree::touch(tx, parent, 1, 0)?;
        number
    };
    get_attributes(tx, number)
}

/// Gives a file another name in its bucket.
pub(crate) fn link(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    parent: u64,
    name: &[u8],
) -> Result<Attributes, NamespaceError> {
    let mut row = tree::inode(tx, number)?;
    if tree::is_directory(&row) {
        return Err(NamespaceError::IsDirectory);
    }
    if tree::directory(tx, parent)?.bucket != row.bucket {
        return Err(NamespaceError::CrossBucket);
    }
    if row.links == 0 {
        return Err(NamespaceError::NotFound);
    }
    if find(tx, parent, name)?.is_some() {
        return Err(NamespaceError::AlreadyExists);
    }
    row.ctime = tx.now;
    tree::add_link(tx, number, &mut row, parent, name)?;
    tree::touch(tx, parent, 1, 0)?;
    get_attributes(tx, number)
}

/// Removes a file's name.
pub(crate) fn unlink(tx: &mut Transaction<'_, '_>, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
    let (name, entry) = find(tx, parent, name)?.ok_or(NamespaceError::NotFound)?;
    if entry.kind == Kind::Directory.number() {
        return Err(NamespaceError::IsDirectory);
    }
    remove(tx, parent, &name, &entry)
}

/// Removes an empty directory.
pub(crate) fn remove_directory(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
) -> Result<(), NamespaceError> {
    let (name, entry) = find(tx, parent, name)?.ok_or(NamespaceError::NotFound)?;
    if entry.kind != Kind::Directory.number() {
        return Err(NamespaceError::NotDirectory);
    }
    if !tree::is_empty(tx, entry.inode)? {
        return Err(NamespaceError::NotEmpty);
    }
    let mut row = tree::inode(tx, entry.inode)?;
    versions::bury_directory(tx, parent, &name, entry.inode, &row)?;
    if versions::has_history(tx, entry.inode)? {
        versions::disappear(tx, entry.inode, &mut row)?;
        versions::give_up(tx, entry.inode, &mut row)?;
        return keep_emptied(tx, parent);
    }
    remove(tx, parent, &name, &entry)
}

/// Moves a name. A directory moves as one row, with all that is below it.
pub(crate) fn rename(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    new_parent: u64,
    new_name: &[u8],
    mode: RenameMode,
) -> Result<(), NamespaceError> {
    if mode == RenameMode::Exchange {
        return exchange::exchange(tx, (parent, name), (new_parent, new_name));
    }
    let (old_name, entry) = find(tx, parent, name)?.ok_or(NamespaceError::NotFound)?;
    let mut row = tree::inode(tx, entry.inode)?;
    let is_directory = tree::is_directory(&row);
    if tree::directory(tx, new_parent)?.bucket != row.bucket {
        return Err(NamespaceError::CrossBucket);
    }
    if is_directory && is_below(tx, new_parent, entry.inode)? {
        return Err(NamespaceError::Loop);
    }
    let versioning = versions::state(tx, row.bucket)?;
    let is_kept = versioning != Versioning::Off && row.kind == Kind::File.number();
    if is_directory && versioning != Versioning::Off {
        versions::may_move(tx, entry.inode)?;
        versions::bury_directory(tx, parent, &old_name, entry.inode, &row)?;
        if let Some(ghost) = tree::entry(tx, new_parent, &directory_name(new_name))? {
            versions::may_move(tx, ghost.inode)?;
        }
    }
    let mut stamp = None;
    if let Some((target_name, target)) = find(tx, new_parent, new_name)? {
        if mode == RenameMode::NoReplace {
            return Err(NamespaceError::AlreadyExists);
        }
        if target.inode == entry.inode {
            return Ok(());
        }
        match (is_directory, target.kind == Kind::Directory.number()) {
            (true, false) => return Err(NamespaceError::NotDirectory),
            (false, true) => return Err(NamespaceError::IsDirectory),
            (true, true) if !tree::is_empty(tx, target.inode)? => return Err(NamespaceError::NotEmpty),
            _ => {}
        }
        let mut target_row = tree::inode(tx, target.inode)?;
        tree::remove_entry(tx, new_parent, &target_name, &target)?;
        if versioning != Versioning::Off && target_row.kind == Kind::File.number() {
            let target = Some((target.inode, target_row));
            stamp = Some(versions::supersede(tx, versioning, new_parent, &target_name, target)?);
        } else {
            tree::drop_link(tx, target.inode, &mut target_row, new_parent, &target_name)?;
        }
    }

    let target_name = if is_directory { directory_name(new_name) } else { new_name.to_vec() };
    let directories = i64::from(is_directory);
    tx.delete(&keys::entry(parent, &old_name));
    tree::touch(tx, parent, -1, -directories)?;
    if is_kept {
        versions::leave(tx, versioning, (parent, &old_name), entry.inode, &row)?;
        let stamp = match stamp {
            Some(stamp) => stamp,
            None => versions::supersede(tx, versioning, new_parent, &target_name, None)?,
        };
        stamp.apply(&mut row);
    }
    row.ctime = tx.now;
    move_link(tx, entry.inode, &mut row, (parent, &old_name), (new_parent, &target_name));
    tree::touch(tx, new_parent, 1, directories)?;
    tx.record(Change {
        kind: ChangeKind::Renamed,
        inode: entry.inode,
        version: row.version,
        parent: new_parent,
        name: target_name,
        from: Some((parent, old_name)),
        origin: None,
        number: 0,
    });
    keep_emptied(tx, parent)
}

/// Changes attributes.
pub(crate) fn set_attributes(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    set: &SetAttributes,
) -> Result<Attributes, NamespaceError> {
    let mut row = tree::inode(tx, number)?;
    if let Some(size) = set.size {
        if tree::is_directory(&row) {
            return Err(NamespaceError::IsDirectory);
        }
        resize(tx, number, &mut row, size)?;
    }
    row.mode = set.mode.map_or(row.mode, |mode| mode & 0o7777);
    row.uid = set.uid.unwrap_or(row.uid);
    row.gid = set.gid.unwrap_or(row.gid);
    row.atime = set.atime.unwrap_or(row.atime);
    row.mtime = set.mtime.unwrap_or(row.mtime);
    row.ctime = tx.now;
    if tree::is_directory(&row) {
        row.state = DirectoryState::Explicit.number();
    }
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    get_attributes(tx, number)
}

/// An inode was read now. Its time of access changes if it is older than the last change of the inode, or than a day; no other time does.
pub(crate) fn note_access(tx: &mut Transaction<'_, '_>, number: u64) -> Result<(), NamespaceError> {
    let mut row = tree::inode(tx, number)?;
    if row.atime > row.mtime.max(row.ctime) && tx.now.saturating_sub(row.atime) < DAY {
        return Ok(());
    }
    row.atime = tx.now;
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    Ok(())
}

/// Sets an extended attribute.
pub(crate) fn set_extended(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    name: &[u8],
    value: Option<&[u8]>,
    mode: SetMode,
    mirrored: Mirrored,
) -> Result<(), NamespaceError> {
    let mut row = tree::inode(tx, number)?;
    let mut attributes = pairs_of_rows(&row.attributes);
    let exists = attributes.contains_key(name);
    match (value, mode) {
        (Some(_), SetMode::Create) if exists => return Err(NamespaceError::AlreadyExists),
        (Some(_), SetMode::Replace) | (None, _) if !exists => return Err(NamespaceError::NoAttribute),
        (Some(value), _) => attributes.insert(name.to_vec(), value.to_vec()),
        (None, _) => attributes.remove(name),
    };
    let size: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_ATTRIBUTES {
        return Err(NamespaceError::AttributesTooLarge);
    }
    row.attributes = pairs_to_rows(&attributes);
    row.mirrored = mirrored.number();
    row.ctime = tx.now;
    if tree::is_directory(&row) {
        row.state = DirectoryState::Explicit.number();
    }
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    Ok(())
}

/// The bytes that a mount wrote take the place of the inode's content; name, attributes and metadata stay.
pub(crate) fn set_content(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    extents: &[Extent],
    size: u64,
    etag: ETag,
    mtime: Option<i64>,
) -> Result<Attributes, NamespaceError> {
    let mut row = file(tx, number)?;
    versions::keep_before(tx, number, &mut row)?;
    content::replace(tx, number, &mut row, extents)?;
    row.size = size;
    new_content(tx, number, &mut row, etag);
    row.mtime = mtime.unwrap_or(tx.now);
    save_content(tx, number, &mut row)
}

/// An inode whose content may become another: a file, and not a version of before.
pub(crate) fn file(tx: &Transaction<'_, '_>, number: u64) -> Result<InodeRow, NamespaceError> {
    let row = tree::inode(tx, number)?;
    match tree::is_directory(&row) {
        true => Err(NamespaceError::IsDirectory),
        false if row.history => Err(NamespaceError::NotFound),
        false => Ok(row),
    }
}

/// Saves an inode whose content is another.
pub(crate) fn save_content(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<Attributes, NamespaceError> {
    tree::save(tx, number, row);
    tx.change(ChangeKind::Content, number, row.version, 0, b"");
    get_attributes(tx, number)
}

fn resize(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    size: u64,
) -> Result<(), NamespaceError> {
    if size == row.size {
        return Ok(());
    }
    if row.history {
        return Err(NamespaceError::NotFound);
    }
    versions::keep_before(tx, number, row)?;
    let mut extents = content::extents(tx, number, row)?;
    extents.retain(|extent| extent.offset < size);
    if let Some(last) = extents.last_mut() {
        last.length = last.length.min(size - last.offset);
    }
    content::replace(tx, number, row, &extents)?;
    row.size = size;
    new_content(tx, number, row, ETag::unknown());
    row.mtime = tx.now;
    Ok(())
}

/// What holds of the old bytes no longer holds of the new ones.
pub(crate) fn new_content(tx: &mut Transaction<'_, '_>, number: u64, row: &mut InodeRow, etag: ETag) {
    tree::forget_parts(tx, number, row);
    row.ctime = tx.now;
    row.content_time = tx.now_ms();
    row.etag = etag.digest.to_vec();
    row.etag_parts = etag.parts;
    row.checksums.clear();
}

fn remove(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    entry: &EntryRow,
) -> Result<(), NamespaceError> {
    let row = tree::inode(tx, entry.inode)?;
    let versioning = versions::state(tx, row.bucket)?;
    versions::bury(tx, versioning, parent, name, entry, row)?;
    keep_emptied(tx, parent)
}

/// A directory that a mount emptied stays.
fn keep_emptied(tx: &mut Transaction<'_, '_>, directory: u64) -> Result<(), NamespaceError> {
    if tree::is_empty(tx, directory)? { tree::make_explicit(tx, directory) } else { Ok(()) }
}

pub(crate) fn move_link(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    (from_parent, from_name): (u64, &[u8]),
    (to_parent, to_name): (u64, &[u8]),
) {
    if row.parent == from_parent && row.name == from_name {
        (row.parent, row.name) = (to_parent, to_name.to_vec());
    } else {
        tx.delete(&keys::link(number, from_parent, from_name));
        tx.put(keys::link(number, to_parent, to_name), &());
    }
    if row.links > 1 {
        let bare = EntryRow { inode: number, kind: row.kind, ..EntryRow::default() };
        tx.put(keys::entry(to_parent, to_name), &bare);
    }
    tree::save(tx, number, row);
}

/// True if `directory` is `ancestor` or somewhere below it.
pub(crate) fn is_below(read: &dyn Read, mut directory: u64, ancestor: u64) -> Result<bool, NamespaceError> {
    for _ in 0..MAX_DEPTH {
        if directory == ancestor {
            return Ok(true);
        }
        let row = tree::inode(read, directory)?;
        if row.parent == directory || row.parent == 0 {
            return Ok(false);
        }
        directory = row.parent;
    }
    Err(NamespaceError::Loop)
}

/// Deeper than any path that a kernel resolves.
const MAX_DEPTH: usize = 4_096;
