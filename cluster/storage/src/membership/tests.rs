//! Lists of members, as sentences.

use super::*;

fn brief(id: &str, status: StorageStatus) -> Brief {
    Brief { status, port: 23000, id: Some(id.parse().expect("id")), ip: id.parse().ok() }
}

fn membership(list: &[Brief]) -> Membership {
    let mut membership = Membership::new("10.0.0.1".parse().expect("id"));
    assert_eq!(membership.merge(list, false), Merged::default());
    membership
}

#[test]
fn an_unknown_member_is_added_unless_it_is_gone() {
    let list = [
        brief("10.0.0.1", StorageStatus::Active),
        brief("10.0.0.2", StorageStatus::WaitSync),
        brief("10.0.0.3", StorageStatus::Deleted),
        brief("10.0.0.4", StorageStatus::IpChanged),
    ];
    let membership = membership(&list);
    assert_eq!(membership.members(), &list[..2]);
    assert_eq!(membership.my_status(), Some(StorageStatus::Active));
}

#[test]
fn who_has_left_makes_room_for_the_next_member() {
    let mut membership = membership(&[brief("10.0.0.1", StorageStatus::Active)]);
    for number in 2..100 {
        let next = brief(&format!("10.0.0.{number}"), StorageStatus::Active);
        let mut list = [brief("10.0.0.1", StorageStatus::Active), next];
        membership.merge(&list, true);
        assert_eq!(membership.members().last(), list.last());
        list[1].status = StorageStatus::Deleted;
        membership.merge(&list, true);
    }
    assert_eq!(membership.members().len(), MAX_MEMBERS);
    assert_eq!(membership.my_status(), Some(StorageStatus::Active));
}

#[test]
fn what_the_tracker_says_is_taken_or_corrected_as_the_states_demand() {
    use StorageStatus::{
        Active, Deleted, Init, IpChanged, None, Offline, Online, Recovery, Syncing, WaitSync,
    };
    for (ours, theirs, taken) in [
        (Active, Offline, true),
        (Online, Offline, true),
        (Init, Offline, true),
        (WaitSync, Offline, false),
        (Syncing, Offline, false),
        (Recovery, Offline, false),
        (Offline, WaitSync, true),
        (Offline, Active, true),
        (Active, WaitSync, false),
        (Active, Syncing, false),
        (Syncing, WaitSync, false),
        (WaitSync, Syncing, true),
        (Active, Deleted, true),
        (None, Active, true),
        (None, Deleted, false),
        (None, IpChanged, false),
    ] {
        let first = [brief("10.0.0.2", ours)];
        let mut membership = membership(&first);
        let merged = membership.merge(&[brief("10.0.0.2", theirs)], false);
        let status = if taken { theirs } else { ours };
        assert_eq!(membership.members()[0].status, status, "{ours} {theirs}");
        let is_told = !taken && ours != None;
        assert_eq!(merged.tell, if is_told { &first[..] } else { &[] }, "{ours} {theirs}");
        assert!(!merged.rejoin);
    }
}

#[test]
fn a_member_that_the_tracker_does_not_list_is_told() {
    let list = [brief("10.0.0.1", StorageStatus::Active), brief("10.0.0.2", StorageStatus::Active)];
    let mut membership = membership(&list);
    assert_eq!(membership.merge(&list[..1], false).tell, &list[1..]);
}

#[test]
fn a_member_that_the_leader_sees_begin_anew_begins_anew() {
    for (ours, is_leaders, taken) in [
        (StorageStatus::Active, true, true),
        (StorageStatus::Recovery, true, true),
        (StorageStatus::Active, false, false),
    ] {
        let mut membership = membership(&[brief("10.0.0.2", ours)]);
        let merged = membership.merge(&[brief("10.0.0.2", StorageStatus::WaitSync)], is_leaders);
        let status = if taken { StorageStatus::WaitSync } else { ours };
        assert_eq!(membership.members()[0].status, status);
        assert_eq!(merged.tell.is_empty(), taken);
    }
}

#[test]
fn a_storage_that_the_next_beat_may_make_serve_waits_for_it() {
    let mut new = Membership::new("10.0.0.1".parse().expect("id"));
    assert!(!new.waits_to_serve());
    new.joined(StorageStatus::Init, false);
    assert!(new.waits_to_serve());
    for (status, waits) in [
        (StorageStatus::WaitSync, true),
        (StorageStatus::Syncing, true),
        (StorageStatus::Offline, true),
        (StorageStatus::Active, false),
        (StorageStatus::Deleted, false),
    ] {
        assert_eq!(membership(&[brief("10.0.0.1", status)]).waits_to_serve(), waits, "{status}");
    }
}

#[test]
fn why_a_storage_does_not_serve_is_said_in_words() {
    assert!(Membership::new("10.0.0.1".parse().expect("id")).check().is_err());
    assert_eq!(membership(&[brief("10.0.0.1", StorageStatus::Active)]).check(), Ok(()));
    let waiting = membership(&[brief("10.0.0.1", StorageStatus::WaitSync)]).check();
    assert!(waiting.is_err_and(|words| words.starts_with("WAIT_SYNC: this storage waits")));
}

#[test]
fn every_change_is_seen_and_nothing_else() {
    let [one, two] = [brief("10.0.0.1", StorageStatus::Active), brief("10.0.0.2", StorageStatus::WaitSync)];
    let id = two.id.expect("id");
    let alone = std::slice::from_ref(&one);
    let mut membership = membership(alone);
    let mut seen = membership.watch();
    assert_eq!(&seen.borrow_and_update().all[..], alone);
    membership.merge(alone, false);
    assert!(!seen.has_changed().expect("open"));
    membership.merge(&[one.clone(), two], false);
    assert!(seen.has_changed().expect("open"));
    assert_eq!(seen.borrow_and_update().all.len(), 2);
    assert_eq!(membership.set_status(&id, StorageStatus::Syncing), Some(StorageStatus::WaitSync));
    assert_eq!(seen.borrow_and_update().get(&id).map(|two| two.status), Some(StorageStatus::Syncing));
    let gone = Gone { old: id, new: None };
    membership.gone(gone);
    assert_eq!(seen.borrow_and_update().what_became_of(&id), Some(gone));
    membership.gone(gone);
    assert!(!seen.has_changed().expect("open"));
}

#[test]
fn what_any_tracker_has_told_last_is_what_the_next_one_hears() {
    let mut membership = Membership::new("10.0.0.1".parse().expect("id"));
    assert_eq!(membership.last_heard(), None);
    assert_eq!(membership.joined(StorageStatus::Online, false), None);
    assert_eq!(membership.last_heard(), Some(StorageStatus::Online));
    // Only a list makes it serve.
    assert!(membership.check().is_err());
    membership.merge(&[brief("10.0.0.1", StorageStatus::Active)], true);
    assert_eq!(membership.last_heard(), Some(StorageStatus::Active));
}

#[test]
fn a_follower_that_contradicts_the_leaders_list_hears_it_and_changes_nothing() {
    use StorageStatus::{Active, Deleted, Init, Offline, Online, Recovery, Syncing, WaitSync};
    for (listed, given, is_leader, is_behind) in [
        (Active, WaitSync, false, true),
        (Syncing, Online, false, true),
        (Active, Init, false, true),
        (Active, WaitSync, true, false),
        (Active, Online, false, false),
        (Offline, Online, false, false),
        // A JOIN ends them: to insist would be to join for ever.
        (Recovery, Online, false, false),
        (Deleted, Init, false, false),
    ] {
        let mut membership = membership(&[brief("10.0.0.1", Active)]);
        let me = membership.me;
        membership.set_status(&me, listed);
        let behind = membership.joined(given, is_leader);
        assert_eq!(behind, is_behind.then_some(listed), "{listed} {given}");
        assert_eq!(membership.my_status(), Some(if is_behind { listed } else { given }));
    }
}

#[test]
fn a_tracker_that_is_behind_about_myself_is_joined_again() {
    let mut membership = membership(&[brief("10.0.0.1", StorageStatus::Active)]);
    let merged = membership.merge(&[brief("10.0.0.1", StorageStatus::WaitSync)], false);
    assert!(merged.rejoin);
    assert_eq!(membership.my_status(), Some(StorageStatus::Active));
}
