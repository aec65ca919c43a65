//! Versions of files.

use super::Namespace;
use crate::error::NamespaceError;
use crate::tree::keyed::FileRecord;
use crate::tree::preconditions::Preconditions;
use crate::tree::version_listing::{self, VersionPage, VersionQuery};
use crate::tree::versions::{self, Deleted, VersionId};

impl Namespace {
    /// Everything about a version of a key; about the current one, where none is named.
    pub async fn get_version(
        &self,
        root: u64,
        key: &[u8],
        version_id: Option<VersionId>,
    ) -> Result<FileRecord, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| versions::record(read, root, &key, version_id)).await
    }

    /// The delete marker that stands for a key, if one does, and when it was put (ms).
    pub async fn latest_marker(
        &self,
        root: u64,
        key: &[u8],
    ) -> Result<Option<(VersionId, u64)>, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| versions::latest_marker(read, root, &key)).await
    }

    /// Removes a version of a key for ever. One that is not there counts as removed.
    pub async fn delete_version(
        &self,
        root: u64,
        key: &[u8],
        version_id: VersionId,
        preconditions: Preconditions,
    ) -> Result<Deleted, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| versions::delete(tx, root, &key, version_id, &preconditions)).await
    }

    /// One page of versions and delete markers.
    pub async fn list_versions(&self, root: u64, query: VersionQuery) -> Result<VersionPage, NamespaceError> {
        self.read(move |read| version_listing::list(read, root, &query)).await
    }
}
