//! Access keys, and the ACLs of objects.

use super::Namespace;
use crate::access_keys::{self, AccessKey};
use crate::error::NamespaceError;
use crate::tree::keyed;
use crate::tree::versions::VersionId;

impl Namespace {
    /// The access key of this id.
    pub async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, NamespaceError> {
        let id = id.to_owned();
        self.read(move |read| access_keys::get(read, &id)).await
    }

    /// Up to a page of access keys after the id `after`, by id; none where there are no more.
    pub async fn access_keys(&self, after: &str) -> Result<Vec<AccessKey>, NamespaceError> {
        let after = after.to_owned();
        self.read(move |read| access_keys::list(read, &after)).await
    }

    /// Makes an access key, or changes it; `must_be_new` refuses a change.
    pub async fn put_access_key(&self, key: AccessKey, must_be_new: bool) -> Result<(), NamespaceError> {
        self.write(move |tx| access_keys::put(tx, &key, must_be_new)).await
    }

    /// Removes an access key.
    pub async fn remove_access_key(&self, id: &str) -> Result<(), NamespaceError> {
        let id = id.to_owned();
        self.write(move |tx| access_keys::remove(tx, &id)).await
    }

    /// Sets the canned ACL of a version of a key, of the current one where none is named; none is `private`.
    pub async fn set_acl(
        &self,
        root: u64,
        key: &[u8],
        version_id: Option<VersionId>,
        acl: Option<String>,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::set_acl(tx, root, &key, version_id, acl.as_deref())).await
    }
}
