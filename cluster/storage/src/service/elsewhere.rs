//! Uploads that are equal to a content of another member.

use std::net::IpAddr;

use fdfs_proto::{Empty, ours::LinkContentRequest};
use fdfs_store::{Elsewhere, StoredFile, Upload};
use fdfs_types::{GroupName, RemoteFilename};
use tracing::{debug, warn};

use super::{StorageService, handle::Handle};
use crate::{error::Refusal, relay::Linked, shared::Shared};

/// Makes a link to a content of this storage, for a member that has got an equal upload.
impl Handle for LinkContentRequest {
    type Answer = Empty;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.link)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Empty, Refusal> {
        if !shared.takes_replicas_from(peer) {
            return Err(Refusal::Stranger(peer));
        }
        shared.store.link_for_member(&self.link, &self.content)?;
        Ok(Empty)
    }
}

impl StorageService {
    /// Makes an upload a link to the equal content of another member; it comes back where there is none, or none can be made.
    pub(super) async fn keep_elsewhere(
        &self,
        upload: Upload,
    ) -> Result<Result<StoredFile, Refusal>, Box<Upload>> {
        let mut upload = Box::new(upload);
        let mut refused = Vec::new();
        loop {
            let may_wait = self.shared.waits_for_disk || upload.may_compare();
            let passed_over = refused.clone();
            let sought = self.act(may_wait, move |shared| {
                let found = upload.equal_elsewhere(|maker| {
                    !passed_over.contains(&maker) && shared.maker_of_content(maker).is_some()
                });
                Ok((upload, found))
            });
            let (back, found) = match sought.await {
                Ok((upload, Some(found))) => (upload, found),
                Ok((upload, None)) => return Err(upload),
                Err(refusal) => return Ok(Err(refusal)),
            };
            upload = back;
            match self.ask_for_link(&found).await {
                Linked::Made => {
                    let may_wait = self.shared.waits_for_disk;
                    return Ok(self.act(may_wait, move |_| Ok(upload.finish_elsewhere(&found)?)).await);
                }
                // Another member may have made an equal content, too.
                Linked::Refused => {
                    upload.not_elsewhere(&found);
                    match found.content.fields() {
                        Ok(fields) if refused.len() < MOST_ASKED => refused.push(fields.source),
                        _ => return Err(upload),
                    }
                }
                Linked::Unknown => {
                    upload.not_elsewhere(&found);
                    self.take_back(found).await;
                    return Err(upload);
                }
            }
        }
    }

    async fn ask_for_link(&self, found: &Elsewhere) -> Linked {
        let shared = &self.shared;
        let maker = found.content.fields().ok().and_then(|fields| shared.maker_of_content(fields.source));
        let Some(maker) = maker else { return Linked::Refused };
        let (link, content) = (found.name.clone(), found.content.clone());
        let request = LinkContentRequest { group: shared.group(), link, content };
        let linked = shared.relay.link_content(&maker, &request).await;
        debug!(file_id = %found.name, content = %found.content, ?linked, "an equal upload came to another member");
        linked
    }

    async fn take_back(&self, found: Elsewhere) {
        let name = found.name.clone();
        if let Err(error) = self.act(true, move |shared| Ok(shared.store.unlink_elsewhere(&found)?)).await {
            warn!(file_id = %name, %error, "a link that nobody was told of may stay");
        }
    }
}

/// Members that are asked for one upload.
const MOST_ASKED: usize = 3;
