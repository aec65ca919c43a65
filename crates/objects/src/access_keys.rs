//! Access keys and the ACLs of objects: kept among the names.

use fdfs_namespace::AccessKey;

use crate::error::ObjectsError;
use crate::objects::Objects;

impl Objects {
    /// The access key of this id.
    pub async fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ObjectsError> {
        Ok(self.names.access_key(id).await?)
    }

    /// Sets the canned ACL of a key; none is `private`.
    pub async fn set_acl(&self, bucket: &str, key: &[u8], acl: Option<String>) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        Ok(self.names.set_acl(bucket.root, key, acl).await?)
    }
}
