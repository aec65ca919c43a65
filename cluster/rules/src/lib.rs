//! Rules of the cluster: states, selection, leader, sync plan; pure.
//!
//! [`Cluster`] is what a tracker knows of groups and storages, [`Leadership`] what it knows of other
//! trackers. Both take events with their time and return what the daemon has to do; neither touches a
//! socket, a disk or a clock.

mod action;
mod address;
mod admin;
mod cluster;
mod group;
mod ids;
mod join;
mod leader;
mod membership;
mod merge;
mod notify;
mod reason;
mod refusal;
pub mod replication;
mod selection;
mod settings;
mod storage;
mod sync;
mod trunk;
mod watch;

#[cfg(test)]
mod tests;

pub use action::{Action, ChangelogEntry, DataFile, Event, TrunkChange};
pub use address::{Addresses, short_code};
pub use cluster::{Cluster, Member};
pub use group::{Group, GroupPort, TrunkOffice};
pub use ids::{StorageIdEntry, StorageIds};
pub use join::{JoinRequest, Joined};
pub use leader::{
    FilesPlan, LeaderAction, Leadership, PingOutcome, RankAnswer, Tracker, TrackerAddress, TrackerRank,
    TrackerStatus,
};
pub use merge::StatusReport;
pub use notify::{LeaderNews, Notification, StorageBrief};
pub use reason::Reason;
pub use refusal::Refusal;
pub use selection::{Endpoint, FetchTarget, FileOrigin, HowMany, StoreTarget};
pub use settings::Settings;
pub use storage::{Claim, Space, Storage};
pub use sync::SyncRange;
pub use trunk::{TrunkAnswer, TrunkCandidate};
