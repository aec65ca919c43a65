//! Lists of keys: a walk of the tree is a walk of the keys in byte order.

use crate::attributes::{DirectoryState, Entry};
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::names;
use crate::rows::EntryRow;
use crate::tree;
use crate::tree::keyed;

/// Which keys to list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListQuery {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Roll keys up to the first occurrence of this after the prefix; empty for no rolling up.
    pub delimiter: Vec<u8>,
    /// Where to begin.
    pub from: ListFrom,
    /// The most keys and common prefixes together; at most 1,000.
    pub limit: usize,
}

/// Where a list begins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ListFrom {
    /// At the first key.
    #[default]
    Start,
    /// After this key; where it equals a common prefix, after all that prefix rolls up.
    After(Vec<u8>),
    /// Where an earlier page ended: [`ListPage::next`].
    Resume(Vec<u8>),
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListPage {
    /// Keys and common prefixes, together in byte order.
    pub items: Vec<ListItem>,
    /// Where the next page begins, if there is more.
    pub next: Option<Vec<u8>>,
}

/// A key or a common prefix.
#[derive(Clone, Debug, PartialEq)]
pub enum ListItem {
    /// A key.
    Key {
        /// The whole key.
        key: Vec<u8>,
        /// Its entry.
        entry: Entry,
    },
    /// What several keys begin with, up to the delimiter.
    CommonPrefix(Vec<u8>),
}

/// One page of keys.
pub(crate) fn list(read: &dyn Read, root: u64, query: &ListQuery) -> Result<ListPage, NamespaceError> {
    let limit = query.limit.min(PAGE);
    let mut from = match &query.from {
        ListFrom::Start => query.prefix.clone(),
        ListFrom::Resume(from) => from.clone(),
        ListFrom::After(key) => match rolled_up(&query.prefix, &query.delimiter, key) {
            Some(common) if common.len() == key.len() => successor(common),
            _ => after_key(key),
        },
    };
    if from < query.prefix {
        from.clone_from(&query.prefix);
    }
    let mut page = ListPage::default();
    if limit == 0 {
        return Ok(page);
    }
    // A common prefix that ends in the middle of a name is skipped by seeking anew.
    // Where common prefixes are skipped by seeking, what was read behind them is in vain.
    let ahead = if matches!(query.delimiter.as_slice(), b"" | b"/") { PAGE } else { FEW_ROWS };
    loop {
        let mut walk = Walk::seek(read, root, &from)?;
        match fill(read, &mut walk, query, (limit, ahead), &mut page)? {
            Some(skip) if !skip.is_empty() => from = skip,
            _ => return Ok(page),
        }
    }
}

/// Walks on until the page is full or the keys end (none), or a common prefix has to be skipped (where to).
fn fill(
    read: &dyn Read,
    walk: &mut Walk,
    query: &ListQuery,
    (limit, ahead): (usize, usize),
    page: &mut ListPage,
) -> Result<Option<Vec<u8>>, NamespaceError> {
    loop {
        // As many rows as there is room for, and the one that tells that there is more.
        let wanted = (limit - page.items.len() + 1).clamp(FEW_ROWS.min(limit + 1), ahead);
        let Some((key, row)) = walk.next(read, wanted)? else { return Ok(None) };
        if !key.starts_with(&query.prefix) {
            return Ok(None);
        }
        let is_directory = key.ends_with(b"/");
        let is_key = row.state == DirectoryState::Explicit.number();
        if row.state == DirectoryState::Ghost.number() {
            continue;
        }
        let common = rolled_up(&query.prefix, &query.delimiter, &key);
        if common.is_none() && !is_key {
            walk.descend(&key, row.inode);
            continue;
        }
        if page.items.len() == limit {
            page.next = Some(key);
            return Ok(None);
        }
        match common {
            Some(common) => {
                let whole_directory = common.len() == key.len();
                let skip = successor(common);
                page.items.push(ListItem::CommonPrefix(common.to_vec()));
                if !(is_directory && whole_directory) {
                    return Ok(Some(skip));
                }
            }
            None => {
                if is_directory {
                    walk.descend(&key, row.inode);
                }
                let entry = tree::visible(names::last_name(&key), &row)?;
                page.items.push(ListItem::Key { key, entry });
            }
        }
    }
}

/// What `key` is rolled up to, if it is.
pub(crate) fn rolled_up<'k>(prefix: &[u8], delimiter: &[u8], key: &'k [u8]) -> Option<&'k [u8]> {
    let rest = key.strip_prefix(prefix)?;
    let at = match delimiter {
        [] => None,
        [byte] => rest.iter().position(|other| other == byte),
        delimiter => rest.windows(delimiter.len()).position(|window| window == delimiter),
    };
    at.map(|at| &key[..prefix.len() + at + delimiter.len()])
}

/// The first key after `key`: no key holds a NUL.
fn after_key(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// The first key that does not begin with `prefix`, and is after those that do; empty if there can be none.
fn successor(prefix: &[u8]) -> Vec<u8> {
    crate::engine::prefix_end(prefix)
}

/// A depth-first walk from a key on.
struct Walk {
    levels: Vec<Level>,
}

/// A directory on the way: what was read of it and is still to be visited, and where its next page begins.
struct Level {
    inode: u64,
    /// The directory's key: empty for the root, else with its slash.
    key: Vec<u8>,
    page: std::vec::IntoIter<(Vec<u8>, EntryRow)>,
    next: Option<Vec<u8>>,
}

impl Walk {
    /// Stands before the first key that is not before `from`.
    fn seek(read: &dyn Read, root: u64, from: &[u8]) -> Result<Self, NamespaceError> {
        let mut walk = Self { levels: Vec::new() };
        let (mut inode, mut key, mut rest) = (root, Vec::new(), from);
        loop {
            let head = rest.iter().position(|byte| *byte == b'/').map(|slash| rest.split_at(slash + 1));
            let Some((head, below)) = head.filter(|(_, below)| !below.is_empty()) else {
                walk.levels.push(Level::new(inode, key, rest.to_vec()));
                return Ok(walk);
            };
            // Keys below `head` come next, then the names after it.
            let mut directory = key.clone();
            directory.extend_from_slice(head);
            walk.levels.push(Level::new(inode, key, after_key(head)));
            match keyed::descend(read, inode, &[head])? {
                Some(found) => (inode, key, rest) = (found, directory, below),
                None => return Ok(walk),
            }
        }
    }

    /// The next entry: its whole key and its row. Directories are not entered unless asked for.
    fn next(
        &mut self,
        read: &dyn Read,
        wanted: usize,
    ) -> Result<Option<(Vec<u8>, EntryRow)>, NamespaceError> {
        while let Some(level) = self.levels.last_mut() {
            if let Some((name, row)) = level.next(read, wanted)? {
                if level.key.is_empty() {
                    return Ok(Some((name, row)));
                }
                let mut key = Vec::with_capacity(level.key.len() + name.len() + 1);
                key.extend_from_slice(&level.key);
                key.extend_from_slice(&name);
                return Ok(Some((key, row)));
            }
            self.levels.pop();
        }
        Ok(None)
    }

    /// Visits what is in the directory `key` next.
    fn descend(&mut self, key: &[u8], inode: u64) {
        self.levels.push(Level::new(inode, key.to_vec(), Vec::new()));
    }
}

impl Level {
    fn new(inode: u64, key: Vec<u8>, from: Vec<u8>) -> Self {
        Self { inode, key, page: Vec::new().into_iter(), next: Some(from) }
    }

    fn next(
        &mut self,
        read: &dyn Read,
        wanted: usize,
    ) -> Result<Option<(Vec<u8>, EntryRow)>, NamespaceError> {
        if let Some(found) = self.page.next() {
            return Ok(Some(found));
        }
        let Some(from) = self.next.take() else { return Ok(None) };
        let page = tree::entries(read, self.inode, &from, wanted)?;
        if page.len() == wanted {
            self.next = page.last().map(|(name, _)| after_key(name));
        }
        self.page = page.into_iter();
        Ok(self.page.next())
    }
}

/// The fewest rows that are read of a directory at once, and the most where the next ones may be skipped.
const FEW_ROWS: usize = 64;
