//! A storage joins: everything is checked first, then everything is changed.

use std::net::IpAddr;

use fdfs_types::{GroupName, RwMode, StorageId, StorageStatus, Timestamp};

use crate::{
    Action, Addresses, Claim, Cluster, DataFile, Event, Group, GroupPort, Member, Reason, Refusal, Storage,
};

/// What a storage says of itself when it joins.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group it belongs to.
    pub group: GroupName,
    /// What all members of the group must agree on.
    pub claim: Claim,
    /// Smaller is preferred for uploads.
    pub upload_priority: i64,
    /// When it was set up.
    pub join_time: Timestamp,
    /// When its process was started.
    pub up_time: Timestamp,
    /// Its version.
    pub version: String,
    /// It has not settled yet from whom it gets the old files.
    pub initial: bool,
    /// Its own idea of its state; nothing if it has none.
    pub status: Option<StorageStatus>,
    /// The id it claims, where the cluster has ids.
    pub id: Option<StorageId>,
    /// Where the connection comes from.
    pub peer: IpAddr,
}

/// The answer to a JOIN.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joined {
    /// What the connection is from now on.
    pub member: Member,
    /// The state that the storage has.
    pub status: StorageStatus,
    /// Who pushes the old files to it.
    pub sync_source: Option<StorageId>,
}

impl Cluster {
    /// A storage joins. `changelog_length` is the present length of the changelog.
    pub fn join(
        &mut self,
        request: &JoinRequest,
        changelog_length: u64,
    ) -> Result<(Joined, Vec<Action>), Refusal> {
        let name = request.group;
        let (id, addresses, rw) = self.identify(request)?;
        let mut actions = Vec::new();
        let at = match self.find(&name) {
            Ok(at) => at,
            Err(_) if self.groups.len() >= Self::MAX_GROUPS => return Err(Refusal::NoSpace),
            Err(at) => at,
        };
        let known = self.groups.get(at).filter(|group| group.name == name);
        let agreed = match agree(known, &id, request, self.settings.allows_mixed_ports()) {
            Ok(agreed) => agreed,
            Err(refusal) => {
                self.remember_claim(&name, &id, request.claim);
                return Err(refusal);
            }
        };
        if known.is_none() {
            self.groups.insert(at, Group::new(name));
        }
        let session = self.sessions + 1;
        self.sessions = session;
        let now = self.now;
        let group = &mut self.groups[at];
        let new = group.get(&id).is_none();
        if new {
            let mut storage = Storage::new(id, addresses, request.peer, rw);
            storage.enter(first_status(request)?, Reason::Joined, now);
            group.insert(storage);
            group.notify();
        }
        if known_differs(group, &agreed) {
            let before = group.port;
            (group.port, group.path_count, group.subdir_count) = agreed;
            if let (GroupPort::Same(_), GroupPort::Same(port)) = (before, group.port) {
                group.update_all(|storage| {
                    if storage.is_member() {
                        storage.port = port;
                    }
                });
            }
            actions.push(Action::Save(DataFile::Groups));
        }
        let was = group.get(&id).map(|storage| storage.status);
        let paths_before = group.get(&id).map_or(0, |storage| storage.claim.path_count);
        let (status, sync_source) = group
            .update(&id, |storage| {
                storage.claim = request.claim;
                storage.addresses = addresses;
                storage.joined_from = request.peer;
                storage.port = request.claim.port;
                storage.path_count = request.claim.path_count;
                storage.subdir_count = request.claim.subdir_count;
                storage.upload_priority = request.upload_priority;
                storage.join_time = request.join_time;
                storage.up_time = request.up_time;
                storage.version.clone_from(&request.version);
                storage.session = session;
                // Whoever joins has heard nothing yet: the end of its last connection may never be seen.
                (storage.seen_changes, storage.seen_trunk_changes) = (0, 0);
                match storage.status {
                    StorageStatus::Deleted | StorageStatus::IpChanged => {
                        storage.enter(StorageStatus::Init, Reason::Joined, now);
                    }
                    StorageStatus::Offline | StorageStatus::Recovery => {
                        storage.enter(StorageStatus::Online, Reason::Rejoined, now);
                    }
                    StorageStatus::Init => storage.reason = Reason::Joined,
                    StorageStatus::WaitSync => storage.reason = Reason::SourceGiven,
                    StorageStatus::Syncing => storage.reason = Reason::Told,
                    _ => storage.reason = Reason::Rejoined,
                }
                if storage.status == StorageStatus::Init {
                    storage.changelog_offset = changelog_length;
                }
                (storage.status, storage.sync_source)
            })
            .expect("inserted above if it was missing");
        let returned = matches!(was, Some(StorageStatus::Deleted | StorageStatus::IpChanged));
        if returned {
            group.notify();
        }
        if new {
            actions
                .extend([DataFile::Groups, DataFile::Storages, DataFile::SyncTimestamps].map(Action::Save));
        } else if returned {
            actions.push(Action::Save(DataFile::Storages));
        }
        actions.dedup();
        actions.push(Action::Report(Event::Joined { group: name, id, new }));
        let (own, agreed) = (request.claim.path_count, group.path_count);
        // Told once: such a storage comes back again and again.
        if own > agreed && own != paths_before {
            actions.push(Action::Report(Event::TooManyPaths { group: name, id, own, agreed }));
        }
        let member = Member { group: name, id, session };
        Ok((Joined { member, status, sync_source }, actions))
    }

    /// Which storage this is.
    fn identify(&self, request: &JoinRequest) -> Result<(StorageId, Addresses, RwMode), Refusal> {
        let Some(ids) = &self.settings.ids else {
            let (ip, id) = (request.peer, Self::id_of_ip(request.peer));
            return Ok((id, Addresses::one(ip), RwMode::Both));
        };
        let entry = match request.id {
            Some(id) if self.settings.trust_storage_id => ids.get(&id),
            _ => ids.find(&request.group, request.peer, request.claim.port),
        }
        .ok_or(Refusal::NotFound)?;
        if entry.group != request.group {
            return Err(Refusal::Invalid);
        }
        Ok((entry.id, entry.addresses, entry.rw))
    }

    /// A member that is refused for what it says may bring the others to say the same in time.
    fn remember_claim(&mut self, group: &GroupName, id: &StorageId, claim: Claim) {
        if let Ok(group) = self.group_mut(group) {
            group.update(id, |storage| storage.claim = claim);
        }
    }
}

/// What the group agrees on with this storage in it.
type Agreed = (GroupPort, u16, u16);

fn agree(
    group: Option<&Group>,
    id: &StorageId,
    request: &JoinRequest,
    mixed_ports: bool,
) -> Result<Agreed, Refusal> {
    let Claim { port, path_count, subdir_count } = request.claim;
    let Some(group) = group else {
        first_status(request)?;
        return Ok((GroupPort::Same(port), path_count, subdir_count));
    };
    let others = || group.in_order_of_creation().iter().filter(|s| s.is_member() && s.id != *id);
    let new_port = match group.port {
        GroupPort::Same(same) if same == port => group.port,
        GroupPort::Same(_) if mixed_ports => GroupPort::Mixed,
        GroupPort::Mixed if mixed_ports => GroupPort::Mixed,
        GroupPort::Same(_) if others().any(|other| other.claim.port != port) => {
            return Err(Refusal::Invalid);
        }
        _ => GroupPort::Same(port),
    };
    if group.get(id).is_none() {
        first_status(request)?;
        if others().count() >= Cluster::MAX_STORAGES {
            return Err(Refusal::NoSpace);
        }
    }
    let new_paths = match group.path_count {
        same if same == path_count => same,
        0 => path_count,
        _ if others().all(|other| other.claim.path_count == path_count) => path_count,
        more if path_count < more => return Err(Refusal::Invalid),
        fewer => fewer,
    };
    let new_subdirs = match group.subdir_count {
        same if same == subdir_count => same,
        0 => subdir_count,
        _ if others().all(|other| other.claim.subdir_count == subdir_count) => subdir_count,
        _ => return Err(Refusal::Invalid),
    };
    Ok((new_port, new_paths, new_subdirs))
}

fn known_differs(group: &Group, agreed: &Agreed) -> bool {
    (group.port, group.path_count, group.subdir_count) != *agreed
}

/// The state of a storage that this tracker has not seen before.
fn first_status(request: &JoinRequest) -> Result<StorageStatus, Refusal> {
    match request.status {
        _ if request.initial => Ok(StorageStatus::Init),
        None | Some(StorageStatus::Deleted | StorageStatus::IpChanged | StorageStatus::None) => {
            Err(Refusal::Impossible)
        }
        Some(StorageStatus::Active) => Ok(StorageStatus::Online),
        Some(status) => Ok(status),
    }
}
