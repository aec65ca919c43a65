//! From the first JOIN to the removal.

use std::time::Duration;

use super::*;
use crate::{DataFile, Event, GroupPort, StatusReport, StorageBrief, StorageIds, SyncRange};

#[test]
fn the_first_storage_of_a_group_is_active_after_its_first_beat() {
    let mut cluster = cluster(Settings::default());
    let (joined, actions) = cluster.join(&request("127.0.0.4"), 0).expect("a new storage");
    assert_eq!((joined.status, joined.sync_source), (StorageStatus::Init, None));
    assert_eq!(saves(&actions), 3);
    let member = joined.member;
    cluster.beat(&member, None, NOW).expect("it has joined");
    assert_eq!(status(&cluster, &member), StorageStatus::Init, "it has not asked for its source");

    let (source, actions) = cluster.sync_destination_request(&member, NOW).expect("it is alone");
    assert_eq!((source, actions), (None, vec![Action::Save(DataFile::Storages)]));
    assert_eq!(status(&cluster, &member), StorageStatus::Online);

    let actions = cluster.beat(&member, None, NOW).expect("it has joined");
    let event = Event::Activated { group: member.group, id: member.id };
    assert_eq!(actions, [Action::Report(event)]);
    assert_eq!(cluster.beat(&member, None, NOW), Ok(vec![]));
}

#[test]
fn a_second_storage_is_filled_by_the_first_before_it_serves() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = join(&mut cluster, &request("127.0.0.5")).member;
    let (range, _) = cluster.sync_destination_request(&member, NOW).expect("one can be its source");
    assert_eq!(range, Some(SyncRange { source: id("127.0.0.4"), until: NOW }));
    cluster.sync_notify(&member, range).expect("the source is known");
    cluster.beat(&member, None, NOW).expect("it has joined");
    assert_eq!(status(&cluster, &member), StorageStatus::WaitSync);

    let mut say = |status| {
        let report = StatusReport { id: member.id, status, ip: None, port: 0 };
        cluster.report_status(&member.group, &report).expect("the group is known");
        cluster.storage(&member.group, &member.id).expect("it exists").status
    };
    assert_eq!(say(StorageStatus::Syncing), StorageStatus::Syncing);
    assert_eq!(say(StorageStatus::WaitSync), StorageStatus::Syncing, "never back");
    assert_eq!(say(StorageStatus::Offline), StorageStatus::Offline);
    cluster.beat(&member, None, NOW).expect("it has joined");
    assert_eq!(status(&cluster, &member), StorageStatus::Active);
    let (range, _) = cluster.sync_source_request(&member.group, &member.id).expect("it is a member");
    assert_eq!(range.map(|range| range.source), Some(id("127.0.0.4")));
}

#[test]
fn a_newcomer_waits_while_the_others_have_unfinished_copies() {
    for others in [StorageStatus::Recovery, StorageStatus::WaitSync, StorageStatus::Offline] {
        let mut cluster = cluster(Settings::default());
        let old = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
        cluster.change_status(&old, StorageStatus::Recovery).expect("it has joined");
        cluster.change_status(&old, others).expect("it has joined");
        let member = join(&mut cluster, &request("127.0.0.5")).member;
        let refused = cluster.sync_destination_request(&member, NOW);
        assert_eq!(refused, Err(Refusal::NotFound), "{others}");
        assert_eq!(status(&cluster, &member), StorageStatus::Init);
    }
}

#[test]
fn a_refused_join_leaves_nothing_behind() {
    let mut cluster = cluster(Settings::default());
    let unknown = JoinRequest { initial: false, ..request("127.0.0.4") };
    assert_eq!(cluster.join(&unknown, 0), Err(Refusal::Impossible));
    assert!(cluster.groups().is_empty());

    let first = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let wrong = [
        Claim { port: 9, path_count: 1, subdir_count: 4 },
        Claim { port: 23000, path_count: 0, subdir_count: 4 },
        Claim { port: 23000, path_count: 1, subdir_count: 8 },
    ];
    for claim in wrong {
        let refused = cluster.join(&JoinRequest { claim, ..request("127.0.0.5") }, 0);
        assert_eq!(refused, Err(Refusal::Invalid), "{claim:?}");
    }
    assert_eq!(first_group(&cluster).storages().len(), 1);
    assert_eq!(cluster.storage(&first.group, &first.id).map(|storage| storage.port), Ok(23000));
}

#[test]
fn a_group_takes_what_its_last_member_comes_to_agree_on() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    let claim = Claim { port: 23001, path_count: 1, subdir_count: 4 };
    let moved = |peer| JoinRequest { claim, ..request(peer) };
    assert_eq!(cluster.join(&moved("127.0.0.4"), 0), Err(Refusal::Invalid));
    let listed = first_group(&cluster).storages().map(|storage| storage.port);
    assert_eq!(listed.collect::<Vec<_>>(), [23000, 23000], "what is listed still works");
    join(&mut cluster, &moved("127.0.0.5"));
    assert_eq!(first_group(&cluster).port, GroupPort::Same(23001));
    let listed = first_group(&cluster).storages().map(|storage| storage.port);
    assert_eq!(listed.collect::<Vec<_>>(), [23001, 23001]);
}

#[test]
fn one_more_store_path_is_taken_when_all_members_have_it() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    let claim = Claim { port: 23000, path_count: 2, subdir_count: 4 };
    let more = |peer| JoinRequest { claim, ..request(peer) };
    let (joined, actions) = cluster.join(&more("127.0.0.4"), 0).expect("more is no reason to refuse");
    let first = joined.member;
    let (group, id) = (first.group, first.id);
    assert!(actions.contains(&Action::Report(Event::TooManyPaths { group, id, own: 2, agreed: 1 })));
    let (_, actions) = cluster.join(&more("127.0.0.4"), 0).expect("it comes back again and again");
    let told = |action: &Action| matches!(action, Action::Report(Event::TooManyPaths { .. }));
    assert!(!actions.iter().any(told), "told once");
    assert_eq!(first_group(&cluster).path_count, 1);
    let two = [Space { total_mb: 10, free_mb: 5 }; 2];
    assert_eq!(cluster.disk_usage(&first, &two), Err(Refusal::Invalid));
    join(&mut cluster, &more("127.0.0.5"));
    assert_eq!(first_group(&cluster).path_count, 2);
    assert!(cluster.disk_usage(&first, &two).is_ok());
}

#[test]
fn a_thirty_third_member_is_refused() {
    let mut cluster = cluster(Settings::default());
    for n in 1..=32 {
        join(&mut cluster, &request(&format!("127.0.1.{n}")));
    }
    assert_eq!(cluster.join(&request("127.0.2.1"), 0), Err(Refusal::NoSpace));
}

#[test]
fn who_joins_again_hears_everything_although_its_old_connection_never_ended() {
    let mut cluster = cluster(Settings::default());
    cluster.on_leadership(true);
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    hear(&mut cluster, &member, &mut 0);
    // Its host lost power: no connection was closed, and the new process knows nothing.
    let again = JoinRequest { initial: false, status: Some(StorageStatus::Active), ..request("127.0.0.4") };
    let old = member;
    let member = join(&mut cluster, &again).member;
    cluster.beat(&member, None, NOW).expect("it has joined");
    // One beat of the old one was still on its way, and its answer reaches nobody.
    for member in [old, member] {
        let told = hear(&mut cluster, &member, &mut 0);
        assert_eq!(told.storages.map(|storages| storages.len()), Some(1));
    }
    assert_eq!(hear(&mut cluster, &member, &mut 1), Notification::default(), "told once");
}

#[test]
fn what_comes_late_on_a_connection_that_was_given_up_changes_no_state() {
    let mut cluster = cluster(Settings::default());
    let old = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let new = join(&mut cluster, &request("127.0.0.4")).member;
    assert_eq!(cluster.change_status(&old, StorageStatus::WaitSync), Err(Refusal::Denied));
    assert_eq!(cluster.sync_notify(&old, None), Err(Refusal::Denied));
    assert_eq!(cluster.sync_destination_request(&old, NOW), Err(Refusal::Denied));
    assert_eq!(status(&cluster, &new), StorageStatus::Active);
}

#[test]
fn the_group_hears_of_a_state_that_was_taken_from_the_leader() {
    let mut cluster = cluster(Settings::default());
    let other = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    cluster.on_leadership(true);
    hear(&mut cluster, &other, &mut 0);
    cluster.change_status(&member, StorageStatus::WaitSync).expect("it has joined");
    let told = hear(&mut cluster, &other, &mut 1).storages.expect("news");
    assert_eq!(told.iter().map(|brief| brief.status).max(), Some(StorageStatus::Active));
    assert_eq!(told.iter().map(|brief| brief.status).min(), Some(StorageStatus::WaitSync));
}

#[test]
fn a_crash_does_not_make_a_tracker_forget_who_has_the_old_files() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = join(&mut cluster, &request("127.0.0.5")).member;
    cluster.sync_destination_request(&member, NOW).expect("a source");
    for said in [StorageStatus::Syncing, StorageStatus::Offline] {
        let report = StatusReport { id: member.id, status: said, ip: None, port: 0 };
        let actions = cluster.report_status(&member.group, &report).expect("the group is known");
        assert!(actions.contains(&Action::Save(DataFile::Storages)), "{said}");
    }
}

#[test]
fn former_members_make_room_in_lists_of_thirty_two() {
    let mut cluster = cluster(Settings::default());
    cluster.on_leadership(true);
    for n in 1..=40 {
        let member = join(&mut cluster, &request(&format!("127.0.1.{n}"))).member;
        if n <= 20 {
            cluster.delete_storage(&member.group, &member.id, NOW).expect("it is no full member yet");
        }
    }
    let member = join(&mut cluster, &request("127.0.1.40")).member;
    let told = hear(&mut cluster, &member, &mut 0).storages.expect("everything is new");
    assert_eq!(told.len(), 32);
    assert_eq!(told.iter().filter(|brief| brief.status != StorageStatus::Deleted).count(), 20);
}

#[test]
fn the_leader_tells_everything_once() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let mut heard = 0;
    assert_eq!(hear(&mut cluster, &member, &mut heard), Notification::default(), "it does not lead");
    cluster.on_leadership(true);
    let told = hear(&mut cluster, &member, &mut heard);
    assert_eq!(told.leader, news().leader);
    assert_eq!(told.trunk_server, None);
    let status = StorageStatus::Active;
    let brief = StorageBrief { status, id: member.id, ip: ip("127.0.0.4"), port: 23000 };
    assert_eq!(told.storages, Some(vec![brief]));
    assert_eq!(hear(&mut cluster, &member, &mut heard), Notification::default());

    let other = bring_up(&mut cluster, "group1", "127.0.0.3", 5000);
    let told = hear(&mut cluster, &member, &mut heard);
    assert_eq!(told.leader, None);
    let ids: Vec<_> = told.storages.iter().flatten().map(|brief| brief.id).collect();
    assert_eq!(ids, [other.id, member.id], "by the text of the id");
}

#[test]
fn the_leader_does_not_listen_when_members_know_better() {
    for leads in [true, false] {
        let mut cluster = cluster(Settings::default());
        let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
        cluster.on_leadership(leads);
        let report =
            StatusReport { id: id("127.0.0.9"), status: StorageStatus::Offline, ip: None, port: 23000 };
        cluster.replica_change(&member, &[report]).expect("it has joined");
        assert_eq!(cluster.storage(&member.group, &report.id).is_ok(), !leads);
    }
}

#[test]
fn the_leader_repeats_who_is_in_the_group_now_and_then() {
    let mut cluster = cluster(Settings::default());
    cluster.on_leadership(true);
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let mut heard = 0;
    hear(&mut cluster, &member, &mut heard);
    for (seconds, told) in [(29, false), (30, true), (31, false), (60, true)] {
        let now = NOW.plus(Duration::from_secs(seconds));
        cluster.beat(&member, None, now).expect("it has joined");
        let news = hear(&mut cluster, &member, &mut heard);
        assert_eq!(news.storages.is_some(), told, "{seconds}");
        assert_eq!(news.trunk_server, None);
    }
}

#[test]
fn a_source_that_has_nothing_to_give_at_present_is_not_forgotten() {
    let mut cluster = cluster(Settings::default());
    let source = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = join(&mut cluster, &request("127.0.0.5")).member;
    cluster.sync_destination_request(&member, NOW).expect("a source");
    let name = member.group;
    let mut ask = |status| {
        cluster.group_mut(&name).expect("it exists").update(&source.id, |storage| storage.status = status);
        let (range, _) = cluster.sync_source_request(&name, &member.id).expect("it is a member");
        range.map(|range| range.source)
    };
    assert_eq!(ask(StorageStatus::Syncing), None);
    assert_eq!(ask(StorageStatus::Active), Some(source.id));
    assert_eq!(ask(StorageStatus::Deleted), None);
    assert_eq!(ask(StorageStatus::Active), None, "who was removed is forgotten");
}

#[test]
fn a_removed_storage_is_saved_listed_and_starts_over() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    let (name, storage) = (member.group, member.id);
    assert_eq!(cluster.delete_storage(&name, &storage, NOW), Err(Refusal::Busy));
    cluster.disconnected(&member);
    let actions = cluster.delete_storage(&name, &storage, NOW).expect("it is offline");
    let Some(Action::Append(entry)) = actions.first() else { panic!("no changelog line first") };
    assert_eq!(entry.line(), "1795323000 group1 127.0.0.5 4 \n");
    assert_eq!(saves(&actions), 3);
    assert_eq!(cluster.delete_storage(&name, &storage, NOW), Err(Refusal::Already));
    assert_eq!(cluster.delete_storage(&name, &id("127.0.0.9"), NOW), Err(Refusal::NotFound));
    assert_eq!(status(&cluster, &member), StorageStatus::Deleted);

    let (joined, _) = cluster
        .join(&JoinRequest { initial: false, ..request("127.0.0.5") }, 31)
        .expect("a known storage may have no idea of its state");
    assert_eq!(joined.status, StorageStatus::Init);
    assert_eq!(cluster.changelog_offset(&name, &storage), Ok(31));
}

#[test]
fn a_group_goes_when_only_removed_storages_are_left() {
    let mut cluster = cluster(Settings::default());
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    assert_eq!(cluster.delete_group(&member.group), Err(Refusal::Busy));
    cluster.disconnected(&member);
    cluster.delete_storage(&member.group, &member.id, NOW).expect("it is offline");
    assert!(cluster.delete_group(&member.group).is_ok());
    assert_eq!(cluster.delete_group(&member.group), Err(Refusal::NotFound));
    assert_eq!(cluster.beat(&member, None, NOW), Err(Refusal::Denied));
}

#[test]
fn a_moved_storage_keeps_its_record_and_leaves_a_trace() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let member = bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    let name = member.group;
    let (old, new) = (ip("127.0.0.5"), ip("127.0.0.6"));
    let mut moved = |old, new, peer| cluster.report_ip_changed(&name, old, new, peer, NOW);
    assert_eq!(moved(old, new, ip("127.0.0.9")), Err(Refusal::Invalid));
    assert_eq!(moved(ip("127.0.0.9"), new, new), Err(Refusal::NotFound));
    assert_eq!(moved(old, new, new), Err(Refusal::Busy));
    cluster.disconnected(&member);
    let taken = ip("127.0.0.4");
    assert_eq!(cluster.report_ip_changed(&name, old, taken, taken, NOW), Err(Refusal::Exists));
    let actions = cluster.report_ip_changed(&name, old, new, new, NOW).expect("it is offline");
    let Some(Action::Append(entry)) = actions.first() else { panic!("no changelog line first") };
    assert_eq!(entry.line(), "1795323000 group1 127.0.0.5 3 127.0.0.6\n");
    let again = cluster.report_ip_changed(&name, old, ip("127.0.0.7"), ip("127.0.0.7"), NOW);
    assert_eq!(again, Err(Refusal::Already));
    let states: Vec<_> =
        first_group(&cluster).storages().map(|s| (s.id.to_string(), s.status, s.port)).collect();
    assert_eq!(
        states,
        [
            ("127.0.0.4".into(), StorageStatus::Active, 23000),
            ("127.0.0.5".into(), StorageStatus::IpChanged, 0),
            ("127.0.0.6".into(), StorageStatus::Offline, 23000),
        ]
    );
}

#[test]
fn what_is_said_of_a_storage_counts_only_if_the_number_is_greater() {
    use StorageStatus::{Active, Deleted, Init, Offline, Online, Recovery, Syncing, WaitSync};
    let cases = [
        (Offline, Deleted, Deleted),
        (Deleted, Offline, Offline),
        (Offline, Recovery, Recovery),
        (Recovery, Active, Recovery),
        (Active, Deleted, Active),
        (Syncing, WaitSync, Syncing),
        (WaitSync, StorageStatus::None, WaitSync),
        (Init, Offline, Init),
        (Online, Recovery, Online),
    ];
    for (own, said, after) in cases {
        let mut cluster = cluster(Settings::default());
        let member = join(&mut cluster, &request("127.0.0.4")).member;
        let name = member.group;
        cluster.group_mut(&name).expect("it exists").update(&member.id, |s| s.status = own);
        let report = StatusReport { id: member.id, status: said, ip: None, port: 0 };
        cluster.report_status(&name, &report).expect("the group is known");
        assert_eq!(status(&cluster, &member), after, "{own} told {said}");
    }
}

#[test]
fn a_storage_others_tell_of_is_taken_unless_they_say_it_serves() {
    for (said, taken) in [(StorageStatus::Offline, true), (StorageStatus::Active, false)] {
        let mut cluster = cluster(Settings::default());
        let member = join(&mut cluster, &request("127.0.0.4")).member;
        let report = StatusReport { id: id("127.0.0.9"), status: said, ip: None, port: 23000 };
        cluster.report_status(&member.group, &report).expect("the group is known");
        assert_eq!(cluster.storage(&member.group, &report.id).is_ok(), taken);
        assert_eq!(cluster.report_status(&group("other"), &report), Err(Refusal::NotFound));
    }
}

#[test]
fn with_ids_a_storage_is_who_the_table_says() {
    let text = "100001 group1 127.0.0.4\n100002 group1 127.0.0.5:9 rw=read\n100003 group2 127.0.0.6";
    let mut resolve = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let file = fdfs_conf::StorageIds::parse(std::path::Path::new("ids"), text.as_bytes(), &mut resolve);
    let ids = StorageIds::from(&file.expect("a good table"));
    let settings = Settings { ids: Some(ids), id_in_filename: true, ..Settings::default() };
    let mut cluster = cluster(settings);
    let joined = join(&mut cluster, &request("127.0.0.4"));
    assert_eq!(joined.member.id, id("100001"));
    let claimed = |claimed: &str| JoinRequest { id: Some(id(claimed)), ..request("127.0.0.9") };
    assert_eq!(cluster.join(&request("127.0.0.9"), 0), Err(Refusal::NotFound));
    assert_eq!(cluster.join(&claimed("100009"), 0), Err(Refusal::NotFound));
    assert_eq!(cluster.join(&claimed("100003"), 0), Err(Refusal::Invalid));
    let claim = Claim { port: 9, path_count: 1, subdir_count: 4 };
    join(&mut cluster, &JoinRequest { claim, ..claimed("100002") });
    assert_eq!(first_group(&cluster).port, GroupPort::Mixed);
    let ports: Vec<_> = first_group(&cluster).storages().map(|s| s.port).collect();
    assert_eq!(ports, [23000, 9]);
}
