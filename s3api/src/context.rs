//! What every operation works with.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use fdfs_objects::{BucketInfo, Deleted, Objects, ObjectsError, Preconditions, VersionId};
use fdfs_types::GroupName;

use crate::access::Rules;
use crate::config::Config;
use crate::credentials::Identity;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::Lifecycles;
use crate::session::Session;
use crate::xml::XmlWriter;

/// What every operation works with.
pub(crate) struct Context {
    /// How the server was started.
    pub(crate) config: Config,
    /// Names and files.
    pub(crate) objects: Arc<Objects>,
    /// Who may do what in the buckets asked for last.
    pub(crate) rules: Rules,
    /// When objects of the buckets asked for last expire.
    pub(crate) lifecycles: Lifecycles,
}

impl Context {
    /// Puts it together.
    pub(crate) fn new(config: Config, objects: Arc<Objects>) -> Self {
        Self { config, objects, rules: Rules::default(), lifecycles: Lifecycles::default() }
    }

    /// Whose access key this is; with a token, a temporary one.
    pub(crate) async fn identity(
        &self,
        access_key_id: &str,
        token: Option<&str>,
        now: SystemTime,
    ) -> Result<Option<Arc<Identity>>, S3Error> {
        let Some(token) = token else { return self.identity_of_key(access_key_id).await };
        let session = Session::parse(token)?;
        if session.access_key_id() != access_key_id {
            return Err(ErrorCode::InvalidToken.into());
        }
        let Some(parent) = self.identity_of_key(session.parent()).await? else { return Ok(None) };
        session.identity(&parent, now).map(|identity| Some(Arc::new(identity)))
    }

    /// Whose lasting key this is: one of the file, else one among the names.
    async fn identity_of_key(&self, access_key_id: &str) -> Result<Option<Arc<Identity>>, S3Error> {
        if let Some(identity) = self.config.credentials.identity(access_key_id) {
            return Ok(Some(identity));
        }
        let key = self.objects.access_key(access_key_id).await?;
        Ok(key.filter(|key| !key.disabled).map(|key| Arc::new(key.into())))
    }

    /// The bucket of this name.
    pub(crate) async fn bucket(&self, name: &str) -> Result<BucketInfo, S3Error> {
        self.objects.bucket(name).await.map_err(|error| match error {
            ObjectsError::NoSuchBucket => S3Error::from(ErrorCode::NoSuchBucket).detail("BucketName", name),
            error => error.into(),
        })
    }

    /// Removes a key, which the caller may do: a raw file with the permission for that.
    pub(crate) async fn remove(
        &self,
        bucket: &str,
        key: &[u8],
        conditions: Preconditions,
        version_id: Option<VersionId>,
    ) -> Result<Deleted, S3Error> {
        let bucket_info = self.bucket(bucket).await?;
        if self.objects.is_raw(&bucket_info, key) {
            self.objects.delete_raw(bucket, key).await?;
            return Ok(Deleted::default());
        }
        if let Some(version_id) = version_id {
            return Ok(self.objects.delete_version(bucket, key, version_id, conditions).await?);
        }
        Ok(self.objects.delete(bucket, key, conditions).await?)
    }

    /// The group that a location constraint names.
    pub(crate) fn group(location: &str) -> Result<GroupName, S3Error> {
        location.parse().map_err(|_| {
            S3Error::from(ErrorCode::InvalidLocationConstraint).detail("LocationConstraint", location)
        })
    }

    /// Whether a location constraint is our region's name, which chooses no group.
    pub(crate) fn is_region(&self, location: &str) -> bool {
        location == self.config.region
    }

    /// Who owns everything, as long as there is one owner.
    pub(crate) fn owner(&self) -> &'static str {
        OWNER
    }

    /// The owner's elements.
    pub(crate) fn write_owner(&self, xml: &mut XmlWriter) {
        xml.text("ID", OWNER);
        xml.text("DisplayName", OWNER);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The account of every user and bucket: accounts are not told apart.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The id and name of the owner of everything.
pub(crate) const OWNER: &str = "fdfs";
