//! Access keys and the ACLs of objects: kept among the names.

use fdfs_namespace::{AccessKey, VersionId};

use crate::error::ObjectsError;
use crate::objects::Objects;

impl Objects {
    /// The access key of this id.
    pub async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ObjectsError> {
        Ok(self.names.access_key(id).await?)
    }

    /// Sets the canned ACL of a version of a key, of the current one where none is named; none is `private`.
    pub async fn set_acl(
        &self,
        bucket: &str,
        key: &[u8],
        version_id: Option<VersionId>,
        acl: Option<String>,
    ) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        Ok(self.names.set_acl(bucket.root, key, version_id, acl).await?)
    }
}
