//! Lists of raw files, as the storages give them.

use fdfs_namespace::{Attributes, Entry, Kind, ListFrom, ListItem, ListPage, ListQuery};

use super::{FILE_DEPTH, RawPath, depth_of};
use crate::error::ObjectsError;
use crate::files::{FileStat, RawEntry};
use crate::objects::Objects;

/// Directories that are still to be walked: the path with its slash, and the name after which to go on.
type Walk = Vec<(String, String)>;

impl Objects {
    /// One page of raw keys. The storages are asked directory by directory, a bounded number of them for a page: a page may have fewer items than
    /// asked for, or none, and still have a next one.
    pub(crate) async fn raw_list(
        &self,
        prefix: &RawPath,
        query: &ListQuery,
    ) -> Result<ListPage, ObjectsError> {
        if !matches!(query.delimiter.as_slice(), b"" | b"/") {
            return Err(ObjectsError::NotPermitted("raw files are listed with the delimiter `/` or none"));
        }
        let roll_up = !query.delimiter.is_empty();
        let limit = query.limit.min(MAX_ITEMS);
        let after = match &query.from {
            ListFrom::Start => String::new(),
            ListFrom::After(key) | ListFrom::Resume(key) => String::from_utf8_lossy(key).into_owned(),
        };
        let mut walk = seek(&prefix.path, &after);
        let mut page = ListPage::default();
        for _ in 0..MAX_DIRECTORIES {
            let Some((directory, from)) = walk.pop() else { return Ok(page) };
            let room = limit - page.items.len();
            if room == 0 {
                page.next = Some(position(&directory, &from));
                return Ok(page);
            }
            let name = directory.trim_end_matches('/');
            let entries = self.files.list(&prefix.group, name, &from, room.min(MAX_ITEMS)).await?;
            let Some(last) = entries.last().map(|entry| entry.name.clone()) else { continue };
            walk.push((directory.clone(), last));
            let mut below = Vec::new();
            for entry in entries {
                let key = format!("{directory}{}", entry.name);
                if !key.starts_with(&prefix.path) && !prefix.path.starts_with(&format!("{key}/")) {
                    continue;
                }
                match entry.size {
                    None if roll_up => {
                        page.items.push(ListItem::CommonPrefix(format!("{key}/").into_bytes()));
                    }
                    None => below.push((format!("{key}/"), String::new())),
                    Some(_) => page.items.extend(self.raw_item(prefix, key, &entry)),
                }
            }
            // What is below comes before what is after.
            walk.extend(below.into_iter().rev());
        }
        page.next = walk.last().map(|(directory, from)| position(directory, from));
        Ok(page)
    }

    /// The attributes of a listed file: from its name and what the storage said, without asking again.
    pub(crate) fn raw_listed_attributes(&self, path: &RawPath, size: u64) -> Option<Attributes> {
        let fields = path.file()?.filename.fields().ok()?;
        let stat = FileStat { size, created: fields.created().0, crc32: fields.crc32, source: None };
        Some(self.raw_file_attributes(path, &stat))
    }

    fn raw_item(&self, prefix: &RawPath, key: String, entry: &RawEntry) -> Option<ListItem> {
        let path = RawPath { group: prefix.group, path: key.clone() };
        let attributes = self.raw_listed_attributes(&path, entry.size?)?;
        let entry = Entry {
            name: entry.name.clone().into_bytes(),
            inode: attributes.inode,
            kind: Kind::File,
            state: attributes.state,
            attributes: Some(attributes),
        };
        Some(ListItem::Key { key: key.into_bytes(), entry })
    }
}

/// The directories in which keys with `prefix` and after `after` are; the first to be walked is the last.
fn seek(prefix: &str, after: &str) -> Walk {
    let (top, _) = prefix.rsplit_once('/').unwrap_or((prefix, ""));
    let top = format!("{top}/");
    let mut walk = vec![(top.clone(), String::new())];
    let Some(mut rest) = after.strip_prefix(&top) else { return walk };
    let mut directory = top;
    loop {
        let Some(level) = walk.last_mut() else { return walk };
        match rest.split_once('/') {
            Some((name, below)) if !name.is_empty() => {
                level.1 = name.to_owned();
                directory = format!("{directory}{name}/");
                if depth_of(directory.trim_end_matches('/')).is_none_or(|depth| depth >= FILE_DEPTH) {
                    return walk;
                }
                // After a common prefix, or a directory that was walked to its end.
                if below.is_empty() {
                    return walk;
                }
                walk.push((directory.clone(), String::new()));
                rest = below;
            }
            _ => {
                level.1 = if rest == BEFORE_ALL { String::new() } else { rest.to_owned() };
                return walk;
            }
        }
    }
}

/// Where to go on: after `from` in `directory`, which may not have been looked at yet.
fn position(directory: &str, from: &str) -> Vec<u8> {
    let from = if from.is_empty() { BEFORE_ALL } else { from };
    [directory, from].concat().into_bytes()
}

/// A name before every name of a directory.
const BEFORE_ALL: &str = "\u{1}";
/// Items of a page.
const MAX_ITEMS: usize = 1_000;
/// Directories asked for in one page.
const MAX_DIRECTORIES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_on_after_the_key_it_ended_with() {
        let at = |directory: &str, from: &str| (directory.to_owned(), from.to_owned());
        assert_eq!(seek("M00/", ""), [at("M00/", "")]);
        assert_eq!(seek("M00/1A/", "M00/1A/2B/name"), [at("M00/1A/", "2B"), at("M00/1A/2B/", "name")]);
        assert_eq!(seek("M00/", "M00/1A/"), [at("M00/", "1A")]);
        let unseen = String::from_utf8(position("M00/1A/", "")).unwrap();
        assert_eq!(seek("M00/", &unseen), [at("M00/", "1A"), at("M00/1A/", "")]);
        assert_eq!(seek("M00/1", "M00/1A/2B/"), [at("M00/", "1A"), at("M00/1A/", "2B")]);
    }
}
