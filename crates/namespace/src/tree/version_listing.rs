//! Lists of versions: keys in byte order, and of each key the newest version first.

use crate::attributes::{DirectoryState, ETag, Kind};
use crate::engine::{PAGE, Read, Row, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, EntryRow};
use crate::tree;
use crate::tree::keyed;
use crate::tree::listing::rolled_up;
use crate::tree::versions::{self, VersionId};

/// Which versions to list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionQuery {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Roll keys up to the first occurrence of this after the prefix; empty for no rolling up.
    pub delimiter: Vec<u8>,
    /// Where to begin.
    pub from: VersionStart,
    /// The most versions and common prefixes together; at most 1,000.
    pub limit: usize,
}

/// Where a list of versions begins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum VersionStart {
    /// At the first key.
    #[default]
    Start,
    /// After all versions of this key; where it equals a common prefix, after all that prefix rolls up.
    AfterKey(Vec<u8>),
    /// After this version of this key.
    AfterVersion(Vec<u8>, VersionId),
}

/// One page of versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionPage {
    /// Versions, delete markers and common prefixes, together in order.
    pub items: Vec<VersionItem>,
    /// There is more.
    pub is_truncated: bool,
}

/// A version, a delete marker or a common prefix.
#[derive(Clone, Debug, PartialEq)]
pub enum VersionItem {
    /// A version.
    Version {
        /// The whole key.
        key: Vec<u8>,
        /// Which of it.
        version_id: VersionId,
        /// It is the newest.
        is_latest: bool,
        /// It is a delete marker, without content.
        delete_marker: bool,
        /// Bytes of content.
        size: u64,
        /// The content's ETag.
        etag: Option<ETag>,
        /// When it was put, milliseconds since 1970.
        content_time: u64,
    },
    /// What several keys begin with, up to the delimiter.
    CommonPrefix(Vec<u8>),
}

/// One page of versions.
pub(crate) fn list(read: &dyn Read, root: u64, query: &VersionQuery) -> Result<VersionPage, NamespaceError> {
    let limit = query.limit.min(PAGE);
    let mut page = VersionPage::default();
    if limit == 0 {
        return Ok(page);
    }
    let mut after = None;
    let mut from = match &query.from {
        VersionStart::Start => query.prefix.clone(),
        VersionStart::AfterKey(key) => match rolled_up(&query.prefix, &query.delimiter, key) {
            Some(common) if common.len() == key.len() => prefix_end(common),
            _ => after_versions(key),
        },
        VersionStart::AfterVersion(key, version_id) => {
            after = sequence_of(read, root, key, *version_id)?.map(|sequence| (key.clone(), sequence));
            if after.is_some() { key.clone() } else { after_versions(key) }
        }
    };
    if from < query.prefix {
        (from, after) = (query.prefix.clone(), None);
    }
    loop {
        let mut walk = Walk::seek(read, root, &from, after.take())?;
        match fill(read, &mut walk, query, limit, &mut page)? {
            Some(skip) if !skip.is_empty() => from = skip,
            _ => return Ok(page),
        }
    }
}

/// Walks on until the page is full or the keys end (none), or a common prefix has to be skipped (where to).
fn fill(
    read: &dyn Read,
    walk: &mut Walk,
    query: &VersionQuery,
    limit: usize,
    page: &mut VersionPage,
) -> Result<Option<Vec<u8>>, NamespaceError> {
    while let Some(found) = walk.next(read)? {
        if !found.key.starts_with(&query.prefix) {
            return Ok(None);
        }
        let common = rolled_up(&query.prefix, &query.delimiter, &found.key);
        if common.is_none() && !found.is_version {
            continue;
        }
        if page.items.len() == limit {
            page.is_truncated = true;
            return Ok(None);
        }
        match common {
            Some(common) => {
                page.items.push(VersionItem::CommonPrefix(common.to_vec()));
                return Ok(Some(prefix_end(common)));
            }
            None => page.items.push(found.into_item(read)?),
        }
    }
    Ok(None)
}

/// Behind a name and all versions of it: rows of versions have a NUL there, and names have none.
fn after_versions(name: &[u8]) -> Vec<u8> {
    [name, &[1]].concat()
}

/// The sequence of a version, for the versions after it; none where the version of no number is gone.
fn sequence_of(
    read: &dyn Read,
    root: u64,
    key: &[u8],
    version_id: VersionId,
) -> Result<Option<u64>, NamespaceError> {
    if let VersionId::Number(sequence) = version_id {
        return Ok(Some(sequence));
    }
    let (directories, name) = crate::names::split_key(key);
    let Some(parent) = keyed::descend(read, root, &directories)? else { return Ok(None) };
    if let Some(number) = keyed::find(read, root, key)? {
        let row = tree::inode(read, number)?;
        if versions::of_row(&row) == version_id {
            return Ok(Some(row.sequence));
        }
    }
    Ok(versions::older(read, parent, name, version_id)?.map(|older| older.sequence))
}

/// What a walk comes by: a version, or a directory that is no key.
struct Found {
    key: Vec<u8>,
    row: EntryRow,
    is_version: bool,
    is_latest: bool,
}

impl Found {
    fn into_item(self, read: &dyn Read) -> Result<VersionItem, NamespaceError> {
        let Self { key, mut row, is_latest, .. } = self;
        let is_bare = row.kind != Kind::Directory.number() && row.mode.is_none() && !row.delete_marker;
        if is_bare {
            let inode = tree::inode(read, row.inode)?;
            (row.size, row.content_time) = (inode.size, inode.content_time);
            (row.etag, row.etag_parts) = (inode.etag, inode.etag_parts);
            (row.sequence, row.versioned) = (inode.sequence, inode.versioned);
        }
        Ok(VersionItem::Version {
            key,
            version_id: if row.versioned { VersionId::Number(row.sequence) } else { VersionId::Null },
            is_latest,
            delete_marker: row.delete_marker,
            size: row.size,
            etag: versions::etag(&row),
            content_time: row.content_time,
        })
    }
}

/// A depth-first walk from a key on.
struct Walk {
    levels: Vec<Level>,
}

impl Walk {
    /// Stands before the first version that is not before `from`, or after the version of that key with this sequence.
    fn seek(
        read: &dyn Read,
        root: u64,
        from: &[u8],
        after: Option<(Vec<u8>, u64)>,
    ) -> Result<Self, NamespaceError> {
        let mut walk = Self { levels: Vec::new() };
        let (mut inode, mut key, mut rest) = (root, Vec::new(), from);
        loop {
            let head = rest.iter().position(|byte| *byte == b'/').map(|slash| rest.split_at(slash + 1));
            let Some((head, below)) = head.filter(|(_, below)| !below.is_empty()) else {
                let after = after.map(|(_, sequence)| (rest.to_vec(), sequence));
                walk.levels.push(Level::new(inode, key, rest.to_vec(), after));
                return Ok(walk);
            };
            // Keys below `head` come next, then the names after it.
            let mut directory = key.clone();
            directory.extend_from_slice(head);
            walk.levels.push(Level::new(inode, key, after_versions(head), None));
            match keyed::descend(read, inode, &[head])? {
                Some(found) => (inode, key, rest) = (found, directory, below),
                None => return Ok(walk),
            }
        }
    }

    fn next(&mut self, read: &dyn Read) -> Result<Option<Found>, NamespaceError> {
        while let Some(level) = self.levels.last_mut() {
            match level.next(read)? {
                Step::Found(found) => return Ok(Some(found)),
                Step::Descend(inode, key) => self.levels.push(Level::new(inode, key, Vec::new(), None)),
                Step::End => drop(self.levels.pop()),
            }
        }
        Ok(None)
    }
}

/// What comes next in a directory.
enum Step {
    Found(Found),
    /// All versions of a directory's own key were told: what is in it comes next.
    Descend(u64, Vec<u8>),
    End,
}

/// A directory on the way: its entries and its older versions, merged.
struct Level {
    key: Vec<u8>,
    entries: Pages,
    older: Pages,
    /// Versions of this name from this sequence on were told on the page before.
    after: Option<(Vec<u8>, u64)>,
    /// The name whose newest version was told last.
    told: Option<Vec<u8>>,
    /// The directory to enter when its name has been told.
    below: Option<(Vec<u8>, u64)>,
}

impl Level {
    fn new(inode: u64, key: Vec<u8>, from: Vec<u8>, after: Option<(Vec<u8>, u64)>) -> Self {
        let told = after.as_ref().map(|(name, _)| name.clone());
        let entries = Pages::new(keys::entry(inode, b""), keys::entry(inode, &from));
        let older = Pages::new(keys::all_olders(inode), [keys::all_olders(inode), from].concat());
        Self { key, entries, older, after, told, below: None }
    }

    fn next(&mut self, read: &dyn Read) -> Result<Step, NamespaceError> {
        loop {
            let entry = self.entries.peek(read)?.map(|(key, _)| key.get(9..).unwrap_or_default().to_vec());
            let older = self.older.peek(read)?.map(|(key, _)| name_of_older(key).to_vec());
            let is_entry = match (&entry, &older) {
                (Some(entry), Some(older)) => entry <= older,
                (entry, _) => entry.is_some(),
            };
            let name = if is_entry { entry } else { older };
            if let Some((directory, inode)) = self.below.take_if(|(below, _)| name.as_ref() != Some(below)) {
                return Ok(Step::Descend(inode, [self.key.as_slice(), &directory].concat()));
            }
            let Some(name) = name else { return Ok(Step::End) };
            let pages = if is_entry { &mut self.entries } else { &mut self.older };
            let Some((key, value)) = pages.take() else { return Ok(Step::End) };
            let row: EntryRow = rows::unseal(&key, &value)?;
            let is_directory = is_entry && row.kind == Kind::Directory.number();
            let is_version = !is_directory || row.state == DirectoryState::Explicit.number();
            if is_directory {
                self.below = Some((name.clone(), row.inode));
            }
            let sequence = match (is_entry, row.mode.is_none() && !is_directory) {
                (true, true) => tree::inode(read, row.inode)?.sequence,
                _ => row.sequence,
            };
            let before =
                self.after.as_ref().is_some_and(|(other, after)| *other == name && sequence >= *after);
            let is_latest = is_version && self.told.as_ref() != Some(&name);
            if is_version {
                self.told = Some(name.clone());
            }
            if before {
                continue;
            }
            let key = [self.key.as_slice(), &name].concat();
            return Ok(Step::Found(Found { key, row, is_version, is_latest }));
        }
    }
}

/// The name in the key of an older version.
fn name_of_older(key: &[u8]) -> &[u8] {
    key.get(9..key.len().saturating_sub(9)).unwrap_or_default()
}

/// Rows of a family in order, read page by page.
struct Pages {
    prefix: Vec<u8>,
    page: std::vec::IntoIter<Row>,
    peeked: Option<Row>,
    next: Option<Vec<u8>>,
    limit: usize,
}

impl Pages {
    fn new(prefix: Vec<u8>, from: Vec<u8>) -> Self {
        Self { prefix, page: Vec::new().into_iter(), peeked: None, next: Some(from), limit: FIRST_ROWS }
    }

    fn peek(&mut self, read: &dyn Read) -> Result<Option<&Row>, NamespaceError> {
        if self.peeked.is_none() {
            self.peeked = self.page.next();
        }
        if self.peeked.is_none()
            && let Some(from) = self.next.take()
        {
            let page = rows::scan(read, &self.prefix, &from, self.limit)?;
            if page.len() == self.limit {
                self.next = page.last().map(|(key, _)| [key.as_slice(), &[0]].concat());
            }
            self.limit = (self.limit * 4).min(PAGE);
            self.page = page.into_iter();
            self.peeked = self.page.next();
        }
        Ok(self.peeked.as_ref())
    }

    fn take(&mut self) -> Option<Row> {
        self.peeked.take()
    }
}

/// Rows read of a directory at first.
const FIRST_ROWS: usize = 64;
