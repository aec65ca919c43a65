//! What members report while they are connected, and what silence means.

use fdfs_conf::{StorePathChoice, StoreServer};
use fdfs_proto::StorageStat;
use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::storage::Space;
use crate::{Action, Cluster, DataFile, Event, Member, Reason, Refusal};

/// Every so many reports the file that depends on them is saved.
const SAVE_EVERY: u64 = 1000;

impl Cluster {
    /// A heart beat, with counters if one of them changed.
    pub fn beat(
        &mut self,
        member: &Member,
        stat: Option<StorageStat>,
        now: Timestamp,
    ) -> Result<Vec<Action>, Refusal> {
        let with_stat = stat.is_some();
        self.now = now;
        self.home(member)?.update(&member.id, |storage| {
            storage.last_heartbeat = now;
            if let Some(stat) = stat {
                storage.stat = stat;
            }
        });
        let mut actions = self.activate(member);
        if with_stat {
            self.stat_beats += 1;
            if self.stat_beats.is_multiple_of(SAVE_EVERY) {
                actions.push(Action::Save(DataFile::Storages));
            }
        }
        Ok(actions)
    }

    /// The space of every store path.
    pub fn disk_usage(&mut self, member: &Member, paths: &[Space]) -> Result<Vec<Action>, Refusal> {
        let most_free = self.settings.store_path == StorePathChoice::MostFree;
        let group = self.home(member)?;
        if paths.len() != usize::from(group.path_count) {
            return Err(Refusal::Invalid);
        }
        group.update(&member.id, |storage| {
            storage.paths.clear();
            storage.paths.extend_from_slice(paths);
            storage.space = paths.iter().fold(Space::default(), |sum, path| Space {
                total_mb: sum.total_mb.saturating_add(path.total_mb),
                free_mb: sum.free_mb.saturating_add(path.free_mb),
            });
            if most_free {
                let free = |at: usize| paths.get(at).map_or(0, |path| path.free_mb);
                let current = storage.current_path;
                storage.current_path =
                    (0..paths.len()).fold(current, |best, at| if free(at) > free(best) { at } else { best });
            }
        });
        Ok(self.activate(member))
    }

    /// Up to when the member has applied all files of each source.
    pub fn sync_report(
        &mut self,
        member: &Member,
        rows: &[(StorageId, Timestamp)],
    ) -> Result<Vec<Action>, Refusal> {
        let take_least = self.settings.store_server() == StoreServer::RoundRobin;
        let group = self.home(member)?;
        let accepted: Vec<_> = rows
            .iter()
            .filter(|(source, time)| {
                let active = |storage: &crate::Storage| storage.status == StorageStatus::Active;
                *time > Timestamp::ZERO && *source != member.id && group.get(source).is_some_and(active)
            })
            .copied()
            .collect();
        group.update(&member.id, |storage| {
            let times = || accepted.iter().map(|(_, time)| *time);
            let synced =
                if take_least { times().min() } else { times().max().max(Some(storage.last_synced)) };
            storage.last_synced = synced.unwrap_or(storage.last_synced);
            storage.applied.extend(accepted.iter().copied());
        });
        self.sync_reports += 1;
        let save = self.sync_reports.is_multiple_of(SAVE_EVERY);
        Ok(save.then_some(Action::Save(DataFile::SyncTimestamps)).into_iter().collect())
    }

    /// The member's connection was closed. Only its latest connection counts: a storage that has
    /// already come back is not taken offline by the end of its old connection.
    pub fn disconnected(&mut self, member: &Member) -> Vec<Action> {
        let Ok(group) = self.home(member) else { return Vec::new() };
        match group.get(&member.id) {
            Some(storage) if storage.session == member.session => {}
            _ => return Vec::new(),
        }
        group.update(&member.id, |storage| storage.up_time = Timestamp::ZERO);
        self.deactivate(&member.group, &member.id, false)
    }

    /// Time has passed: a second, where all is well.
    pub fn on_tick(&mut self, now: Timestamp) -> Vec<Action> {
        let interval = self.settings.check_active_interval;
        self.now = now;
        let is_round = self.watch.tick(now, interval);
        let watch = self.watch;
        let silent: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| group.storages().map(|storage| (group.name, storage)))
            .filter(|(_, storage)| {
                storage.status == StorageStatus::Active
                    && watch.silence(storage.last_heartbeat, now) > interval
            })
            .map(|(group, storage)| (group, storage.id))
            .collect();
        let mut actions: Vec<_> =
            silent.iter().flat_map(|(group, id)| self.deactivate(group, id, true)).collect();
        actions.extend(self.check_trunk_servers(is_round, now));
        actions
    }

    /// A report of a member that may serve makes it serve.
    fn activate(&mut self, member: &Member) -> Vec<Action> {
        let (elects, now) = (self.leading && self.settings.use_trunk, self.now);
        let Ok(group) = self.home(member) else { return Vec::new() };
        let may_serve = |status| {
            matches!(status, StorageStatus::Offline | StorageStatus::Online | StorageStatus::Recovery)
        };
        if !group.get(&member.id).is_some_and(|storage| may_serve(storage.status)) {
            return Vec::new();
        }
        let writable = group.update(&member.id, |storage| {
            storage.enter(StorageStatus::Active, Reason::Reports, now);
            storage.rw.is_writable()
        });
        group.notify();
        let (group_name, id) = (member.group, member.id);
        let mut actions = vec![Action::Report(Event::Activated { group: group_name, id })];
        if elects && writable == Some(true) && group.trunk.server.is_none() {
            actions.push(Action::ElectTrunkServer(group_name));
        }
        actions
    }

    /// A member serves no more.
    fn deactivate(&mut self, group: &GroupName, id: &StorageId, silent: bool) -> Vec<Action> {
        let (now, interval) = (self.now, self.settings.check_active_interval);
        let Ok(group) = self.group_mut(group) else { return Vec::new() };
        let was = group.get(id).map(|storage| storage.status);
        let Some(StorageStatus::Offline | StorageStatus::Online | StorageStatus::Active) = was else {
            return Vec::new();
        };
        group.update(id, |storage| {
            let reason = if silent { Reason::Silent(interval) } else { Reason::Disconnected };
            storage.enter(StorageStatus::Offline, reason, now);
            storage.seen_changes = 0;
            storage.seen_trunk_changes = 0;
        });
        if was != Some(StorageStatus::Active) {
            return Vec::new();
        }
        group.notify();
        vec![Action::Report(Event::TakenOffline { group: group.name, id: *id, silent })]
    }
}
