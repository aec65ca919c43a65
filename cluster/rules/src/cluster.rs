//! All groups, and the events that change them.

use std::net::IpAddr;

use fdfs_types::{GroupName, RwMode, StorageId, Timestamp};

use crate::watch::Watch;
use crate::{Action, Addresses, Group, Refusal, Settings, Storage, short_code};

/// The state of the whole cluster as one tracker knows it.
///
/// Every method is an event; what it returns is what the daemon has to do. Nothing here waits.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) settings: Settings,
    pub(crate) groups: Vec<Group>,
    pub(crate) group_turn: usize,
    pub(crate) leading: bool,
    pub(crate) sessions: u64,
    pub(crate) stat_beats: u64,
    pub(crate) sync_reports: u64,
    pub(crate) watch: Watch,
    /// The latest time that an event told; for the operator's eyes only.
    pub(crate) now: Timestamp,
}

/// A storage that has joined over a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Member {
    /// Its group.
    pub group: GroupName,
    /// Its id.
    pub id: StorageId,
    pub(crate) session: u64,
}

impl Cluster {
    /// Most groups.
    pub const MAX_GROUPS: usize = 512;
    /// Most storages of one group.
    pub const MAX_STORAGES: usize = 32;

    /// A cluster without groups, of a tracker that starts now.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        let watch = Watch::new(now, settings.check_active_interval);
        Self {
            settings,
            groups: Vec::new(),
            group_turn: 0,
            leading: false,
            sessions: 0,
            stat_beats: 0,
            sync_reports: 0,
            watch,
            now,
        }
    }

    /// Adds a group that a file tells of; one of the same name is replaced.
    pub fn restore(&mut self, group: Group) {
        match self.find(&group.name) {
            Ok(at) => self.groups[at] = group,
            Err(at) => self.groups.insert(at, group),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All groups by name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group of this name.
    pub fn group(&self, name: &GroupName) -> Result<&Group, Refusal> {
        self.find(name).map(|at| &self.groups[at]).map_err(|_| Refusal::NotFound)
    }

    /// The record of a storage.
    pub fn storage(&self, group: &GroupName, id: &StorageId) -> Result<&Storage, Refusal> {
        self.group(group)?.get(id).ok_or(Refusal::NotFound)
    }

    /// Whether a request from this address can come from a member: a storage has joined from it, or
    /// the table of ids names it.
    pub fn knows_peer(&self, peer: IpAddr) -> bool {
        let known = |storage: &Storage| storage.addresses.contains(peer) || storage.joined_from == peer;
        let mut storages = self.groups.iter().flat_map(Group::storages);
        storages.any(|storage| storage.is_member() && known(storage))
            || self.settings.ids.as_ref().is_some_and(|ids| ids.contains_ip(peer))
    }

    /// Whether an address is, or was, that of a storage: one that was removed asks for what became of it before it joins again.
    pub fn remembers_peer(&self, peer: IpAddr) -> bool {
        let mut storages = self.groups.iter().flat_map(Group::storages);
        storages.any(|storage| storage.addresses.contains(peer) || storage.joined_from == peer)
    }

    pub(crate) fn find(&self, name: &GroupName) -> Result<usize, usize> {
        self.groups.binary_search_by(|group| group.name.cmp(name))
    }

    pub(crate) fn group_mut(&mut self, name: &GroupName) -> Result<&mut Group, Refusal> {
        let at = self.find(name).map_err(|_| Refusal::NotFound)?;
        Ok(&mut self.groups[at])
    }

    /// The group of a member; denied if the record behind the connection is gone.
    pub(crate) fn home(&mut self, member: &Member) -> Result<&mut Group, Refusal> {
        let group = self.group_mut(&member.group).map_err(|_| Refusal::Denied)?;
        if group.get(&member.id).is_some() { Ok(group) } else { Err(Refusal::Denied) }
    }

    /// The group of a member that speaks on its latest connection. What changes states must not come
    /// from one that was given up, however late it is read.
    pub(crate) fn home_of_latest(&mut self, member: &Member) -> Result<&mut Group, Refusal> {
        let group = self.home(member)?;
        let is_latest = group.get(&member.id).is_some_and(|storage| storage.session == member.session);
        if is_latest { Ok(group) } else { Err(Refusal::Denied) }
    }

    /// The identity of a storage that others speak of, and that may not have joined yet.
    pub(crate) fn identity(
        &self,
        group: &GroupName,
        id: &StorageId,
        ip: Option<IpAddr>,
    ) -> Result<(Addresses, RwMode), Refusal> {
        match &self.settings.ids {
            Some(ids) => {
                let entry = ids.get(id).ok_or(Refusal::NotFound)?;
                if entry.group != *group {
                    return Err(Refusal::Invalid);
                }
                Ok((entry.addresses, entry.rw))
            }
            None => {
                let ip = id.as_str().parse().ok().or(ip).ok_or(Refusal::NotFound)?;
                Ok((Addresses::one(ip), RwMode::Both))
            }
        }
    }

    /// The id that names the storage with this address where the cluster has no table of ids.
    pub fn id_of_ip(ip: IpAddr) -> StorageId {
        let text = ip.to_string();
        let text = if ip.is_ipv6() { short_code(&text) } else { text };
        text.parse().expect("an IPv4 address or a short code is an id")
    }

    /// This tracker leads from now on, or not any more.
    pub fn on_leadership(&mut self, leading: bool) -> Vec<Action> {
        self.leading = leading;
        // What others have told as leaders meanwhile is not known here.
        for group in &mut self.groups {
            group.update_all(|storage| (storage.seen_changes, storage.seen_trunk_changes) = (0, 0));
        }
        if leading && self.settings.use_trunk {
            let vacant = self.groups.iter().filter(|group| group.trunk.server.is_none());
            vacant.map(|group| Action::ElectTrunkServer(group.name)).collect()
        } else {
            Vec::new()
        }
    }

    /// Whether this tracker leads.
    pub fn is_leading(&self) -> bool {
        self.leading
    }
}
