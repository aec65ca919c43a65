//! Bringing one record to a peer: the file as it is now, by the command that its change asks for.

use std::sync::atomic::{AtomicBool, Ordering};

use fdfs_net::CallError;
use fdfs_proto::{
    Status,
    sync::{
        SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest, SyncDeleteRequest, SyncModifyRequest,
        SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest, SyncedFile, SyncedRange,
    },
};
use fdfs_rules::replication::{Operation, Verdict, judge};
use fdfs_store::{Change, Counter, ForPeer, OpenFile, Origin, Record, Store, StoreError};
use fdfs_types::{FileId, FileKind, GroupName, RemoteFilename, Timestamp};

use super::line::Line;

/// What deliveries to one peer share.
#[derive(Debug)]
pub(crate) struct Deliveries {
    store: Store,
    group: GroupName,
    /// The peer had the last file that was created: it may have the next, and is asked before that is sent.
    has_last: AtomicBool,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The peer has it; so many bytes of content were sent.
    Delivered(u64),
    /// There is nothing to send: what it tells of has gone, or has changed since.
    Nothing,
    /// The record makes no sense here.
    Invalid,
    /// The peer cannot take it at present.
    Busy(Status),
    /// The peer does not take it.
    Refused(Status),
    /// The peer lacks the target of the link.
    TargetMissing,
    /// The file cannot be read here.
    Unreadable(StoreError),
}

impl Deliveries {
    pub(crate) fn new(store: Store, group: GroupName) -> Self {
        Self { store, group, has_last: AtomicBool::new(false) }
    }

    /// The peer may have the next file: it is asked before that is sent.
    pub(crate) fn ask_first(&self) {
        self.has_last.store(true, Ordering::Relaxed);
    }

    /// Brings one record to the peer. An error means that the connection is lost.
    pub(crate) async fn deliver(&self, line: &mut Line, record: &Record) -> Result<Outcome, CallError> {
        let time = Timestamp(record.timestamp);
        let Ok(name) = record.change.name().parse::<RemoteFilename>() else { return Ok(Outcome::Invalid) };
        if let Change::Delete { .. } = record.change {
            return self.delete(line, name, time).await;
        }
        if let Change::Rename { old_name, .. } = &record.change {
            let Ok(old_name) = old_name.parse() else { return Ok(Outcome::Invalid) };
            return self.rename(line, name, old_name, record.origin, time).await;
        }
        let (file, link) = match self.store.open_for_peer(&name) {
            Ok(ForPeer::Missing) => return Ok(Outcome::Nothing),
            Ok(ForPeer::File(file)) => (Some(file), None),
            Ok(ForPeer::Link(target)) => (None, Some(target)),
            Err(StoreError::NoSuchStorePath { .. }) => return Ok(Outcome::Invalid),
            Err(error) => return Ok(Outcome::Unreadable(error)),
        };
        if let Change::Link { source, .. } = &record.change {
            let source = match source.as_deref().map(str::parse) {
                Some(Ok(source)) => Some(source),
                Some(Err(_)) => return Ok(Outcome::Invalid),
                None => link.clone().flatten(),
            };
            return match (link, source) {
                (None, _) => Ok(Outcome::Nothing),
                (Some(_), None) => Ok(Outcome::Invalid),
                (Some(_), Some(source)) => self.link(line, name, source, time).await,
            };
        }
        // What is a link now has its own record.
        let Some(file) = file else { return Ok(Outcome::Nothing) };
        match &record.change {
            Change::Create { .. } => self.create(line, name, &file, time).await,
            Change::Update { .. } => self.update(line, name, &file, time).await,
            Change::Append { offset, length, .. } | Change::Modify { offset, length, .. } => {
                let is_append = matches!(record.change, Change::Append { .. });
                self.range(line, name, &file, (*offset, *length), is_append, time).await
            }
            Change::Truncate { old_size, new_size, .. } => {
                let file_id = self.file_id(name.clone());
                let request = SyncTruncateRequest { file_id, old_size: *old_size, new_size: *new_size, time };
                let status = line.ask(&request).await?;
                self.settle(line, name, &file, time, Operation::Truncate, status, 0).await
            }
            Change::Delete { .. } | Change::Link { .. } | Change::Rename { .. } => Ok(Outcome::Nothing),
        }
    }

    async fn create(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        file: &OpenFile,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        // Of metadata and slaves the peer compares the content: two members may have made them.
        let is_told_by_size = matches!(name.kind(), Ok(FileKind::Normal | FileKind::Appender))
            && name.as_str().len() <= RemoteFilename::NORMAL_LEN;
        if is_told_by_size && self.has_last.load(Ordering::Relaxed) {
            match line.size(self.file_id(name.clone())).await? {
                Ok(size) if size == file.size => {
                    let file = self.synced(name, file.size, time);
                    let status = line.ask(&SyncCreateRequest { file, is_known: true }).await?;
                    return Ok(self.plain(Operation::Create, status, 0));
                }
                Ok(_) => return self.update(line, name, file, time).await,
                Err(Status::ENOENT) => {}
                Err(status) => return Ok(self.plain(Operation::Create, status, 0)),
            }
            if !line.is_good() {
                return Ok(Outcome::Refused(Status::EINVAL));
            }
        }
        let request = SyncCreateRequest { file: self.synced(name, file.size, time), is_known: false };
        self.count_tried(file.size);
        let status = line.send(&request, &file.file, file.start).await?;
        Ok(self.plain(Operation::Create, status, file.size))
    }

    async fn update(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        file: &OpenFile,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        let request = SyncUpdateRequest { file: self.synced(name, file.size, time) };
        self.count_tried(file.size);
        let status = line.send(&request, &file.file, file.start).await?;
        Ok(self.plain(Operation::Update, status, file.size))
    }

    async fn range(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        file: &OpenFile,
        (offset, length): (u64, u64),
        is_append: bool,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        let left = file.size.saturating_sub(offset);
        if left == 0 || is_append && left < length {
            // Cut since: the record of that follows.
            return Ok(Outcome::Nothing);
        }
        // Of a modification what was not cut off is still to come: the record of the cut brings no content.
        let length = length.min(left);
        let range = SyncedRange { file_id: self.file_id(name.clone()), offset, length, time };
        self.count_tried(length);
        let (operation, status) = if is_append {
            (
                Operation::Append,
                line.send(&SyncAppendRequest { range }, &file.file, file.start + offset).await?,
            )
        } else {
            (
                Operation::Modify,
                line.send(&SyncModifyRequest { range }, &file.file, file.start + offset).await?,
            )
        };
        self.settle(line, name, file, time, operation, status, length).await
    }

    async fn delete(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        if self.store.is_there(&name) {
            return Ok(Outcome::Nothing);
        }
        let status = line.ask(&SyncDeleteRequest { file_id: self.file_id(name), time }).await?;
        Ok(self.plain(Operation::Delete, status, 0))
    }

    /// Brings a new name to the peer, and takes the old one from it in every case: also where the peer got the file
    /// under its new name by another way, and where the file has been deleted here since.
    async fn rename(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        old_name: RemoteFilename,
        origin: Origin,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        let file = match self.store.open_for_peer(&name) {
            Ok(ForPeer::File(file)) => Some(file),
            Ok(ForPeer::Missing | ForPeer::Link(_)) => None,
            Err(StoreError::NoSuchStorePath { .. }) => return Ok(Outcome::Invalid),
            Err(error) => return Ok(Outcome::Unreadable(error)),
        };
        let (outcome, peer_may_have_old) = if origin == Origin::Source {
            let request = SyncRenameRequest {
                group: self.group,
                new_name: name.clone(),
                old_name: old_name.clone(),
                time,
            };
            let status = line.ask(&request).await?;
            let outcome = match &file {
                // What was still to be sent under the old name was not found there: the peer may lack any of it.
                Some(file)
                    if matches!(status, Status::OK | Status::EEXIST)
                        && file.size <= SENT_AGAIN_AFTER_RENAME =>
                {
                    self.update(line, name, file, time).await?
                }
                Some(file) => self.settle(line, name, file, time, Operation::Rename, status, 0).await?,
                None if matches!(status, Status::OK | Status::EEXIST | Status::ENOENT) => {
                    Outcome::Delivered(0)
                }
                None => self.plain(Operation::Rename, status, 0),
            };
            (outcome, status != Status::OK)
        } else {
            let outcome = match &file {
                Some(file) => self.create(line, name, file, time).await?,
                None => Outcome::Delivered(0),
            };
            (outcome, true)
        };
        if !peer_may_have_old || !matches!(outcome, Outcome::Delivered(_)) {
            return Ok(outcome);
        }
        Ok(match self.delete(line, old_name, time).await? {
            Outcome::Delivered(_) | Outcome::Nothing => outcome,
            refused => refused,
        })
    }

    async fn link(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        source: RemoteFilename,
        time: Timestamp,
    ) -> Result<Outcome, CallError> {
        let request = SyncCreateLinkRequest { group: self.group, link: name.clone(), source, time };
        let status = line.ask(&request).await?;
        if judge(Operation::Link, status) != Verdict::CheckLink {
            return Ok(self.plain(Operation::Link, status, 0));
        }
        match line.size(self.file_id(name)).await? {
            Ok(_) => Ok(Outcome::Delivered(0)),
            Err(Status::ENOENT) => Ok(Outcome::TargetMissing),
            Err(status) => Ok(Outcome::Refused(status)),
        }
    }

    /// Ends a change of a file, with the whole file where the peer needs it.
    #[expect(clippy::too_many_arguments, reason = "one call, with everything that is known by then")]
    async fn settle(
        &self,
        line: &mut Line,
        name: RemoteFilename,
        file: &OpenFile,
        time: Timestamp,
        operation: Operation,
        status: Status,
        bytes: u64,
    ) -> Result<Outcome, CallError> {
        match judge(operation, status) {
            Verdict::SendWhole => self.update(line, name, file, time).await,
            Verdict::SendNew => self.create(line, name, file, time).await,
            Verdict::CheckSize => match line.size(self.file_id(name.clone())).await? {
                Ok(size) if size == file.size => Ok(Outcome::Delivered(bytes)),
                Ok(_) | Err(Status::ENOENT) => self.update(line, name, file, time).await,
                Err(status) => Ok(Outcome::Refused(status)),
            },
            _ => Ok(self.plain(operation, status, bytes)),
        }
    }

    /// Reads an answer that ends the matter.
    fn plain(&self, operation: Operation, status: Status, bytes: u64) -> Outcome {
        let verdict = judge(operation, status);
        if operation == Operation::Create {
            self.has_last.store(verdict == Verdict::Known, Ordering::Relaxed);
        }
        match verdict {
            Verdict::Done | Verdict::Known => {
                self.store.stat().add(Counter::SuccessSyncOutBytes, bytes);
                Outcome::Delivered(bytes)
            }
            Verdict::Busy => Outcome::Busy(status),
            _ => Outcome::Refused(status),
        }
    }

    fn count_tried(&self, bytes: u64) {
        self.store.stat().add(Counter::TotalSyncOutBytes, bytes);
    }

    fn synced(&self, name: RemoteFilename, size: u64, time: Timestamp) -> SyncedFile {
        SyncedFile { file_id: self.file_id(name), size, time }
    }

    fn file_id(&self, filename: RemoteFilename) -> FileId {
        FileId { group: self.group, filename }
    }
}

/// Largest file that follows its rename as a whole, in bytes. Of a larger one only the size is compared: the
/// scrubber finds the rare one whose content was changed right before.
const SENT_AGAIN_AFTER_RENAME: u64 = 64 << 20;
