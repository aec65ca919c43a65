//! Inode numbers of raw files, which have no row: made of their paths.

use std::num::NonZeroUsize;

use fdfs_namespace::{Bucket, Kind};
use lru::LruCache;
use md5::{Digest, Md5};
use parking_lot::Mutex;

use super::RawPath;
use crate::error::ObjectsError;

/// The raw paths that inode numbers were given out for. The same path always has the same number; a path not used for long is forgotten
/// and has to be looked up again.
pub(crate) struct RawInodes(Mutex<LruCache<u64, RawPath>>);

impl Default for RawInodes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl RawInodes {
    /// The number of a path.
    pub(crate) fn number(&self, path: &RawPath) -> u64 {
        let digest: [u8; 16] = Md5::digest(format!("{}/{}", path.group, path.path)).into();
        let (first, _) = digest.split_at(8);
        let number = first.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)) | RAW;
        self.0.lock().put(number, path.clone());
        number
    }

    /// The path of a number, if it is one of a raw file; an error if the path is forgotten.
    pub(crate) fn path(&self, number: u64) -> Option<Result<RawPath, ObjectsError>> {
        if number & RAW == 0 {
            return None;
        }
        Some(self.0.lock().get(&number).cloned().ok_or(ObjectsError::NotFound))
    }
}

/// The raw path of a name in a bucket's topmost directory.
pub(crate) fn store_path(bucket: &Bucket, name: &[u8]) -> Option<RawPath> {
    let group = bucket.group.filter(|_| super::is_store_path(name))?;
    Some(RawPath { group, path: String::from_utf8_lossy(name).into_owned() })
}

/// What a raw path is, by its form.
pub(crate) fn kind(path: &RawPath) -> Kind {
    if super::depth_of(&path.path) == Some(super::FILE_DEPTH) { Kind::File } else { Kind::Directory }
}

/// The bit that no inode with a row has.
const RAW: u64 = 1 << 63;
/// Paths that are remembered.
const KEPT: NonZeroUsize = NonZeroUsize::new(262_144).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_number() {
        let path = RawPath { group: "group1".parse().unwrap(), path: "M00/01".to_owned() };
        let number = RawInodes::default().number(&path);
        let inodes = RawInodes::default();
        assert!(matches!(inodes.path(number), Some(Err(ObjectsError::NotFound))));
        assert_eq!(inodes.number(&path), number);
        assert_eq!(inodes.path(number).unwrap().unwrap(), path);
        assert!(inodes.path(1_024).is_none());
    }
}
