//! What happens every second.

use std::sync::Arc;
use std::time::Duration;

use fdfs_types::{StorageStatus, Timestamp};
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use crate::core::{Core, State, now};
use crate::disk::TrackerStatusFile;

/// The sign of life is written in steps of this many seconds.
const SIGN_OF_LIFE: i64 = 300;

impl Core {
    /// Lets time pass for the rules, until the task is dropped.
    pub(crate) async fn tick(self: Arc<Self>) {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut step = now().0.div_euclid(SIGN_OF_LIFE);
        loop {
            seconds.tick().await;
            let now = now();
            let actions = {
                let mut state = self.state.lock();
                let changes = state.leadership.on_tick(now);
                let mut actions = self.follow_up(&mut state, changes);
                actions.extend(state.cluster.on_tick(now));
                measure(&state, self.started, now);
                actions
            };
            if !actions.is_empty() {
                self.carry_out(actions).await;
            }
            let present = now.0.div_euclid(SIGN_OF_LIFE);
            if std::mem::replace(&mut step, present) != present {
                self.write_sign_of_life(now).await;
            }
        }
    }

    async fn write_sign_of_life(self: &Arc<Self>, now: Timestamp) {
        let core = Arc::clone(self);
        let status = TrackerStatusFile { up_time: self.started, last_check_time: now };
        let written = tokio::task::spawn_blocking(move || core.disk.save_tracker_status(&status)).await;
        if let Ok(Err(error)) = written {
            error!(%error, "the sign of life cannot be written");
        }
    }
}

/// Sets the gauges of the cluster.
fn measure(state: &State, started: Timestamp, now: Timestamp) {
    gauge!("fdfs_tracker_leading").set(f64::from(u8::from(state.leadership.is_leading())));
    gauge!("fdfs_tracker_uptime_seconds").set(now.since(started).as_secs_f64());
    gauge!("fdfs_tracker_groups").set(state.cluster.groups().len() as f64);
    for group in state.cluster.groups() {
        let name = group.name.to_string();
        let space = group.space();
        gauge!("fdfs_group_total_mb", "group" => name.clone()).set(space.total_mb as f64);
        gauge!("fdfs_group_free_mb", "group" => name.clone()).set(space.free_mb as f64);
        gauge!("fdfs_group_writable", "group" => name.clone()).set(group.writable().len() as f64);
        gauge!("fdfs_group_readable", "group" => name.clone()).set(group.readable().len() as f64);
        let members = group.storages().filter(|storage| storage.is_member());
        gauge!("fdfs_group_members", "group" => name.clone()).set(members.clone().count() as f64);
        let active = members.filter(|storage| storage.status == StorageStatus::Active).count();
        gauge!("fdfs_group_active", "group" => name.clone()).set(active as f64);
        for storage in group.storages() {
            let labels = [("group", name.clone()), ("storage_id", storage.id.to_string())];
            gauge!("fdfs_storage_status", &labels).set(f64::from(storage.status.to_wire()));
            gauge!("fdfs_storage_status_since_seconds", &labels).set(storage.since.0 as f64);
        }
    }
}
