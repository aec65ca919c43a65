//! The rules, as sentences.

mod invariants;
mod life_cycle;
mod selection;
mod silence;
mod trunk;

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{
    Action, Claim, Cluster, Group, JoinRequest, Joined, LeaderNews, Member, Notification, Refusal, Settings,
    Space,
};

pub(crate) const NOW: Timestamp = Timestamp(1_795_323_000);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("a literal address")
}

fn group(text: &str) -> GroupName {
    text.parse().expect("a literal name")
}

pub(crate) fn id(text: &str) -> StorageId {
    text.parse().expect("a literal id")
}

pub(crate) fn cluster(settings: Settings) -> Cluster {
    Cluster::new(settings, NOW)
}

/// Lets time pass from behind one second of the test up to another; what came of it.
fn pass(cluster: &mut Cluster, from: i64, to: i64) -> Vec<Action> {
    (from + 1..=to).flat_map(|second| cluster.on_tick(Timestamp(NOW.0 + second))).collect()
}

/// A new storage of `group1` at this address.
pub(crate) fn request(peer: &str) -> JoinRequest {
    JoinRequest {
        group: group("group1"),
        claim: Claim { port: 23000, path_count: 1, subdir_count: 4 },
        upload_priority: 10,
        join_time: NOW,
        up_time: NOW,
        version: "6.16.1".into(),
        initial: true,
        status: None,
        id: None,
        peer: ip(peer),
    }
}

pub(crate) fn join(cluster: &mut Cluster, request: &JoinRequest) -> Joined {
    cluster.join(request, 0).expect("nothing speaks against it").0
}

/// Brings a storage up to ACTIVE as a member of this group, without a source, with this space.
pub(crate) fn bring_up(cluster: &mut Cluster, group_name: &str, peer: &str, free_mb: u64) -> Member {
    let joined = join(cluster, &JoinRequest { group: group(group_name), ..request(peer) });
    let member = joined.member;
    cluster.sync_notify(&member, None).expect("it has joined");
    cluster.beat(&member, None, NOW).expect("it has joined");
    let paths = usize::from(cluster.group(&member.group).expect("it exists").path_count);
    let share = free_mb / paths as u64;
    let spaces = vec![Space { total_mb: 100_000, free_mb: share }; paths];
    cluster.disk_usage(&member, &spaces).expect("every path is told");
    member
}

pub(crate) fn status(cluster: &Cluster, member: &Member) -> StorageStatus {
    cluster.storage(&member.group, &member.id).expect("it exists").status
}

fn first_group(cluster: &Cluster) -> &Group {
    cluster.groups().first().expect("there is one")
}

fn news() -> LeaderNews {
    LeaderNews { changes: 1, leader: Some((ip("127.0.0.2"), 22122)) }
}

fn hear(cluster: &mut Cluster, member: &Member, heard: &mut u64) -> Notification {
    cluster.notification(member, news(), heard, ip("127.0.0.4")).expect("it has joined")
}

fn saves(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Save(_))).count()
}
