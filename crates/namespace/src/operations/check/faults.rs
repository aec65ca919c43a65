//! What can be wrong, and how it is found.

use std::collections::BTreeMap;
use std::fmt;

use super::uploads;
use crate::attributes::DirectoryState;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, BucketRow, DeltaRow, EntryRow, ExtentRow, ExtentsRow, InodeRow, ReverseRow};
use crate::tree;
use crate::uploads::UploadId;

/// Something that is wrong, with what is needed to find it again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// A row cannot be read.
    Damaged { key: Vec<u8> },
    /// An entry names an inode that is not there.
    Dangling { parent: u64, name: Vec<u8>, inode: u64 },
    /// An entry says something else than its inode.
    Differs { parent: u64, name: Vec<u8> },
    /// An inode does not know of an entry that names it.
    Unknown { parent: u64, name: Vec<u8>, inode: u64 },
    /// Entries stand in a directory that is not there.
    Unreachable { directory: u64, child: u64 },
    /// An inode's own name does not name it.
    Nameless { inode: u64 },
    /// An inode has fewer or more names than it says.
    Links { inode: u64, said: u32, found: u32 },
    /// A back pointer to a name that is not the inode's.
    DeadLink { inode: u64, parent: u64, name: Vec<u8> },
    /// A row whose inode is gone.
    Stray { key: Vec<u8> },
    /// A directory counts its entries wrongly.
    Counts { directory: u64, entries: i64, directories: i64 },
    /// A file's row of this inode is missing or counts wrongly.
    Uses { inode: u64, file: String, uses: u32, foreign: bool },
    /// A file's row of an inode that does not use it.
    Unused { inode: u64, file: String },
    /// A file's row of an inode that is gone: perhaps all that is left of its content.
    LostUser { inode: u64, file: String },
    /// The content of an inode cannot be told.
    Content { inode: u64, what: &'static str },
    /// A bucket without its topmost directory.
    Bucket { name: String },
    /// An upload of a bucket that is gone.
    NoBucket { key: Vec<u8> },
    /// Parts of an upload that is gone.
    NoUpload { upload_id: [u8; 16] },
    /// A part whose content cannot be told.
    Part { key: Vec<u8> },
    /// A file counts the waiting parts that use it wrongly.
    Waiting { file: String, said: u32, uses: u32, foreign: bool },
}

impl Fault {
    pub(super) fn is_repairable(&self) -> bool {
        match self {
            Self::Damaged { key } => is_expendable(key),
            Self::LostUser { .. } | Self::Content { .. } | Self::Bucket { .. } => false,
            _ => true,
        }
    }

    /// Bucket and key of what it is about.
    pub(super) fn place(&self, read: &dyn Read) -> String {
        match self {
            Self::Damaged { key } if key.first() == Some(&keys::UPLOAD) => {
                uploads::place_of_upload(read, key)
            }
            Self::NoBucket { key } => uploads::place_of_upload(read, key),
            Self::Damaged { key } | Self::Part { key } if key.first() == Some(&keys::PART) => {
                let id = key.get(1..17).and_then(|id| id.try_into().ok()).unwrap_or_default();
                let number = key.last_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
                let place = uploads::place(read, &id).unwrap_or_else(|_| UploadId(id).to_string());
                format!("{place}, part {number}")
            }
            Self::NoUpload { upload_id } => format!("upload {}", UploadId(*upload_id)),
            Self::Damaged { key } | Self::Stray { key } | Self::Part { key } => {
                let family = char::from(key.first().copied().unwrap_or(b'?'));
                format!(
                    "row {family} {}",
                    String::from_utf8_lossy(key.get(1..).unwrap_or_default()).escape_debug()
                )
            }
            Self::Dangling { parent, name, .. }
            | Self::Differs { parent, name }
            | Self::Unknown { parent, name, .. }
            | Self::DeadLink { parent, name, .. } => {
                format!("{}{}", place(read, *parent), String::from_utf8_lossy(name))
            }
            Self::Unreachable { directory, .. } | Self::Counts { directory, .. } => place(read, *directory),
            Self::Nameless { inode }
            | Self::Links { inode, .. }
            | Self::Uses { inode, .. }
            | Self::Unused { inode, .. }
            | Self::Content { inode, .. } => place(read, *inode),
            Self::LostUser { file, .. } | Self::Waiting { file, .. } => file.clone(),
            Self::Bucket { name } => name.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { key } if key.first() == Some(&keys::PART) => {
                write!(f, "the row cannot be read: its sum is wrong; its upload has to send it again")
            }
            Self::Damaged { key } if key.first() == Some(&keys::UPLOAD) => {
                write!(f, "the row of an upload cannot be read: its sum is wrong; it has to begin anew")
            }
            Self::Damaged { .. } => write!(f, "the row cannot be read: its sum is wrong"),
            Self::Dangling { inode, .. } => write!(f, "names inode {inode}, which is gone"),
            Self::Differs { .. } => write!(f, "its entry differs from its inode"),
            Self::Unknown { inode, .. } => write!(f, "inode {inode} does not know this name"),
            Self::Unreachable { directory, .. } => write!(f, "directory {directory} is gone and has entries"),
            Self::Nameless { inode } => write!(f, "inode {inode} has no name that names it"),
            Self::Links { inode, said, found } => {
                write!(f, "inode {inode} says that it has {said} names and has {found}")
            }
            Self::DeadLink { inode, .. } => {
                write!(f, "inode {inode} remembers this name, which is not its own")
            }
            Self::Stray { .. } => write!(f, "the row belongs to nothing"),
            Self::Counts { entries, directories, .. } => {
                write!(f, "counts are wrong by {entries} entries and {directories} directories")
            }
            Self::Uses { file, uses, .. } => write!(f, "{file} does not know that it is used {uses} times"),
            Self::Unused { file, .. } => write!(f, "{file} is said to be used and is not"),
            Self::LostUser { inode, .. } => write!(
                f,
                "is used by inode {inode}, which is gone: its content is kept; delete the file if it is not wanted"
            ),
            Self::Content { what, .. } => write!(f, "{what}"),
            Self::Bucket { .. } => write!(f, "the bucket has lost its topmost directory: restore a backup"),
            Self::NoBucket { .. } => write!(f, "the bucket of this upload is gone"),
            Self::NoUpload { .. } => write!(f, "has parts and is gone"),
            Self::Part { .. } => write!(f, "is not what its row says: its upload has to send it again"),
            Self::Waiting { said: u32::MAX, uses, .. } => {
                write!(f, "cannot say how many waiting parts use it, which are {uses}")
            }
            Self::Waiting { said, uses, .. } => {
                write!(f, "says that {said} waiting parts use it, which are {uses}")
            }
        }
    }
}

/// A row that is only looked at by itself.
pub(super) fn sum(key: &[u8], value: &[u8]) -> Option<Fault> {
    rows::check_sum(key, value).is_err().then(|| Fault::Damaged { key: key.to_vec() })
}

/// A row and what it refers to.
pub(super) fn row(read: &dyn Read, key: &[u8], value: &[u8]) -> Result<Vec<Fault>, NamespaceError> {
    if let Some(fault) = sum(key, value) {
        // Those that can be told from others are found as missing where they are missed.
        return Ok(vec![fault]);
    }
    let number = keys::number_at(key, 1);
    let name = key.get(keys::ENTRY_PREFIX..).unwrap_or_default();
    Ok(match key.first() {
        Some(b'b') => {
            let bucket: BucketRow = rows::unseal(key, value)?;
            let root = known(rows::load::<InodeRow>(read, &keys::inode(bucket.root)))?.flatten();
            let is_root = root.is_some_and(|root| root.parent == bucket.root && tree::is_directory(&root));
            (!is_root).then_some(Fault::Bucket { name: bucket.name }).into_iter().collect()
        }
        Some(b'e') => entry(read, number, name, &rows::unseal(key, value)?)?,
        Some(b'v') => version(read, key, number, &rows::unseal(key, value)?)?,
        Some(b'l') => {
            let (parent, name) = (keys::number_at(key, 9), key.get(17..).unwrap_or_default());
            let names_it = is_named(read, number, parent, name)?;
            let is_known = known(rows::load::<InodeRow>(read, &keys::inode(number)))?.flatten().is_some();
            let dead = || Fault::DeadLink { inode: number, parent, name: name.to_vec() };
            (!names_it || !is_known).then(dead).into_iter().collect()
        }
        Some(b'i') => inode(read, number, &rows::unseal(key, value)?)?,
        Some(b'r') => {
            let Some((file, user)) = reverse(key) else {
                return Ok(vec![Fault::Damaged { key: key.to_vec() }]);
            };
            // Waiting parts come and go; what uses they leave is counted with all of them.
            if user == 0 {
                return Ok(Vec::new());
            }
            let file = file.to_owned();
            match known(rows::load::<InodeRow>(read, &keys::inode(user)))? {
                // It is damaged, and told of there.
                None => Vec::new(),
                Some(None) => vec![Fault::LostUser { inode: user, file }],
                Some(Some(row)) => {
                    let used = extents(read, user, &row)?
                        .is_none_or(|extents| extents.iter().any(|extent| extent.file == file));
                    (!used).then_some(Fault::Unused { inode: user, file }).into_iter().collect()
                }
            }
        }
        Some(&keys::UPLOAD) => uploads::upload(read, key)?.into_iter().collect(),
        Some(&keys::PART) => uploads::part(read, key, &rows::unseal(key, value)?)?,
        Some(b'd' | b'j' | b'o' | b'x' | b'y') => {
            let stray = match known(rows::load::<InodeRow>(read, &keys::inode(number)))? {
                None => false,
                Some(None) => true,
                Some(Some(row)) => match key.first() {
                    Some(b'x') => key
                        .get(9..13)
                        .is_some_and(|block| block >= row.extent_blocks.to_be_bytes().as_slice()),
                    Some(b'd') => !tree::is_directory(&row),
                    Some(b'o') => row.links > 0,
                    _ => false,
                },
            };
            stray.then(|| Fault::Stray { key: key.to_vec() }).into_iter().collect()
        }
        _ => Vec::new(),
    })
}

fn entry(read: &dyn Read, parent: u64, name: &[u8], row: &EntryRow) -> Result<Vec<Fault>, NamespaceError> {
    let mut faults = Vec::new();
    let Some(found) = known(rows::load::<InodeRow>(read, &keys::inode(row.inode)))? else {
        return Ok(faults);
    };
    let Some(inode) = found else {
        return Ok(vec![Fault::Dangling { parent, name: name.to_vec(), inode: row.inode }]);
    };
    if let Some(None) = known(rows::load::<InodeRow>(read, &keys::inode(parent)))? {
        faults.push(Fault::Unreachable { directory: parent, child: row.inode });
    }
    let is_first = inode.parent == parent && inode.name == name;
    if !is_first && read.get(&keys::link(row.inode, parent, name))?.is_none() {
        faults.push(Fault::Unknown { parent, name: name.to_vec(), inode: row.inode });
    } else if *row != expected_entry(row.inode, &inode) {
        faults.push(Fault::Differs { parent, name: name.to_vec() });
    }
    Ok(faults)
}

/// What an entry of an inode must be.
pub(super) fn expected_entry(number: u64, row: &InodeRow) -> EntryRow {
    if row.links == 1 { tree::entry_of(number, row) } else { tree::bare_entry(number, row) }
}

fn version(read: &dyn Read, key: &[u8], parent: u64, row: &EntryRow) -> Result<Vec<Fault>, NamespaceError> {
    if row.delete_marker {
        return Ok(Vec::new());
    }
    Ok(match known(rows::load::<InodeRow>(read, &keys::inode(row.inode)))? {
        Some(Some(inode))
            if inode.history && keys::older(inode.parent, &inode.name, inode.sequence) == key =>
        {
            Vec::new()
        }
        None => Vec::new(),
        Some(None) => vec![Fault::Stray { key: key.to_vec() }],
        Some(Some(_)) => {
            let _ = parent;
            vec![Fault::Content { inode: row.inode, what: "an older version is not what its row says" }]
        }
    })
}

fn inode(read: &dyn Read, number: u64, row: &InodeRow) -> Result<Vec<Fault>, NamespaceError> {
    let mut faults = Vec::new();
    let is_root = row.parent == number;
    if is_root {
        let name = String::from_utf8_lossy(&row.name).into_owned();
        let bucket = known(rows::load::<BucketRow>(read, &keys::bucket(&name)))?.flatten();
        if bucket.is_none_or(|bucket| bucket.root != number) {
            faults
                .push(Fault::Content { inode: number, what: "no bucket has this as its topmost directory" });
        }
    } else if row.links == 0 {
        if read.get(&keys::orphan(number))?.is_none() {
            faults.push(Fault::Nameless { inode: number });
        }
    } else if row.history {
        let version = rows::load::<EntryRow>(read, &keys::older(row.parent, &row.name, row.sequence));
        if known(version)?.flatten().is_none_or(|version| version.inode != number) {
            faults.push(Fault::Content { inode: number, what: "the row of this older version is missing" });
        }
    } else {
        if !is_named(read, number, row.parent, &row.name)? {
            faults.push(Fault::Nameless { inode: number });
        }
        let others = links(read, number)?;
        let found = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
        if found != row.links {
            faults.push(Fault::Links { inode: number, said: row.links, found });
        }
    }
    let Some(extents) = extents(read, number, row)? else {
        faults.push(Fault::Content {
            inode: number,
            what: "a part of the list of its content is missing or out of order",
        });
        return Ok(faults);
    };
    for (file, (uses, foreign)) in uses(&extents) {
        let row = known(rows::load::<ReverseRow>(read, &keys::reverse(file, number)))?.flatten();
        if row.is_none_or(|row| row.uses != uses) {
            faults.push(Fault::Uses { inode: number, file: file.to_owned(), uses, foreign });
        }
    }
    Ok(faults)
}

/// How often each file is used, and whether it is of others.
pub(super) fn uses(extents: &[ExtentRow]) -> BTreeMap<&str, (u32, bool)> {
    let mut uses: BTreeMap<&str, (u32, bool)> = BTreeMap::new();
    for extent in extents {
        let count = uses.entry(&extent.file).or_default();
        count.0 += 1;
        count.1 |= extent.foreign;
    }
    uses
}

/// All extents of an inode; none where they cannot be told.
pub(super) fn extents(
    read: &dyn Read,
    number: u64,
    row: &InodeRow,
) -> Result<Option<Vec<ExtentRow>>, NamespaceError> {
    let mut extents = row.extents.clone();
    for block in 0..row.extent_blocks {
        match known(rows::load::<ExtentsRow>(read, &keys::extents(number, block)))?.flatten() {
            Some(row) => extents.extend(row.extents),
            None => return Ok(None),
        }
    }
    let in_order = extents.is_sorted_by(|one, next| one.offset.saturating_add(one.length) <= next.offset);
    Ok(in_order.then_some(extents))
}

/// The further names of an inode.
pub(super) fn links(read: &dyn Read, number: u64) -> Result<Vec<Vec<u8>>, NamespaceError> {
    let prefix = keys::links(number);
    let (mut found, mut from) = (Vec::new(), prefix.clone());
    loop {
        let page = rows::scan(read, &prefix, &from, PAGE)?;
        let is_last = page.len() < PAGE;
        found.extend(page.into_iter().map(|(key, _)| key));
        match found.last() {
            Some(last) if !is_last => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(found),
        }
    }
}

/// A directory's counts against its entries.
pub(super) fn counts(read: &dyn Read, key: &[u8], value: &[u8]) -> Result<Option<Fault>, NamespaceError> {
    let number = keys::number_at(key, 1);
    let Some(row) = known(rows::unseal::<InodeRow>(key, value))?.filter(tree::is_directory) else {
        return Ok(None);
    };
    let _ = row;
    let (mut entries, mut directories) = (0, 0);
    let prefix = keys::deltas(number);
    for (key, value) in rows::scan(read, &prefix, &prefix, PAGE)? {
        let delta = known(rows::unseal::<DeltaRow>(&key, &value))?.unwrap_or_default();
        entries -= delta.entries;
        directories -= delta.directories;
    }
    let prefix = keys::entry(number, b"");
    let mut from = prefix.clone();
    loop {
        let page = rows::scan(read, &prefix, &from, PAGE)?;
        for (key, value) in &page {
            // One that cannot be read was counted when it was made; it is told of elsewhere.
            let row = known(rows::unseal::<EntryRow>(key, value))?.unwrap_or_default();
            if row.state != DirectoryState::Ghost.number() || !tree::is_directory_kind(row.kind) {
                entries += 1;
                directories += i64::from(key.last() == Some(&b'/'));
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
            _ => break,
        }
    }
    let wrong = entries != 0 || directories != 0;
    Ok(wrong.then_some(Fault::Counts { directory: number, entries, directories }))
}

/// True where the entry is there and names the inode.
pub(super) fn is_named(
    read: &dyn Read,
    inode: u64,
    parent: u64,
    name: &[u8],
) -> Result<bool, NamespaceError> {
    let entry = known(tree::entry(read, parent, name))?.flatten();
    Ok(entry.is_some_and(|entry| entry.inode == inode))
}

/// File and inode of a reverse row.
pub(super) fn reverse(key: &[u8]) -> Option<(&str, u64)> {
    let (file, inode) = key.get(1..)?.split_at_checked(key.len().checked_sub(10)?)?;
    let text = std::str::from_utf8(file).ok()?;
    (inode.first() == Some(&0)).then(|| (text, keys::number_at(inode, 1)))
}

/// Bucket and key of an inode, as far as they can be told.
pub(super) fn place(read: &dyn Read, mut number: u64) -> String {
    let (first, mut names) = (number, Vec::new());
    for _ in 0..MAX_DEPTH {
        let Ok(row) = tree::inode(read, number) else { break };
        let name = String::from_utf8_lossy(&row.name).into_owned();
        if row.parent == number {
            names.push(format!("{name}/"));
            names.reverse();
            return names.concat();
        }
        names.push(name);
        number = row.parent;
    }
    format!("inode {first}")
}

/// Whether a row that cannot be read may go: what it is about has to be done again, and nothing that has a name is lost. While it stands its upload
/// can neither be completed nor ended.
fn is_expendable(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(keys::PART | keys::UPLOAD | keys::COMPLETED)))
}

/// What is damaged is told of where it stands; who asks for it learns that it is not known.
pub(super) fn known<T>(loaded: Result<T, NamespaceError>) -> Result<Option<T>, NamespaceError> {
    match loaded {
        Ok(value) => Ok(Some(value)),
        Err(NamespaceError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A key has 1,024 bytes, so no path is deeper.
const MAX_DEPTH: usize = 1_100;
