//! Files by their keys, as S3 sees them.

use super::Namespace;
use crate::attributes::{Attributes, ExtendedAttributes};
use crate::error::NamespaceError;
use crate::tree::keyed::{self, FileRecord, NewFile, RenameConditions};
use crate::tree::listing::{self, ListPage, ListQuery};
use crate::tree::preconditions::Preconditions;
use crate::tree::shared::{self, ContentSource};
use crate::tree::versions::{Deleted, VersionId};

impl Namespace {
    /// Everything about the file under `key`.
    pub async fn get(&self, root: u64, key: &[u8]) -> Result<FileRecord, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| keyed::get(read, root, &key)).await
    }

    /// Puts a file under `key`, in place of what was there.
    pub async fn put(
        &self,
        root: u64,
        key: &[u8],
        file: NewFile,
        preconditions: Preconditions,
    ) -> Result<Attributes, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::put(tx, root, &key, &file, &preconditions)).await
    }

    /// Removes `key`.
    pub async fn delete(
        &self,
        root: u64,
        key: &[u8],
        preconditions: Preconditions,
    ) -> Result<Deleted, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::delete(tx, root, &key, &preconditions)).await
    }

    /// One page of keys.
    pub async fn list(&self, root: u64, query: ListQuery) -> Result<ListPage, NamespaceError> {
        self.read(move |read| listing::list(read, root, &query)).await
    }

    /// Puts under `key` the content of `source` as it is at the commit: no byte moves. `file.extents` and `size` are ignored.
    pub async fn copy(
        &self,
        source: ContentSource,
        root: u64,
        key: &[u8],
        file: NewFile,
        preconditions: Preconditions,
    ) -> Result<Attributes, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| shared::copy(tx, &source, root, &key, &file, &preconditions)).await
    }

    /// Moves a key in its bucket. A key that ends in a slash moves with everything below it.
    pub async fn rename_key(
        &self,
        root: u64,
        key: &[u8],
        new_key: &[u8],
        conditions: RenameConditions,
    ) -> Result<(), NamespaceError> {
        let (key, new_key) = (key.to_vec(), new_key.to_vec());
        self.write(move |tx| keyed::rename(tx, root, &key, &new_key, &conditions)).await
    }

    /// Sets the tags of a version of a key; of the current one, where none is named.
    pub async fn set_tags(
        &self,
        root: u64,
        key: &[u8],
        version_id: Option<VersionId>,
        tags: ExtendedAttributes,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::set_tags(tx, root, &key, version_id, &tags)).await
    }
}
