//! Links to files, for content that is there already.

use std::net::IpAddr;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{Header, storage::CreateLinkRequest};
use fdfs_types::{FileId, GroupName, RemoteFilename, SlavePrefix};

use super::{
    Served, Session, StorageService,
    concern::{Changed, Placed},
    handle::{Handle, SMALL},
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
            Err(error) => Err(error.into()),
        }
    }
}

impl Placed for CreateLinkRequest {}

impl StorageService {
    /// Makes a link; one to a file in a trunk file lies in a slot itself.
    pub(super) async fn create_link(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError> {
        if !self.shared.trunk.is_on() {
            return self.change::<CreateLinkRequest, _>(connection, header, session).await;
        }
        let request: CreateLinkRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let peer = connection.peer_ip();
        if self.shared.takes_replicas_from(peer)
            && self.check_group(Some(request.group)).is_ok()
            && let Some(made) = self.link_in_slot(&request).await
        {
            let group = self.shared.group();
            let made = match made {
                Ok((filename, record)) => {
                    let turn = self.turn(Some(&filename)).await;
                    match turn {
                        Ok(turn) => {
                            let secured = self.secure_change(turn, &[record]).await;
                            secured.map(|()| FileId { group, filename })
                        }
                        Err(refusal) => Err(refusal),
                    }
                }
                Err(refusal) => Err(refusal),
            };
            return self.respond(connection, None, made).await;
        }
        self.make_change(connection, request).await
    }
}
