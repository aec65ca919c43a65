//! Doing what the rules ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use fdfs_rules::{Action, DataFile, Event, LeaderAction};
use metrics::counter;
use tracing::{debug, error, info, warn};

use crate::core::{Core, State};
use crate::disk;

impl Core {
    /// Does what the rules ask for. Files are written when this returns; elections go on beside.
    pub(crate) async fn carry_out(self: &Arc<Self>, actions: Vec<Action>) {
        let mut writes = Vec::new();
        for action in actions {
            match action {
                Action::Report(event) => report(&event),
                Action::ElectTrunkServer(group) => {
                    let core = Arc::clone(self);
                    self.spawn(async move {
                        let _ = core.elect_trunk_server(group).await;
                    });
                }
                write => writes.push(write),
            }
        }
        if !writes.is_empty() {
            self.write_out(writes).await;
        }
    }

    /// Writes files.
    pub(crate) async fn write_out(self: &Arc<Self>, writes: Vec<Action>) {
        let core = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || core.write(&writes)).await {
            error!(%error, "writing data files has failed");
        }
    }

    /// The same, without waiting.
    pub(crate) fn carry_out_later(&self, actions: Vec<Action>) {
        if actions.is_empty() {
            return;
        }
        if let (Some(core), Some(runtime)) = (self.myself.upgrade(), self.runtime.get()) {
            runtime.spawn(async move { core.carry_out(actions).await });
        }
    }

    /// What follows from a change of the leader.
    pub(crate) fn follow_up(&self, state: &mut State, changes: Vec<LeaderAction>) -> Vec<Action> {
        let mut actions = Vec::new();
        for change in changes {
            match change {
                LeaderAction::Leading(leading) => {
                    if leading {
                        let own = state.leadership.leader().map(|own| own.first().to_string());
                        info!(leader = own, "the tracker leader is this one");
                    } else {
                        warn!("this tracker does not lead any more");
                    }
                    actions.extend(state.cluster.on_leadership(leading));
                }
                LeaderAction::Follows(leader) => {
                    info!(leader = %leader.first(), "the tracker leader is another one");
                }
                step => self.take_step(step),
            }
        }
        actions
    }

    fn write(&self, actions: &[Action]) {
        let mut files = BTreeSet::new();
        for action in actions {
            let done = match action {
                Action::Append(entry) => self.disk.append(entry),
                Action::LogTrunkChange(change) => {
                    info!(group = %change.group, before = change.before, now = change.now, "trunk server set");
                    self.disk.log_trunk_change(change)
                }
                Action::Save(file) => {
                    files.insert(*file);
                    Ok(())
                }
                Action::Report(_) | Action::ElectTrunkServer(_) => Ok(()),
            };
            if let Err(error) = done {
                failed(&error);
            }
        }
        files.into_iter().for_each(|file| self.save(file));
    }

    /// Saves all data files.
    pub(crate) fn save_all(&self) {
        disk::FILES.into_iter().for_each(|file| self.save(file));
    }

    fn save(&self, file: DataFile) {
        let saved = self.disk.save(file, || disk::render(file, &self.state.lock().cluster));
        match &saved {
            Ok(()) => self.unsaved.lock().remove(&file),
            Err(error) => self.unsaved.lock().insert(file, error.to_string()),
        };
        if let Err(error) = saved {
            failed(&error);
        }
    }

    /// Runs a task on the server's own runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.runtime.get() {
            runtime.spawn(task);
        }
    }
}

fn failed(error: &std::io::Error) {
    counter!("fdfs_tracker_save_errors_total").increment(1);
    error!(%error, "a data file cannot be written");
}

fn report(event: &Event) {
    match event {
        Event::Joined { group, id, new: true } => info!(%group, storage_id = %id, "new storage joined"),
        Event::Joined { group, id, new: false } => debug!(%group, storage_id = %id, "storage joined"),
        Event::TooManyPaths { group, id, own, agreed } => {
            warn!(%group, storage_id = %id, own, agreed, "storage has more store paths than its group");
        }
        Event::Activated { group, id } => debug!(%group, storage_id = %id, "storage server now active"),
        Event::TakenOffline { group, id, silent: true } => {
            info!(%group, storage_id = %id, "storage server is silent, taken offline");
        }
        Event::TakenOffline { group, id, silent: false } => {
            debug!(%group, storage_id = %id, "storage server offline");
        }
        Event::StatusTaken { group, id, before, now } => {
            warn!(%group, storage_id = %id, %before, %now, "storage status changed as others see it");
        }
        Event::Deleted { group, id } => warn!(%group, storage_id = %id, "storage deleted"),
        Event::Moved { group, before, now } => warn!(%group, %before, %now, "storage has a new address"),
        Event::TrunkServerLost { group, id } => {
            warn!(%group, storage_id = %id, "trunk server is silent for too long");
        }
    }
}
