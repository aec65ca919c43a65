//! Why a storage is in its state, in words for the operator.

use std::fmt;
use std::time::Duration;

use fdfs_types::{GroupName, RwMode, StorageId, StorageStatus};

use crate::{Cluster, Refusal, Storage};

/// What brought a storage into its state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reason {
    /// It stands in the data files and has not joined since this tracker was started.
    #[default]
    FromFiles,
    /// It has joined for the first time, or after its removal.
    Joined,
    /// It has asked for a source, and nobody can be one at present.
    NoSource,
    /// It was given a source for the old files.
    SourceGiven,
    /// There are no old files for it.
    NoOldFiles,
    /// A member of the group has told.
    Told,
    /// The leading tracker knows it in this state.
    LeaderTold,
    /// It has joined again.
    Rejoined,
    /// It reports.
    Reports,
    /// Its connection has ended.
    Disconnected,
    /// Its connection is open, and it has been silent for longer than this.
    Silent(Duration),
    /// An administrator has removed it.
    Removed,
    /// It goes on under this identity.
    MovedTo(StorageId),
    /// It was known under this identity.
    MovedFrom(StorageId),
}

impl Cluster {
    /// Why a storage is in its state, and what has to happen for it to serve.
    pub fn explain(&self, group: &GroupName, id: &StorageId) -> Result<String, Refusal> {
        let group = self.group(group)?;
        let storage = group.get(id).ok_or(Refusal::NotFound)?;
        let mut text = because(storage).to_owned();
        let mut add = |more: fmt::Arguments<'_>| text.push_str(&format!("{more}"));
        match storage.reason {
            Reason::Silent(limit) => add(format_args!(" for more than {} s", limit.as_secs())),
            Reason::MovedTo(other) | Reason::MovedFrom(other) => add(format_args!(" {other}")),
            _ => {}
        }
        if matches!(storage.status, StorageStatus::WaitSync | StorageStatus::Syncing) {
            match storage.sync_source.and_then(|source| group.get(&source)) {
                None => add(format_args!("; it has no source for the old files any more")),
                Some(source) => {
                    let verb = if storage.status == StorageStatus::Syncing { "sends" } else { "will send" };
                    add(format_args!("; {} {verb} the old files", source.id));
                    if source.status != StorageStatus::Active {
                        add(format_args!(", but is {}: start it", source.status));
                    }
                }
            }
        }
        if storage.is_member() && group.path_count > 0 && storage.claim.path_count > group.path_count {
            let (own, agreed) = (storage.claim.path_count, group.path_count);
            add(format_args!(
                "; it has {own} store paths, its group {agreed}: give every member of the group {own}"
            ));
        }
        if storage.status == StorageStatus::Active && storage.rw == RwMode::None {
            add(format_args!("; storage_ids.conf says rw=none: it serves nobody"));
        }
        Ok(text)
    }
}

/// The state and what brought it about, without names and figures.
fn because(storage: &Storage) -> &'static str {
    use StorageStatus as Status;
    match (storage.reason, storage.status) {
        (Reason::FromFiles, Status::Offline) => "has not joined since this tracker was started",
        (Reason::FromFiles, _) => "known from the data files; has not joined since this tracker was started",
        (Reason::Joined, _) => "has joined, and asks next for a member that sends it the old files",
        (Reason::NoSource, _) => {
            "has asked for the old files, but no member that has them is active; it asks again. \
             Start another member, or remove those that are gone for good"
        }
        (Reason::SourceGiven, _) => "waits for the old files",
        (Reason::NoOldFiles, _) => "there are no old files for it; serves after its next report",
        (Reason::Told, Status::Syncing) => "gets the old files",
        (Reason::Told, Status::Offline) => "has got the old files; serves after its next report",
        (Reason::Told, Status::Recovery) => {
            "rebuilds a store path that was emptied; serves when it joins again"
        }
        (Reason::Told, _) => "another member knows it in this state",
        (Reason::LeaderTold, _) => "the leading tracker knows it in this state",
        (Reason::Rejoined, _) => "has joined; serves after its next report",
        (Reason::Reports, _) => "joined and reports",
        (Reason::Disconnected, _) => {
            "its connection has ended: its process has ended, or the network is down"
        }
        (Reason::Silent(_), _) => "its connection is open, but it has been silent",
        (Reason::Removed, _) => "removed by an administrator; starts over when it joins again",
        (Reason::MovedTo(_), _) => "has another address now: it is",
        (Reason::MovedFrom(_), Status::Offline) => {
            "has a new address and has not joined from there yet; it was"
        }
        (Reason::MovedFrom(_), _) => "has a new address; it was",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW, bring_up, cluster, id, join, request, status};
    use crate::{Settings, StatusReport};

    fn explain(cluster: &Cluster, storage: &str) -> String {
        let group = "group1".parse().expect("a name");
        cluster.explain(&group, &id(storage)).expect("it exists")
    }

    #[test]
    fn every_step_on_the_way_to_active_is_explained() {
        let mut cluster = cluster(Settings::default());
        let source = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
        assert_eq!(explain(&cluster, "127.0.0.4"), "joined and reports");
        let member = join(&mut cluster, &request("127.0.0.5")).member;
        let why = |cluster: &Cluster| explain(cluster, "127.0.0.5");
        assert!(why(&cluster).starts_with("has joined, and asks next"));

        cluster.disconnected(&source);
        assert!(cluster.sync_destination_request(&member, NOW).is_err());
        assert!(why(&cluster).contains("no member that has them is active"), "{}", why(&cluster));
        cluster.beat(&source, None, NOW).expect("it comes back");
        cluster.sync_destination_request(&member, NOW).expect("a source");
        assert_eq!(why(&cluster), "waits for the old files; 127.0.0.4 will send the old files");
        cluster.disconnected(&source);
        assert!(why(&cluster).ends_with("127.0.0.4 will send the old files, but is OFFLINE: start it"));

        for (said, words) in [
            (
                StorageStatus::Syncing,
                "gets the old files; 127.0.0.4 sends the old files, but is OFFLINE: start it",
            ),
            (StorageStatus::Offline, "has got the old files; serves after its next report"),
        ] {
            let report = StatusReport { id: member.id, status: said, ip: None, port: 0 };
            cluster.report_status(&member.group, &report).expect("the group is known");
            assert_eq!(why(&cluster), words);
        }
        cluster.beat(&member, None, NOW).expect("it has joined");
        assert_eq!(why(&cluster), "joined and reports");
    }

    #[test]
    fn silence_removal_and_store_paths_are_told_apart() {
        let mut cluster = cluster(Settings::default());
        let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
        let why = |cluster: &Cluster| explain(cluster, "127.0.0.4");
        for second in 1..=101 {
            cluster.on_tick(NOW.plus(Duration::from_secs(second)));
        }
        assert_eq!(status(&cluster, &member), StorageStatus::Offline);
        assert_eq!(why(&cluster), "its connection is open, but it has been silent for more than 100 s");
        cluster.disconnected(&member);
        assert!(why(&cluster).starts_with("its connection has ended"));
        cluster.delete_storage(&member.group, &member.id, NOW).expect("it is offline");
        assert!(why(&cluster).starts_with("removed by an administrator"));

        bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
        let mut more = request("127.0.0.4");
        more.claim.path_count = 2;
        join(&mut cluster, &more);
        assert!(
            why(&cluster).ends_with("; it has 2 store paths, its group 1: give every member of the group 2")
        );
    }
}
