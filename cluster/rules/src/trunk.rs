//! The office of a group's trunk server.
//!
//! Storages are asked for their trunk binlogs by the daemon; the rules say who may stand, and when
//! the office falls vacant.

use std::net::SocketAddr;

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::watch::Watch;
use crate::{Action, Cluster, DataFile, Event, Group, Member, Refusal, Storage, TrunkChange};

/// What an administrator who asks for a trunk server gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrunkAnswer {
    /// This one is in office.
    Server(StorageId),
    /// There is nobody: hold an election, then answer with its outcome.
    Elect,
}

/// A storage that may become trunk server, and where it is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrunkCandidate {
    /// Its id.
    pub id: StorageId,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Cluster {
    /// The highest number of a trunk file in the member's group.
    pub fn trunk_file_id(&mut self, member: &Member) -> Result<u32, Refusal> {
        Ok(self.home(member)?.trunk.file_id)
    }

    /// The trunk server made a new trunk file.
    pub fn report_trunk_file_id(&mut self, member: &Member, id: u32) -> Result<Vec<Action>, Refusal> {
        let Some(group) = self.office_of(member)? else { return Ok(Vec::new()) };
        if id <= group.trunk.file_id {
            return Ok(Vec::new());
        }
        group.trunk.file_id = id;
        Ok(vec![Action::Save(DataFile::Groups)])
    }

    /// The trunk server tells how much is free inside trunk files.
    pub fn report_trunk_free(&mut self, member: &Member, free_mb: u64) -> Result<(), Refusal> {
        if let Some(group) = self.office_of(member)? {
            group.trunk.free_mb = free_mb;
        }
        Ok(())
    }

    /// An administrator asks for the trunk server of a group, or for another one.
    pub fn set_trunk_server(
        &mut self,
        name: &GroupName,
        wanted: Option<&StorageId>,
    ) -> Result<(TrunkAnswer, Vec<Action>), Refusal> {
        let group = self.group(name)?;
        if !self.leading || !self.settings.use_trunk {
            return Err(Refusal::NotSupported);
        }
        let is_active = |id: &StorageId| group.get(id).is_some_and(|s| s.status == StorageStatus::Active);
        let in_office = group.trunk.server.filter(is_active);
        match (wanted, in_office) {
            (None, Some(server)) => return Ok((TrunkAnswer::Server(server), Vec::new())),
            (None, None) => return Ok((TrunkAnswer::Elect, Vec::new())),
            (Some(id), Some(server)) if *id == server => return Err(Refusal::Already),
            (Some(_), Some(_)) => return Err(Refusal::Exists),
            (Some(_), None) => {}
        }
        let id = *wanted.ok_or(Refusal::Invalid)?;
        let storage = group.get(&id).ok_or(Refusal::NotFound)?;
        if storage.status != StorageStatus::Active {
            return Err(Refusal::NotActive);
        }
        if !storage.is_writable() {
            return Err(Refusal::Denied);
        }
        let actions = self.appoint_trunk_server(name, &id)?;
        Ok((TrunkAnswer::Server(id), actions))
    }

    /// The storages that may become trunk server of a group; the preferred one first.
    pub fn trunk_candidates(&self, name: &GroupName) -> Result<Vec<TrunkCandidate>, Refusal> {
        let group = self.group(name)?;
        let preferred = self.preferred_server(group).ok_or(Refusal::NotFound)?.id;
        let mut candidates: Vec<_> = group
            .writable()
            .map(|storage| TrunkCandidate {
                id: storage.id,
                address: (storage.joined_from, storage.port).into(),
            })
            .collect();
        candidates.sort_by_key(|candidate| candidate.id != preferred);
        Ok(candidates)
    }

    /// A storage takes the office.
    pub fn appoint_trunk_server(&mut self, name: &GroupName, id: &StorageId) -> Result<Vec<Action>, Refusal> {
        let with_ids = self.settings.ids.is_some();
        let group = self.group_mut(name)?;
        if !group.get(id).is_some_and(Storage::is_writable) {
            return Err(Refusal::NotFound);
        }
        let before = group.trunk.last_server;
        group.trunk.server = Some(*id);
        group.trunk.last_server = Some(*id);
        group.trunk.changes += 1;
        let mut actions = vec![Action::Save(DataFile::Groups)];
        if before != Some(*id) {
            actions.push(Action::LogTrunkChange(TrunkChange {
                group: *name,
                before: holder(group, before.as_ref(), with_ids),
                now: holder(group, Some(id), with_ids),
            }));
        }
        Ok(actions)
    }

    /// Nobody could be elected: the office is empty, and the last holder no candidate by right.
    pub fn trunk_election_failed(&mut self, name: &GroupName) -> Vec<Action> {
        let with_ids = self.settings.ids.is_some();
        let Ok(group) = self.group_mut(name) else { return Vec::new() };
        let Some(last) = group.trunk.last_server.take() else { return Vec::new() };
        let change = TrunkChange {
            group: *name,
            before: holder(group, Some(&last), with_ids),
            now: holder(group, None, with_ids),
        };
        group.trunk.changes += 1;
        vec![Action::Save(DataFile::Groups), Action::LogTrunkChange(change)]
    }

    /// The leader's table of trunk servers, as a follower hears it.
    pub fn trunk_table(&mut self, rows: &[(GroupName, Option<StorageId>)]) -> Vec<Action> {
        let mut changed = false;
        for (name, server) in rows {
            let Ok(group) = self.group_mut(name) else { continue };
            let known = server.filter(|id| group.get(id).is_some());
            if group.trunk.server != known || (server.is_some() && group.trunk.last_server != *server) {
                group.trunk.server = known;
                group.trunk.last_server = server.or(group.trunk.last_server);
                changed = true;
            }
        }
        changed.then_some(Action::Save(DataFile::Groups)).into_iter().collect()
    }

    /// The table of trunk servers, for followers.
    pub fn trunk_servers(&self) -> Vec<(GroupName, Option<StorageId>)> {
        self.groups.iter().map(|group| (group.name, group.trunk.server)).collect()
    }

    /// Vacates the office of trunk servers that are silent for too long. It is filled at once, and where that fails tried
    /// again each round.
    pub(crate) fn check_trunk_servers(&mut self, is_round: bool, now: Timestamp) -> Vec<Action> {
        if !self.leading || !self.settings.use_trunk {
            return Vec::new();
        }
        let (settings, watch) = (&self.settings, self.watch);
        let mut actions = Vec::new();
        for group in &mut self.groups {
            let mut is_vacant = is_round && group.trunk.server.is_none();
            if let Some(id) = group.trunk.server
                && group.get(&id).is_none_or(|storage| is_silent(storage, settings, watch, now))
            {
                group.trunk.server = None;
                group.trunk.changes += 1;
                is_vacant = true;
                actions.push(Action::Save(DataFile::Groups));
                actions.push(Action::Report(Event::TrunkServerLost { group: group.name, id }));
            }
            if is_vacant && (group.writable().len() > 0 || group.trunk.last_server.is_some()) {
                actions.push(Action::ElectTrunkServer(group.name));
            }
        }
        actions
    }

    /// The group if this tracker takes the member for its trunk server. A follower that has not
    /// heard of the appointment yet listens without believing.
    fn office_of(&mut self, member: &Member) -> Result<Option<&mut Group>, Refusal> {
        let leading = self.leading;
        let group = self.home(member)?;
        match group.trunk.server == Some(member.id) {
            true => Ok(Some(group)),
            false if leading => Err(Refusal::Invalid),
            false => Ok(None),
        }
    }
}

/// A trunk server may be silent for a few intervals, longer while it may be reading its binlog.
fn is_silent(storage: &Storage, settings: &crate::Settings, watch: Watch, now: Timestamp) -> bool {
    let interval = settings.check_active_interval;
    let factor = if now.since(storage.up_time) > interval * 10 {
        2
    } else {
        let checking = if settings.trunk_init_check_occupying { 5 } else { 3 };
        if settings.trunk_init_reload_from_binlog { checking * 2 } else { checking }
    };
    watch.silence(storage.last_heartbeat, now) > interval * factor
}

/// The holder of the office as the history writes it.
fn holder(group: &Group, id: Option<&StorageId>, with_ids: bool) -> String {
    let host = |id: &StorageId| match group.get(id) {
        Some(storage) => SocketAddr::new(storage.joined_from, storage.port).to_string(),
        None => "-".into(),
    };
    match (id, with_ids) {
        (Some(id), true) => format!("{id}/{}", host(id)),
        (Some(id), false) => host(id),
        (None, true) => "-/-".into(),
        (None, false) => "-".into(),
    }
}
