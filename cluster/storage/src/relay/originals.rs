//! Asking an original member for what it does not send.
//!
//! An original looks at a file as it is when the turn of a change comes. It leaves out appends and modifications of what
//! was cut off since, and takes any answer to the truncation that follows but an error: so a file that one of them has
//! truncated is compared with what it has, and taken from there as a whole where that is another. It leaves out a rename,
//! too, of what was deleted since: so when that goes, it is asked for files here that may have been the same before.
//! Members of ours send what is needed themselves, and are not asked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use fdfs_net::CallError;
use fdfs_proto::{
    Brief, Status,
    storage::{DownloadRequest, FileInfoRequest},
};
use fdfs_store::{Replicated, StoreError};
use fdfs_types::{FileId, FileKind, RemoteFilename, StorageId, StorageStatus, Timestamp};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{DEADLINE, LineError, PATIENCE, Relay, accepted, is_made_by_anybody};
use crate::shared::Shared;

/// What an original may have left out before a change that it has sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LeftOut {
    /// Nothing.
    Nothing,
    /// Changes of the same file.
    Changes,
    /// That the file had another name before.
    Rename,
}

/// A change that a member has sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The member.
    pub(crate) from: Brief,
    /// The file.
    pub(crate) name: RemoteFilename,
    /// When it was changed.
    pub(crate) time: Timestamp,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    /// The member sends what is needed itself, or has the same.
    Nothing,
    /// The file was taken from the member.
    Taken,
    /// A file was deleted that the member has renamed and deleted, or deleted before.
    Deleted,
}

impl Relay {
    /// Makes good what an original member has left out before a change; what is to be answered to that, which is `answer`
    /// where nothing changes it.
    pub(crate) async fn make_good(
        &self,
        shared: &Arc<Shared>,
        sent: &Sent,
        left_out: LeftOut,
        answer: Replicated,
    ) -> Replicated {
        let ask = async {
            match (left_out, answer) {
                (LeftOut::Changes, _) if !shared.store.was_deleted(&sent.name) => {
                    self.compared(shared, sent).await
                }
                (LeftOut::Rename, _) => self.old_names_gone(shared, sent).await,
                _ => Ok(Asked::Nothing),
            }
        };
        let outcome = match timeout(DEADLINE, ask).await {
            Ok(Ok(Asked::Nothing)) => return answer,
            Ok(Ok(Asked::Taken)) => {
                info!(file_id = %sent.name, "lacked changes of an original member, and is taken from there as a whole");
                "taken"
            }
            Ok(Ok(Asked::Deleted)) => "deleted",
            Ok(Err(why)) => {
                warn!(file_id = %sent.name, why, "may lack changes of an original member, which cannot be asked");
                "failed"
            }
            Err(_elapsed) => {
                warn!(file_id = %sent.name, "may lack changes of an original member, which takes too long to tell");
                "failed"
            }
        };
        metrics::counter!("fdfs_storage_originals_asked_total", "outcome" => outcome).increment(1);
        if outcome == "taken" { Replicated::Done } else { answer }
    }

    /// Whether a member is an original: it says so, and not that it cannot be asked now.
    pub(crate) async fn is_original(&self, shared: &Shared, member: &Brief) -> bool {
        let addresses = shared.identity.addresses_of_member(member);
        matches!(timeout(PATIENCE, self.is_ours(&addresses)).await, Ok(Ok(false)))
    }

    /// Deletes what has the old name of a file that its source has renamed and deleted.
    async fn old_names_gone(&self, shared: &Arc<Shared>, sent: &Sent) -> Result<Asked, String> {
        if sent.name.kind() != Ok(FileKind::Normal) || is_made_by_anybody(&sent.name) {
            return Ok(Asked::Nothing);
        }
        let addresses = shared.identity.addresses_of_member(&sent.from);
        if self.is_ours(&addresses).await.map_err(|error| error.to_string())? {
            return Ok(Asked::Nothing);
        }
        let name = sent.name.clone();
        let mut alike = on_disk(shared, move |shared| shared.store.appenders_like(&name)).await?;
        // Only the source of a file tells that it is gone.
        alike.retain(|name| name.fields().is_ok_and(|fields| accepted(&sent.from, fields.source)));
        if alike.is_empty() {
            return Ok(Asked::Nothing);
        }
        let mut line = self.lines.connect_plainly(&addresses).await.map_err(|error| error.to_string())?;
        let mut asked = Asked::Nothing;
        for name in alike {
            let file_id = FileId { group: shared.group(), filename: name.clone() };
            let request = FileInfoRequest { file_id, skip_crc32: true, is_silent: true };
            match line.peer.ask(&request, MAX_ANSWER).await {
                Ok(_) => {}
                Err(CallError::Status(Status::ENOENT)) => {
                    info!(file_id = %name, "is gone at its source, an original member: deleted here, too");
                    let time = sent.time;
                    on_disk(shared, move |shared| shared.store.replicate_delete(&name, time)).await?;
                    asked = Asked::Deleted;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(asked)
    }

    /// Compares a file with what a member has, and takes that where it is another.
    async fn compared(&self, shared: &Arc<Shared>, sent: &Sent) -> Result<Asked, String> {
        let addresses = shared.identity.addresses_of_member(&sent.from);
        if self.is_ours(&addresses).await.map_err(|error| error.to_string())? {
            return Ok(Asked::Nothing);
        }
        let file_id = FileId { group: shared.group(), filename: sent.name.clone() };
        let mut line = self.lines.connect_plainly(&addresses).await.map_err(|error| error.to_string())?;
        let request = FileInfoRequest { file_id: file_id.clone(), skip_crc32: false, is_silent: true };
        let there = match line.peer.ask(&request, MAX_ANSWER).await {
            Ok(there) => there,
            // Deleted or renamed since, which is told later.
            Err(CallError::Status(Status::ENOENT)) => return Ok(Asked::Nothing),
            Err(error) => return Err(error.to_string()),
        };
        let name = sent.name.clone();
        let here = on_disk(shared, move |shared| match shared.store.info(&name, true) {
            Err(StoreError::NotFound) => Ok(None),
            info => info.map(Some),
        });
        let here = here.await?;
        if here.is_some_and(|here| (here.size, here.crc32) == (there.size, Some(there.crc32))) {
            return Ok(Asked::Nothing);
        }
        // An original cannot send an empty file.
        let length = if there.size == 0 {
            0
        } else {
            let header = line.ask(&DownloadRequest { offset: 0, length: 0, file_id }).await;
            header.map_err(|error| error.to_string())?.length
        };
        let (name, time) = (sent.name.clone(), sent.time);
        let mut replica =
            on_disk(shared, move |shared| shared.store.receive_update(&name, length, time)).await?;
        while length > 0
            && let Some(chunk) = line.next_chunk().await.map_err(|error| error.to_string())?
        {
            replica.write(chunk).map_err(|error| error.to_string())?;
        }
        on_disk(shared, move |_| replica.finish()).await?;
        Ok(Asked::Taken)
    }

    /// Whether a member says that it is one of ours.
    async fn is_ours(&self, addresses: &[SocketAddr]) -> Result<bool, LineError> {
        let line = match self.lines.take(addresses) {
            Some(line) => line,
            None => match self.lines.connect(addresses).await {
                Ok(line) => line,
                Err(LineError::NotOurs) => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        self.lines.keep(line);
        Ok(true)
    }
}

/// Works on the disk where waiting blocks nobody.
async fn on_disk<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    let shared = Arc::clone(shared);
    match tokio::task::spawn_blocking(move || work(&shared)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl Shared {
    /// The member whose connection comes from `ip`: the one that has said its `id`, else the one of that address.
    pub(crate) fn sender(&self, id: Option<StorageId>, ip: IpAddr) -> Option<Brief> {
        let membership = self.membership.lock();
        let is_it = |member: &&Brief| match id {
            Some(id) => member.id == Some(id),
            None => member.ip == Some(ip),
        };
        let has_left = |status| matches!(status, StorageStatus::Deleted | StorageStatus::IpChanged);
        membership.members().iter().find(|member| is_it(member) && !has_left(member.status)).cloned()
    }
}

const MAX_ANSWER: usize = 1024;
