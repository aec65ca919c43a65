//! Links to files, for content that is there already.

use std::net::IpAddr;

use fdfs_proto::storage::CreateLinkRequest;
use fdfs_store::StoreError;
use fdfs_types::{FileId, GroupName, RemoteFilename, SlavePrefix};

use super::{
    concern::{Changed, Placed},
    handle::Handle,
};
use crate::{error::Refusal, shared::Shared};

/// Makes a link to a file, under a new name or as a slave. What it is a signature of is not looked up.
impl Handle for CreateLinkRequest {
    type Answer = Changed<FileId>;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.source)
    }

    fn is_private(&self) -> bool {
        self.source.is_private() || self.master.as_ref().is_some_and(RemoteFilename::is_private)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Changed<FileId>, Refusal> {
        if !shared.takes_replicas_from(peer) {
            return Err(Refusal::Stranger(peer));
        }
        let prefix = self.prefix.as_ref().map_or("", SlavePrefix::as_str);
        let master = self.master.as_ref().map(|master| (master, prefix));
        match shared.store.create_link(&self.source, master, &self.extension) {
            Ok((filename, record)) => Ok(Changed::new(FileId { group: shared.group(), filename }, [record])),
            Err(StoreError::Trunk) => Err(Refusal::Trunk),
            Err(error) => Err(error.into()),
        }
    }
}

impl Placed for CreateLinkRequest {}
