//! What storages and the leader say about a storage's state.

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId, StorageStatus};

use crate::admin::ALL_FILES;
use crate::{Action, Cluster, DataFile, Event, Group, Member, Reason, Refusal, Storage};

/// What somebody says about the state of a storage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusReport {
    /// The storage.
    pub id: StorageId,
    /// Its state.
    pub status: StorageStatus,
    /// Its address, if told.
    pub ip: Option<IpAddr>,
    /// Its port; 0 is unknown.
    pub port: u16,
}

impl Cluster {
    /// A storage tells the state of another, or of itself.
    pub fn report_status(
        &mut self,
        group: &GroupName,
        report: &StatusReport,
    ) -> Result<Vec<Action>, Refusal> {
        self.group(group)?;
        self.merge_status(group, report)
    }

    /// A member knows better about its peers. The leader knows best and does not listen.
    pub fn replica_change(
        &mut self,
        member: &Member,
        reports: &[StatusReport],
    ) -> Result<Vec<Action>, Refusal> {
        self.home(member)?;
        if self.leading {
            return Ok(Vec::new());
        }
        let mut actions = Vec::new();
        for report in reports {
            actions.extend(self.merge_status(&member.group, report)?);
        }
        Ok(actions)
    }

    /// The leader gave the member another state than this tracker. This is taken even by one that leads
    /// by now: the member would come back with it until it is. The group hears of it, so that a source
    /// that is done says so again.
    pub fn change_status(&mut self, member: &Member, status: StorageStatus) -> Result<Vec<Action>, Refusal> {
        let serves =
            |status| matches!(status, StorageStatus::Offline | StorageStatus::Online | StorageStatus::Active);
        let at = self.now;
        let group = self.home_of_latest(member)?;
        let Some(before) = group.get(&member.id).map(|storage| storage.status) else {
            return Err(Refusal::Denied);
        };
        if before == status || (serves(before) && serves(status)) {
            return Ok(Vec::new());
        }
        let now = match status {
            StorageStatus::Online | StorageStatus::Active => StorageStatus::Offline,
            other => other,
        };
        group.update(&member.id, |storage| storage.enter(now, Reason::LeaderTold, at));
        group.notify();
        let event = Event::StatusTaken { group: member.group, id: member.id, before, now };
        Ok(vec![Action::Save(DataFile::Storages), Action::Report(event)])
    }

    fn merge_status(&mut self, name: &GroupName, report: &StatusReport) -> Result<Vec<Action>, Refusal> {
        let Some(before) = self.storage(name, &report.id).ok().map(|storage| storage.status) else {
            return self.learn_of(name, report);
        };
        if !takes(before, report.status) {
            return Ok(Vec::new());
        }
        let at = self.now;
        let group = self.group_mut(name)?;
        group.update(&report.id, |storage| storage.enter(report.status, Reason::Told, at));
        group.notify();
        let now = report.status;
        // Saved, unlike in the original: a tracker that crashes must not forget who has the old files.
        let event = Event::StatusTaken { group: *name, id: report.id, before, now };
        Ok(vec![Action::Save(DataFile::Storages), Action::Report(event)])
    }

    /// A storage that only others know so far.
    fn learn_of(&mut self, name: &GroupName, report: &StatusReport) -> Result<Vec<Action>, Refusal> {
        if !matches!(
            report.status,
            StorageStatus::Init
                | StorageStatus::WaitSync
                | StorageStatus::Syncing
                | StorageStatus::Offline
                | StorageStatus::Recovery
        ) {
            return Ok(Vec::new());
        }
        let (addresses, rw) = self.identity(name, &report.id, report.ip)?;
        let now = self.now;
        let group = self.group_mut(name)?;
        if members(group) >= Self::MAX_STORAGES {
            return Err(Refusal::NoSpace);
        }
        let mut storage = Storage::new(report.id, addresses, addresses.first(), rw);
        storage.enter(report.status, Reason::Told, now);
        storage.port = report.port;
        storage.claim.port = report.port;
        group.insert(storage);
        group.notify();
        Ok(ALL_FILES.to_vec())
    }
}

/// Whether a storage in one state takes another that is reported of it. The comparison is one of
/// numbers, as the originals make it.
fn takes(own: StorageStatus, reported: StorageStatus) -> bool {
    match (own, reported) {
        (_, StorageStatus::None) => false,
        (own, reported) if own == reported => false,
        (
            StorageStatus::Init | StorageStatus::Online | StorageStatus::Active | StorageStatus::Recovery,
            _,
        ) => false,
        (_, StorageStatus::Deleted | StorageStatus::IpChanged) => true,
        (own, reported) => reported > own,
    }
}

fn members(group: &Group) -> usize {
    group.storages().filter(|storage| storage.is_member()).count()
}
