//! What holds after any run of events.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{HowMany, StatusReport, SyncRange};

#[derive(Clone, Debug)]
enum Step {
    Join(u8, u16, bool),
    Beat(u8),
    Disk(u8, u64),
    Source(u8),
    Notify(u8, Option<u8>),
    Synced(u8, u8, i64),
    Close(u8),
    Say(u8, u8),
    Change(u8, u8),
    Delete(u8),
    DeleteGroup,
    Move(u8, u8),
    Tick(u64),
    Lead(bool),
    Upload,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 1..6u8;
    prop_oneof![
        4 => (n(), 1..3u16, any::<bool>()).prop_map(|(n, port, new)| Step::Join(n, port, new)),
        4 => n().prop_map(Step::Beat),
        3 => (n(), 0..9000u64).prop_map(|(n, free)| Step::Disk(n, free)),
        2 => n().prop_map(Step::Source),
        2 => (n(), proptest::option::of(n())).prop_map(|(n, source)| Step::Notify(n, source)),
        1 => (n(), n(), -5..99_999i64).prop_map(|(n, source, time)| Step::Synced(n, source, time)),
        2 => n().prop_map(Step::Close),
        1 => (n(), 0..10u8).prop_map(|(n, status)| Step::Say(n, status)),
        1 => (n(), 0..10u8).prop_map(|(n, status)| Step::Change(n, status)),
        1 => n().prop_map(Step::Delete),
        1 => Just(Step::DeleteGroup),
        1 => (n(), n()).prop_map(|(old, new)| Step::Move(old, new)),
        2 => (1..300u64).prop_map(Step::Tick),
        1 => any::<bool>().prop_map(Step::Lead),
        2 => Just(Step::Upload),
    ]
}

struct World {
    cluster: Cluster,
    members: [Option<Member>; 6],
    now: Timestamp,
}

fn peer(n: u8) -> IpAddr {
    [127, 0, 0, n].into()
}

fn name_of(n: u8) -> StorageId {
    Cluster::id_of_ip(peer(n))
}

impl World {
    fn take(&mut self, step: &Step) {
        let Self { cluster, members, now } = self;
        let now = *now;
        let name = group("group1");
        let member = |n: &u8| members[usize::from(*n)];
        match step {
            Step::Join(n, port, initial) => {
                let claim = Claim { port: *port, path_count: 1, subdir_count: 4 };
                let asked = JoinRequest { claim, initial: *initial, ..request(&peer(*n).to_string()) };
                if let Ok((joined, _)) = cluster.join(&asked, 0) {
                    members[usize::from(*n)] = Some(joined.member);
                }
            }
            Step::Beat(n) => {
                let Some(member) = member(n) else { return };
                let _ = cluster.beat(&member, None, now);
                let _ = cluster.notification(&member, news(), &mut 0, peer(*n));
            }
            Step::Disk(n, free_mb) => {
                let Some(member) = member(n) else { return };
                let _ = cluster.disk_usage(&member, &[Space { total_mb: 9000, free_mb: *free_mb }]);
            }
            Step::Source(n) => {
                let Some(member) = member(n) else { return };
                let _ = cluster.sync_destination_request(&member, now);
            }
            Step::Notify(n, source) => {
                let Some(member) = member(n) else { return };
                let range = source.map(|source| SyncRange { source: name_of(source), until: now });
                let _ = cluster.sync_notify(&member, range);
            }
            Step::Synced(n, source, time) => {
                let Some(member) = member(n) else { return };
                let _ = cluster.sync_report(&member, &[(name_of(*source), Timestamp(*time))]);
            }
            Step::Close(n) => {
                let Some(member) = member(n) else { return };
                cluster.disconnected(&member);
            }
            Step::Say(n, status) => {
                let Some(status) = StorageStatus::from_wire(*status) else { return };
                let report = StatusReport { id: name_of(*n), status, ip: None, port: 0 };
                let _ = cluster.report_status(&name, &report);
            }
            Step::Change(n, status) => {
                let (Some(member), Some(status)) = (member(n), StorageStatus::from_wire(*status)) else {
                    return;
                };
                let _ = cluster.change_status(&member, status);
            }
            Step::Delete(n) => drop(cluster.delete_storage(&name, &name_of(*n), now)),
            Step::DeleteGroup => drop(cluster.delete_group(&name)),
            Step::Move(old, new) => {
                drop(cluster.report_ip_changed(&name, peer(*old), peer(*new), peer(*new), now));
            }
            Step::Tick(seconds) => {
                for _ in 0..*seconds {
                    self.now = self.now.plus(Duration::from_secs(1));
                    cluster.on_tick(self.now);
                }
            }
            Step::Lead(leads) => drop(cluster.on_leadership(*leads)),
            Step::Upload => drop(cluster.query_store(None, HowMany::One, peer(1))),
        }
    }

    fn check(&mut self) {
        let cluster = &mut self.cluster;
        let targets = cluster.query_store(None, HowMany::All, peer(1));
        for group in cluster.groups() {
            let ids: Vec<_> = group.storages().map(|storage| storage.id).collect();
            assert!(ids.is_sorted() && ids.windows(2).all(|two| two[0] != two[1]), "{ids:?}");
            assert!(ids.len() <= Cluster::MAX_STORAGES);
            for storage in group.readable().chain(group.writable()) {
                assert_eq!(storage.status, StorageStatus::Active);
            }
            let reported = group.writable().filter(|storage| !storage.paths.is_empty());
            let least = reported.map(|storage| storage.space.free_mb).min();
            if group.writable().len() > 0 {
                assert_eq!(group.space().free_mb, least.unwrap_or(0));
            }
        }
        if let Ok(target) = targets {
            assert!(!target.servers.is_empty());
            let group = cluster.group(&target.group).expect("it was chosen");
            assert!(group.space().free_mb > 1024);
            assert_eq!(target.servers.len(), group.writable().len());
        }
    }
}

proptest! {
    #[test]
    fn lists_figures_and_choices_hold_after_any_run_of_events(
        steps in proptest::collection::vec(step(), 1..120)
    ) {
        let mut world = World { cluster: cluster(Settings::default()), members: [None; 6], now: NOW };
        for step in &steps {
            world.take(step);
            world.check();
        }
    }
}
