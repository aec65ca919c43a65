//! Where a file would be stored.

use std::net::SocketAddr;

use fdfs_proto::tracker::{QueryStoreInGroupOneRequest, QueryStoreOneRequest};
use fdfs_types::GroupName;

use crate::{Client, ClientError};

/// A storage and a store path that the trackers chose for an upload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placement {
    /// The group.
    pub group: GroupName,
    /// The storage.
    pub storage: SocketAddr,
    /// The store path there; its choice if absent.
    pub store_path: Option<u8>,
}

impl Client {
    /// Where the trackers want a file now, in this group or in one of their choice: for files that have to lie beside
    /// each other.
    pub async fn place(&self, group: Option<GroupName>) -> Result<Placement, ClientError> {
        let trackers = &self.inner().trackers;
        let answer = match group {
            Some(group) => trackers.ask(&QueryStoreInGroupOneRequest { group }).await?,
            None => trackers.ask(&QueryStoreOneRequest).await?,
        };
        let store_path = Some(answer.store_path).filter(|index| *index < 0x80);
        Ok(Placement { group: answer.group, storage: answer.storage, store_path })
    }
}
