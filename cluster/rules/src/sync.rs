//! From whom a new storage gets the old files.

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{Action, Cluster, DataFile, Member, Reason, Refusal, Storage};

/// Who pushes the old files, and up to when files count as old.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyncRange {
    /// Who pushes.
    pub source: StorageId,
    /// The files before this time are pushed.
    pub until: Timestamp,
}

impl Cluster {
    /// A new storage asks for its source. No answer means: there are no old files.
    ///
    /// While the others of the group only have unfinished copies the storage is told to ask again;
    /// taking it as a full member then would lose it the old files.
    pub fn sync_destination_request(
        &mut self,
        member: &Member,
        now: Timestamp,
    ) -> Result<(Option<SyncRange>, Vec<Action>), Refusal> {
        let group = self.home_of_latest(member)?;
        let others = || group.storages().filter(|other| other.id != member.id && other.is_member());
        let source = group.writable().find(|other| other.id != member.id);
        let range = match source {
            Some(source) => Some(SyncRange { source: source.id, until: now }),
            None if others().all(|other| other.status == StorageStatus::Init) => None,
            None => {
                group.update(&member.id, |storage| storage.reason = Reason::NoSource);
                return Err(Refusal::NotFound);
            }
        };
        group.update(&member.id, |storage| match range {
            Some(range) => {
                storage.sync_source = Some(range.source);
                storage.sync_until = range.until;
                storage.enter(StorageStatus::WaitSync, Reason::SourceGiven, now);
            }
            None => storage.enter(StorageStatus::Online, Reason::NoOldFiles, now),
        });
        group.notify();
        Ok((range, vec![Action::Save(DataFile::Storages)]))
    }

    /// A new storage tells what source it was given elsewhere.
    pub fn sync_notify(&mut self, member: &Member, range: Option<SyncRange>) -> Result<Vec<Action>, Refusal> {
        let now = self.now;
        let group = self.home_of_latest(member)?;
        let Some(storage) = group.get(&member.id) else { return Err(Refusal::Denied) };
        let (status, has_source) = (storage.status, storage.sync_source.is_some());
        let Some(range) = range else {
            let waits = [StorageStatus::Init, StorageStatus::WaitSync, StorageStatus::Syncing];
            if !waits.contains(&status) {
                return Ok(Vec::new());
            }
            group.update(&member.id, |storage| {
                storage.enter(StorageStatus::Online, Reason::NoOldFiles, now);
            });
            group.notify();
            return Ok(vec![Action::Save(DataFile::Storages)]);
        };
        if !has_source && !group.get(&range.source).is_some_and(Storage::is_member) {
            return Err(Refusal::NotFound);
        }
        let starts = status == StorageStatus::Init;
        if !starts && has_source {
            return Ok(Vec::new());
        }
        group.update(&member.id, |storage| {
            if starts {
                storage.enter(StorageStatus::WaitSync, Reason::SourceGiven, now);
            }
            if !has_source {
                storage.sync_source = Some(range.source);
                storage.sync_until = range.until;
            }
        });
        if starts {
            group.notify();
        }
        Ok(vec![Action::Save(DataFile::Storages)])
    }

    /// A storage asks who pushes the old files to one of its peers.
    pub fn sync_source_request(
        &mut self,
        group: &GroupName,
        destination: &StorageId,
    ) -> Result<(Option<SyncRange>, Vec<Action>), Refusal> {
        let group = self.group_mut(group)?;
        let storage = group.get(destination).ok_or(Refusal::NotFound)?;
        if storage.status == StorageStatus::Init || !storage.is_member() {
            return Err(Refusal::NotFound);
        }
        let Some(source) = storage.sync_source else { return Ok((None, Vec::new())) };
        let range = SyncRange { source, until: storage.sync_until };
        match group.get(&source).map(|source| source.status) {
            Some(
                StorageStatus::Offline
                | StorageStatus::Online
                | StorageStatus::Active
                | StorageStatus::Recovery,
            ) => Ok((Some(range), Vec::new())),
            // It has no copy to give at present, but may have one again: the newcomer still counts on it.
            Some(StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing) => {
                Ok((None, Vec::new()))
            }
            _ => {
                group.update(destination, |storage| {
                    storage.sync_source = None;
                    storage.sync_until = Timestamp::ZERO;
                });
                Ok((None, vec![Action::Save(DataFile::Storages)]))
            }
        }
    }

    /// The member asks for the source it was given before.
    pub fn sync_destination_query(&mut self, member: &Member) -> Result<Option<SyncRange>, Refusal> {
        let storage = self.home(member)?.get(&member.id).ok_or(Refusal::Denied)?;
        let until = storage.sync_until;
        Ok(storage.sync_source.map(|source| SyncRange { source, until }))
    }
}
