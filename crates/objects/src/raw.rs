//! Raw files: `M00/…` of a group's bucket shows every file of the group by its ID, whoever uploaded it.

mod inodes;
mod listing;

use std::sync::Arc;

use fdfs_namespace::{Attributes, Bucket, ETag, ExtendedAttributes, Extent, Kind, SetMode};
use fdfs_types::{FileId, GroupName, Metadata};

use crate::error::ObjectsError;
use crate::files::{FileStat, FilesError};
use crate::info::ObjectInfo;
use crate::objects::Objects;
use crate::pins::Pin;
use crate::reader::ObjectReader;
use crate::xattr::USER;

pub(crate) use inodes::{RawInodes, kind, store_path};

/// A raw file or directory: its group and its path there, `M00`, `M00/1A`, `M00/1A/2B` or `M00/1A/2B/NAME`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RawPath {
    pub(crate) group: GroupName,
    pub(crate) path: String,
}

/// The raw path that a key means, if it means one; an error where there can be nothing.
pub(crate) fn path_of(bucket: &Bucket, key: &[u8]) -> Option<Result<RawPath, ObjectsError>> {
    let group = bucket.group.as_ref()?;
    if !is_reserved(bucket, key) {
        return None;
    }
    let path = std::str::from_utf8(key).ok().filter(|path| depth_of(path).is_some());
    Some(path.map(|path| RawPath { group: *group, path: path.to_owned() }).ok_or(ObjectsError::NotFound))
}

/// The raw path that a list is restricted to by its prefix: the prefix must name a store path with its slash.
pub(crate) fn prefix_of(bucket: &Bucket, prefix: &[u8]) -> Option<RawPath> {
    let group = bucket.group.as_ref()?;
    if !is_reserved(bucket, prefix) || prefix.get(3) != Some(&b'/') {
        return None;
    }
    let path = std::str::from_utf8(prefix).ok()?;
    Some(RawPath { group: *group, path: path.to_owned() })
}

/// True for keys that raw files have: they are never put.
pub(crate) fn is_reserved(bucket: &Bucket, key: &[u8]) -> bool {
    let first = key.split(|byte| *byte == b'/').next().unwrap_or_default();
    bucket.group.is_some() && is_store_path(first)
}

/// True for `M00` to `MFF`.
pub(crate) fn is_store_path(name: &[u8]) -> bool {
    matches!(name, [b'M', high, low] if is_hex(*high) && is_hex(*low))
}

impl RawPath {
    /// What stands under `name` in this directory, by its form alone.
    pub(crate) fn child(&self, name: &str) -> Result<Self, ObjectsError> {
        let path = format!("{}/{name}", self.path);
        depth_of(&path).ok_or(ObjectsError::NotFound)?;
        Ok(Self { group: self.group, path })
    }

    /// The file, if it is one by its form.
    pub(crate) fn file(&self) -> Option<FileId> {
        let is_file = depth_of(&self.path) == Some(FILE_DEPTH);
        let filename = is_file.then(|| self.path.parse().ok()).flatten()?;
        Some(FileId { group: self.group, filename })
    }
}

impl Objects {
    /// What is known of a raw file, its metadata included.
    pub(crate) async fn raw_info(&self, path: &RawPath) -> Result<ObjectInfo, ObjectsError> {
        let file = path.file().ok_or(ObjectsError::NotFound)?;
        if file.filename.is_private() {
            return Err(ObjectsError::NotPermitted("a private file is not read by its ID"));
        }
        let stat = self.raw_stat(path, &file).await?;
        let metadata = match self.files.metadata(&file).await {
            Ok(metadata) => metadata,
            Err(FilesError::NotFound) => Metadata::new(),
            Err(error) => return Err(error.into()),
        };
        let extended = metadata.iter().map(|(name, value)| ([USER, name].concat(), value.to_vec())).collect();
        Ok(ObjectInfo {
            attributes: self.raw_file_attributes(path, &stat),
            extended,
            file_id: Some(file),
            raw: true,
            ..ObjectInfo::default()
        })
    }

    /// Opens a raw file.
    pub(crate) async fn raw_open(&self, path: &RawPath, pin: Pin) -> Result<ObjectReader, ObjectsError> {
        let info = self.raw_info(path).await?;
        let file = info.file_id.clone().ok_or(ObjectsError::NotFound)?;
        let extents = vec![Extent::whole(file, info.size())];
        Ok(ObjectReader::new(info, extents, Arc::clone(&self.files), pin))
    }

    /// Deletes a raw file, where that is allowed to everybody here and no name refers to it.
    pub(crate) async fn raw_delete(&self, path: &RawPath) -> Result<(), ObjectsError> {
        if !self.settings.raw_delete {
            return Err(ObjectsError::NotPermitted("raw files are not deleted by their paths"));
        }
        self.raw_delete_permitted(path).await
    }

    /// Deletes a raw file, unless a name refers to it.
    pub(crate) async fn raw_delete_permitted(&self, path: &RawPath) -> Result<(), ObjectsError> {
        let file = path.file().ok_or(ObjectsError::NotFound)?;
        if self.names.is_named(&file).await? {
            return Err(ObjectsError::NotPermitted("a name refers to this file"));
        }
        Ok(self.files.delete(&file).await?)
    }

    /// Attributes of a raw file or directory.
    pub(crate) async fn raw_attributes(&self, path: &RawPath) -> Result<Attributes, ObjectsError> {
        match path.file() {
            Some(file) => {
                let stat = self.raw_stat(path, &file).await?;
                Ok(self.raw_file_attributes(path, &stat))
            }
            None => self.raw_directory_attributes(path).await,
        }
    }

    /// Sets or removes one pair of a raw file's metadata.
    pub(crate) async fn raw_set_extended(
        &self,
        path: &RawPath,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), ObjectsError> {
        let file = path.file().ok_or(ObjectsError::NotPermitted("raw directories have no attributes"))?;
        let short = name
            .strip_prefix(USER)
            .ok_or(ObjectsError::NotPermitted("raw files have user attributes only"))?;
        let info = self.raw_info(path).await?;
        let exists = info.extended.contains_key(name);
        let mut extended: ExtendedAttributes = info.extended;
        match (value, mode) {
            (Some(_), SetMode::Create) if exists => return Err(ObjectsError::AlreadyExists),
            (Some(_), SetMode::Replace) | (None, _) if !exists => return Err(ObjectsError::NoAttribute),
            (Some(value), _) => extended.insert(name.to_vec(), value.to_vec()),
            (None, _) => extended.remove(name),
        };
        let mut metadata = Metadata::new();
        for (name, value) in &extended {
            let name = name.strip_prefix(USER).unwrap_or(short);
            metadata.insert(name, value).map_err(|_| ObjectsError::AttributesTooLarge)?;
        }
        Ok(self.files.set_metadata(&file, &metadata).await?)
    }

    async fn raw_stat(&self, path: &RawPath, file: &FileId) -> Result<FileStat, ObjectsError> {
        self.check_store_path(path).await?;
        Ok(self.files.stat(file).await?)
    }

    fn raw_file_attributes(&self, path: &RawPath, stat: &FileStat) -> Attributes {
        let time = stat.created.saturating_mul(1_000_000_000);
        let mut digest = [0; 16];
        digest[..4].copy_from_slice(&stat.crc32.to_be_bytes());
        digest[4..12].copy_from_slice(&stat.size.to_be_bytes());
        digest[12..].copy_from_slice(&(stat.created as u32).to_be_bytes());
        Attributes {
            inode: self.raw_inodes.number(path),
            kind: Kind::File,
            size: stat.size,
            mode: 0o444,
            links: 1,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
            content_time: u64::try_from(stat.created).unwrap_or_default().saturating_mul(1_000),
            etag: Some(ETag { digest, parts: Some(0) }),
            ..Attributes::default()
        }
    }

    async fn raw_directory_attributes(&self, path: &RawPath) -> Result<Attributes, ObjectsError> {
        let group = self.check_store_path(path).await?;
        // A directory exists if its numbers are below what the group's storages have.
        let in_range = |name: &str| u32::from_str_radix(name, 16).is_ok_and(|number| number < group.subdirs);
        if !path.path.split('/').skip(1).all(in_range) {
            return Err(ObjectsError::NotFound);
        }
        Ok(Attributes {
            inode: self.raw_inodes.number(path),
            kind: Kind::Directory,
            mode: 0o555,
            links: 2,
            ..Attributes::default()
        })
    }

    /// The group of a raw path, if it has that store path.
    async fn check_store_path(&self, path: &RawPath) -> Result<crate::files::GroupSpace, ObjectsError> {
        let groups = self.known_groups().await?;
        let group =
            groups.into_iter().find(|group| group.name == path.group).ok_or(ObjectsError::NotFound)?;
        let index = path.path.get(1..3).and_then(|index| u32::from_str_radix(index, 16).ok());
        if index.is_some_and(|index| index < group.store_paths) {
            Ok(group)
        } else {
            Err(ObjectsError::NotFound)
        }
    }
}

/// How deep a path stands, 1 (`M00`) to 4 (a file), if it has the form of a raw path.
fn depth_of(path: &str) -> Option<usize> {
    let mut depth = 0;
    for name in path.split('/') {
        depth += 1;
        let fits = match depth {
            1 => is_store_path(name.as_bytes()),
            2 | 3 => matches!(name.as_bytes(), [high, low] if is_hex(*high) && is_hex(*low)),
            FILE_DEPTH => !name.is_empty(),
            _ => false,
        };
        if !fits {
            return None;
        }
    }
    Some(depth)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)
}

/// Where files stand: store path, two directories, file.
const FILE_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(group: Option<&str>) -> Bucket {
        Bucket {
            name: "group1".to_owned(),
            root: 2_000,
            group: group.map(|group| group.parse().unwrap()),
            placement: Vec::new(),
            created: 0,
            owner: String::new(),
            versioning: Default::default(),
            native_read_off: false,
        }
    }

    #[test]
    fn only_a_groups_bucket_has_raw_keys_and_only_under_m00_to_mff() {
        let group = bucket(Some("group1"));
        for key in ["M00", "MFF/x", "M0A/00/1F/name", "M00/"] {
            assert!(is_reserved(&group, key.as_bytes()), "{key}");
            assert!(!is_reserved(&bucket(None), key.as_bytes()), "{key}");
        }
        for key in ["M000/x", "m00/x", "M0g/x", "MAP", "x/M00", "M0"] {
            assert!(!is_reserved(&group, key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn a_raw_key_is_a_file_only_in_full() {
        let group = bucket(Some("group1"));
        let name = "M00/01/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt";
        let path = path_of(&group, name.as_bytes()).unwrap().unwrap();
        assert_eq!(path.file().unwrap().to_string(), format!("group1/{name}"));
        assert!(path_of(&group, b"M00/01/07").unwrap().unwrap().file().is_none());
        assert!(matches!(path_of(&group, b"M00/0G/07/x"), Some(Err(ObjectsError::NotFound))));
        assert!(matches!(path_of(&group, b"M00/01/07/a/b"), Some(Err(ObjectsError::NotFound))));
        assert!(path_of(&group, b"pets/cat.jpg").is_none());
    }

    #[test]
    fn a_list_shows_raw_files_only_under_a_prefix_with_the_store_path_and_its_slash() {
        let group = bucket(Some("group1"));
        assert!(prefix_of(&group, b"M00/").is_some());
        assert!(prefix_of(&group, b"M00/0").is_some());
        assert!(prefix_of(&group, b"M00").is_none());
        assert!(prefix_of(&group, b"").is_none());
        assert!(prefix_of(&bucket(None), b"M00/").is_none());
    }
}
