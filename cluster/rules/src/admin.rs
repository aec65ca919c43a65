//! Removing storages and groups, moving a storage to another address, and the changelog.

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{Action, Addresses, ChangelogEntry, Cluster, DataFile, Event, Reason, Refusal, Storage};

pub(crate) const ALL_FILES: [Action; 3] = [
    Action::Save(DataFile::Groups),
    Action::Save(DataFile::Storages),
    Action::Save(DataFile::SyncTimestamps),
];

impl Cluster {
    /// An administrator removes a storage. Unlike the original the removal is saved, so that a crash
    /// does not bring the storage back.
    pub fn delete_storage(
        &mut self,
        name: &GroupName,
        id: &StorageId,
        now: Timestamp,
    ) -> Result<Vec<Action>, Refusal> {
        let group = self.group_mut(name)?;
        match group.get(id).map(|storage| storage.status) {
            None | Some(StorageStatus::IpChanged) => return Err(Refusal::NotFound),
            Some(StorageStatus::Deleted) => return Err(Refusal::Already),
            Some(StorageStatus::Online | StorageStatus::Active | StorageStatus::Recovery) => {
                return Err(Refusal::Busy);
            }
            Some(_) => {}
        }
        group.update_all(|storage| {
            if storage.id == *id {
                storage.clear();
                storage.enter(StorageStatus::Deleted, Reason::Removed, now);
            } else {
                if storage.sync_source == Some(*id) {
                    storage.sync_source = None;
                    storage.sync_until = Timestamp::ZERO;
                }
                storage.applied.remove(id);
            }
        });
        group.notify();
        let status = StorageStatus::Deleted;
        let entry = ChangelogEntry { time: now, group: *name, id: *id, status, successor: None };
        let mut actions = vec![Action::Append(entry)];
        actions.extend(ALL_FILES);
        actions.push(Action::Report(Event::Deleted { group: *name, id: *id }));
        Ok(actions)
    }

    /// An administrator removes a group. Records of removed storages do not keep it.
    pub fn delete_group(&mut self, name: &GroupName) -> Result<Vec<Action>, Refusal> {
        let at = self.find(name).map_err(|_| Refusal::NotFound)?;
        if self.groups[at].storages().any(Storage::is_member) {
            return Err(Refusal::Busy);
        }
        self.groups.remove(at);
        Ok(ALL_FILES.to_vec())
    }

    /// A storage comes back with another address: it takes its record along, and the old address is
    /// remembered as moved.
    pub fn report_ip_changed(
        &mut self,
        name: &GroupName,
        old: IpAddr,
        new: IpAddr,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Vec<Action>, Refusal> {
        if self.settings.ids.is_some() {
            return Err(Refusal::NotSupported);
        }
        let group = self.group_mut(name)?;
        if new != peer {
            return Err(Refusal::Invalid);
        }
        let (old_id, new_id) = (Self::id_of_ip(old), Self::id_of_ip(new));
        match group.get(&old_id).map(|storage| storage.status) {
            None | Some(StorageStatus::Deleted) => return Err(Refusal::NotFound),
            Some(StorageStatus::Online | StorageStatus::Active | StorageStatus::Recovery) => {
                return Err(Refusal::Busy);
            }
            Some(StorageStatus::IpChanged) => return Err(Refusal::Already),
            Some(_) => {}
        }
        if group.get(&new_id).is_some_and(|storage| storage.status != StorageStatus::Deleted) {
            return Err(Refusal::Exists);
        }
        group.remove_former(&new_id);
        let mut former = None;
        group.update_all(|storage| {
            if storage.id == old_id {
                former = Some(Storage::new(old_id, storage.addresses, storage.joined_from, storage.rw));
                storage.id = new_id;
                storage.reason = Reason::MovedFrom(old_id);
                storage.addresses = Addresses::one(new);
                storage.joined_from = new;
            }
            if storage.sync_source == Some(old_id) {
                storage.sync_source = Some(new_id);
            }
            if let Some(time) = storage.applied.remove(&old_id) {
                storage.applied.insert(new_id, time);
            }
        });
        if let Some(mut former) = former {
            former.enter(StorageStatus::IpChanged, Reason::MovedTo(new_id), now);
            group.insert(former);
        }
        for server in [&mut group.trunk.server, &mut group.trunk.last_server] {
            if *server == Some(old_id) {
                *server = Some(new_id);
            }
        }
        group.notify();
        let status = StorageStatus::IpChanged;
        let successor = Some(new_id);
        let entry = ChangelogEntry { time: now, group: *name, id: old_id, status, successor };
        let mut actions = vec![Action::Append(entry)];
        actions.extend(ALL_FILES);
        actions.push(Action::Report(Event::Moved { group: *name, before: old_id, now: new_id }));
        Ok(actions)
    }

    /// The offset up to which a storage has seen the changelog.
    pub fn changelog_offset(&self, group: &GroupName, id: &StorageId) -> Result<u64, Refusal> {
        Ok(self.storage(group, id)?.changelog_offset)
    }

    /// A storage has seen the changelog up to this offset.
    pub fn changelog_seen(&mut self, group: &GroupName, id: &StorageId, offset: u64) -> Vec<Action> {
        let Ok(group) = self.group_mut(group) else { return Vec::new() };
        let moved = group.update(id, |storage| {
            let before = std::mem::replace(&mut storage.changelog_offset, offset);
            before != offset
        });
        if moved == Some(true) { vec![Action::Save(DataFile::Storages)] } else { Vec::new() }
    }
}
