//! Lists of raw files, as the storages give them: all files of a store path in byte order.

use fdfs_namespace::{Attributes, Entry, Kind, ListFrom, ListItem, ListPage, ListQuery};
use fdfs_types::RemoteFilename;

use super::{FILE_DEPTH, RawPath, depth_of};
use crate::error::ObjectsError;
use crate::files::{FileStat, RawFile};
use crate::inodes::{DirectoryEntry, DirectoryPage};
use crate::objects::Objects;

impl Objects {
    /// One page of raw keys. A storage is asked a bounded number of times for a page: a page may have fewer items than asked for, or none,
    /// and still have a next one.
    pub(crate) async fn raw_list(
        &self,
        prefix: &RawPath,
        query: &ListQuery,
    ) -> Result<ListPage, ObjectsError> {
        if !matches!(query.delimiter.as_slice(), b"" | b"/") {
            return Err(ObjectsError::NotPermitted("raw files are listed with the delimiter `/` or none"));
        }
        let roll_up = !query.delimiter.is_empty() && prefix.path.matches('/').count() < FILE_DEPTH - 1;
        let limit = query.limit.min(MAX_ITEMS);
        let mut page = ListPage::default();
        let Some(store_path) = store_path_of(prefix) else { return Ok(page) };
        let Ok(below) = before(&prefix.path) else { return Ok(page) };
        let from = match &query.from {
            ListFrom::Start => None,
            ListFrom::After(key) | ListFrom::Resume(key) => behind(&String::from_utf8_lossy(key)),
        };
        let mut after = below.max(from);
        for _ in 0..MAX_ASKED {
            let room = limit - page.items.len();
            if room == 0 {
                break;
            }
            let ask = if roll_up { 1 } else { room };
            let listed = self.files.list(&prefix.group, store_path, after.as_ref(), ask).await?;
            for file in listed.files {
                let key = file.filename.as_str().to_owned();
                if !key.starts_with(&prefix.path) {
                    return Ok(page);
                }
                match key[prefix.path.len()..].split_once('/').filter(|_| roll_up) {
                    Some((name, _)) => {
                        let common = format!("{}{name}/", prefix.path);
                        after = behind(&common);
                        page.items.push(ListItem::CommonPrefix(common.into_bytes()));
                    }
                    None => {
                        after = Some(file.filename.clone());
                        page.items.extend(self.raw_item(prefix, key, &file));
                    }
                }
            }
            if !listed.more {
                return Ok(page);
            }
        }
        page.next = after.map(|after| after.as_str().as_bytes().to_vec());
        Ok(page)
    }

    /// A page of a raw directory. The directories of a store path are known by their numbers; files are asked for.
    pub(crate) async fn read_raw_directory(
        &self,
        path: &RawPath,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<DirectoryPage, ObjectsError> {
        let after = after.map(|after| String::from_utf8_lossy(&after).into_owned()).unwrap_or_default();
        let limit = limit.clamp(1, MAX_ITEMS);
        let group = self.check_store_path(path).await?;
        let depth = depth_of(&path.path).ok_or(ObjectsError::NotFound)?;
        let mut page = DirectoryPage::default();
        if depth < FILE_DEPTH - 1 {
            let names = (0..group.subdirs).map(|number| format!("{number:02X}"));
            for name in names.filter(|name| *name > after).take(limit) {
                let attributes = self.raw_attributes(&path.child(&name)?).await?;
                page.entries.push(DirectoryEntry { name: name.into_bytes(), attributes });
            }
        } else if depth < FILE_DEPTH {
            let prefix = RawPath { group: path.group, path: format!("{}/", path.path) };
            let from =
                if after.is_empty() { ListFrom::Start } else { ListFrom::After(child_key(&prefix, &after)) };
            let query = ListQuery { limit, from, ..ListQuery::default() };
            for item in self.raw_list(&prefix, &query).await?.items {
                let ListItem::Key { entry, .. } = item else { continue };
                let Some(attributes) = entry.attributes else { continue };
                page.entries.push(DirectoryEntry { name: entry.name, attributes });
            }
        } else {
            return Err(ObjectsError::NotDirectory);
        }
        page.next = page.entries.last().map(|last| last.name.clone());
        Ok(page)
    }

    fn raw_item(&self, prefix: &RawPath, key: String, file: &RawFile) -> Option<ListItem> {
        let path = RawPath { group: prefix.group, path: key };
        let attributes = self.raw_listed_attributes(&path, file)?;
        let entry = Entry {
            name: file.filename.base_name().as_bytes().to_vec(),
            inode: attributes.inode,
            kind: Kind::File,
            state: attributes.state,
            attributes: Some(attributes),
        };
        Some(ListItem::Key { key: path.path.into_bytes(), entry })
    }

    /// The attributes of a listed file: from its name and what the storage said, without asking again.
    fn raw_listed_attributes(&self, path: &RawPath, file: &RawFile) -> Option<Attributes> {
        let fields = file.filename.fields().ok()?;
        let created = fields.created().0;
        let stat = FileStat { size: file.size, created, crc32: fields.crc32, source: None };
        Some(self.raw_file_attributes(path, &stat))
    }
}

/// The index of the store path.
fn store_path_of(path: &RawPath) -> Option<u8> {
    u8::from_str_radix(path.path.get(1..3)?, 16).ok()
}

/// A name that is before every name with this prefix and behind all others before them; none for the store path's beginning, an error where no
/// file can have the prefix.
fn before(prefix: &str) -> Result<Option<RemoteFilename>, ObjectsError> {
    if prefix.len() <= "M00/".len() {
        return Ok(None);
    }
    let text = match FIRST.get(prefix.len()..) {
        Some(rest) if !rest.is_empty() => format!("{prefix}{rest}"),
        _ => {
            let mut text = prefix.to_owned();
            let last = text.pop().and_then(|last| char::from_u32(u32::from(last).saturating_sub(1)));
            text.extend(last);
            text.push_str(LAST_NAME);
            text
        }
    };
    text.parse().map(Some).map_err(|_| ObjectsError::NotFound)
}

/// The name after which a list goes on behind `key`: a file's name, or a common prefix, behind all below it.
fn behind(key: &str) -> Option<RemoteFilename> {
    let text = match (key.ends_with('/'), key.matches('/').count()) {
        (true, 1) => format!("{key}FF/FF/{LAST_NAME}"),
        (true, 2) => format!("{key}FF/{LAST_NAME}"),
        (true, _) => format!("{key}{LAST_NAME}"),
        (false, _) => key.to_owned(),
    };
    text.parse().ok()
}

fn child_key(prefix: &RawPath, name: &str) -> Vec<u8> {
    format!("{}{name}", prefix.path).into_bytes()
}

/// What a name is filled up with to be the first of a directory: no file's name has a space.
const FIRST: &str = "M00/00/00/ ";
/// Behind every name: no file's name has a tilde.
const LAST_NAME: &str = "~";
/// Items of a page.
const MAX_ITEMS: usize = 1_000;
/// How often a storage is asked for one page.
const MAX_ASKED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_behind_the_names_before_it() {
        let text = |prefix: &str| before(prefix).unwrap().map(|name| name.as_str().to_owned());
        assert_eq!(text("M00/"), None);
        assert_eq!(text("M0A/1").unwrap(), "M0A/10/00/ ");
        assert_eq!(text("M00/1A").unwrap(), "M00/1A/00/ ");
        assert_eq!(text("M00/1A/2B/").unwrap(), "M00/1A/2B/ ");
        assert_eq!(text("M00/1A/2B/fw").unwrap(), "M00/1A/2B/fv~");
        assert!(before("M00/1g").is_err());
    }

    #[test]
    fn a_list_goes_on_behind_a_file_or_behind_all_below_a_prefix() {
        let text = |key: &str| behind(key).unwrap().as_str().to_owned();
        assert_eq!(text("M00/1A/2B/name"), "M00/1A/2B/name");
        assert_eq!(text("M00/1A/2B/"), "M00/1A/2B/~");
        assert_eq!(text("M00/1A/"), "M00/1A/FF/~");
        assert_eq!(behind("M00/1A"), None);
    }
}
