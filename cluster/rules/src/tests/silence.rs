//! Storages whose connection ends, or that are not heard any more.

use std::time::Duration;

use super::*;
use crate::Event;

#[test]
fn a_closed_connection_takes_offline_and_the_next_join_brings_back() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let actions = cluster.disconnected(&member);
    let event = Event::TakenOffline { group: member.group, id: member.id, silent: false };
    assert_eq!(actions, [Action::Report(event)]);
    let storage = cluster.storage(&member.group, &member.id).expect("it exists");
    assert_eq!((storage.status, storage.is_connected()), (StorageStatus::Offline, false));

    let again = JoinRequest { initial: false, status: Some(StorageStatus::Active), ..request("127.0.0.4") };
    let joined = join(&mut cluster, &again);
    assert_eq!(joined.status, StorageStatus::Online);
    cluster.beat(&joined.member, None, NOW).expect("it has joined");
    assert_eq!(status(&cluster, &member), StorageStatus::Active);
}

#[test]
fn the_end_of_an_old_connection_does_not_take_a_storage_offline_that_came_back() {
    let mut cluster = cluster(Settings::default());
    let old = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let new = join(&mut cluster, &request("127.0.0.4")).member;
    assert_eq!(cluster.disconnected(&old), []);
    assert_eq!(status(&cluster, &new), StorageStatus::Active);
    assert_ne!(cluster.disconnected(&new), []);
}

#[test]
fn a_silent_storage_goes_offline_once_and_its_next_beat_brings_it_back() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert_eq!(pass(&mut cluster, 0, 60), []);
    cluster.beat(&member, None, after(60)).expect("it has joined");
    assert_eq!(pass(&mut cluster, 60, 160), [], "100 seconds of silence are allowed");
    let event = Event::TakenOffline { group: member.group, id: member.id, silent: true };
    assert_eq!(cluster.on_tick(after(161)), [Action::Report(event)], "and not one more");
    assert_eq!(pass(&mut cluster, 161, 400), []);
    cluster.beat(&member, None, after(401)).expect("the connection is open");
    assert_eq!(status(&cluster, &member), StorageStatus::Active);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_checks() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let event = Event::TakenOffline { group: member.group, id: member.id, silent: true };
    assert_eq!(pass(&mut cluster, -86_401, -86_300), [], "nobody has been silent since");
    assert_eq!(pass(&mut cluster, -86_300, -86_299), [Action::Report(event)]);
    cluster.beat(&member, None, Timestamp(NOW.0 - 86_299)).expect("the connection is open");
    assert_eq!(status(&cluster, &member), StorageStatus::Active);
    assert_eq!(pass(&mut cluster, -86_299, -86_200), []);
}

#[test]
fn nobody_was_silent_while_the_tracker_did_not_listen() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    assert_eq!(pass(&mut cluster, 0, 10), []);
    // It was frozen, or its clock set on.
    assert_eq!(pass(&mut cluster, 3_609, 3_710), []);
    let event = Event::TakenOffline { group: member.group, id: member.id, silent: true };
    assert_eq!(pass(&mut cluster, 3_710, 3_711), [Action::Report(event)]);
}
