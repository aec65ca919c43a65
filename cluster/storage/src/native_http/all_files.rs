//! Every file of the cluster, as a storage knows it: what is on its own disk, and what others have.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use fdfs_client::{Client, ClientOptions};
use fdfs_http::{ClusterFiles, Content, FileContent, Local, Source, SourceError};
use fdfs_net::PoolConfig;
use fdfs_proto::{Brief, tracker::StorageRecord};
use fdfs_store::{Block, ForPeer, OpenFile, StoreError};
use fdfs_types::FileId;
use tracing::warn;

use crate::{
    error::Refusal,
    relay::{Place, RelayedContent},
    shared::Shared,
};

/// The disk of this storage.
pub(super) struct OwnFiles {
    shared: Arc<Shared>,
    exposes_metadata: bool,
}

/// The other members of the group, and the other groups.
pub(super) struct OthersFiles {
    shared: Arc<Shared>,
    other_groups: ClusterFiles,
    client: Client,
}

impl OwnFiles {
    pub(super) fn new(shared: &Arc<Shared>, exposes_metadata: bool) -> Self {
        Self { shared: Arc::clone(shared), exposes_metadata }
    }

    fn open(&self, id: &FileId) -> Result<OpenFile, StoreError> {
        let store = &self.shared.store;
        if self.exposes_metadata && id.filename.as_str().ends_with("-m") {
            return match store.open_for_peer(&id.filename)? {
                ForPeer::File(open) => Ok(open),
                ForPeer::Missing | ForPeer::Link(_) => Err(StoreError::NotFound),
            };
        }
        store.open_file_within(&id.filename)
    }
}

impl Local for OwnFiles {
    fn open_here(&self, id: &FileId) -> Result<Content, SourceError> {
        if id.group != self.shared.group() {
            return Err(SourceError::NotFound);
        }
        let open = self.open(id).map_err(refusal)?;
        if open.is_checked() && open.checked(false)?.is_none() {
            if let Some(block) =
                Block::of_name(&id.filename).filter(|_| self.shared.store.is_there(&id.filename))
            {
                warn!(file_id = %id, "a file in a trunk file is not what its name says");
                self.shared.heal_slot(block);
            }
            return Err(SourceError::NotFound);
        }
        let reader = Box::new(FileContent::part(open.file, open.start));
        Ok(Content { size: open.size, modified: open.modified, holder: None, reader })
    }

    fn is_source(&self, id: &FileId) -> bool {
        self.shared.is_named_by_name(&id.filename)
    }
}

impl OthersFiles {
    /// The trackers tell of other groups on connections made as `pool` says.
    pub(super) fn new(shared: &Arc<Shared>, pool: PoolConfig) -> Self {
        let options = ClientOptions {
            pool,
            deadline: DEADLINE,
            answer_timeout: PATIENCE,
            rounds: 1,
            ..ClientOptions::new(shared.trackers.addresses())
        };
        let client = Client::new(options);
        Self { shared: Arc::clone(shared), other_groups: ClusterFiles::new(client.clone()), client }
    }

    /// Who may have a file: this group, or the members of another.
    async fn place(&self, id: &FileId) -> Result<Place, SourceError> {
        if id.group == self.shared.group() {
            return Ok(Place::OwnGroup);
        }
        let topology = self.client.topology().await.map_err(|error| {
            warn!(%error, group = %id.group, "the trackers do not tell who is in the group");
            SourceError::Unavailable
        })?;
        let group = topology.groups.get(&id.group).ok_or(SourceError::NotFound)?;
        let brief = |member: &StorageRecord| Brief {
            status: member.status,
            port: member.port,
            id: Some(member.id),
            ip: member.ip,
        };
        Ok(Place::Group(group.members().map(brief).collect()))
    }
}

impl Source for OthersFiles {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        let place = self.place(id).await?;
        RelayedContent::open(&self.shared, place, id).await.map_err(|refusal| match refusal {
            Refusal::Store(_) | Refusal::Told(_) => SourceError::NotFound,
            _ => SourceError::Unavailable,
        })
    }

    async fn members(&self, id: &FileId) -> Vec<IpAddr> {
        if id.group == self.shared.group() {
            return self.shared.members_to_ask(&id.filename);
        }
        self.other_groups.members(id).await
    }
}

/// What a store error means to a browser.
fn refusal(error: StoreError) -> SourceError {
    match error {
        StoreError::NoSuchStorePath { .. } => SourceError::Foreign("no such store path"),
        StoreError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound => {
            warn!(error = %source, "a file cannot be read");
            metrics::counter!("fdfs_http_disk_errors_total").increment(1);
            SourceError::Io(io::Error::new(source.kind(), source))
        }
        _ => SourceError::NotFound,
    }
}

/// The trackers tell of other groups by then.
const DEADLINE: Duration = Duration::from_secs(10);
/// A tracker answers within this time, or the next is asked.
const PATIENCE: Duration = Duration::from_secs(3);
