//! The office of trunk server.

use super::*;
use crate::{Event, TrunkAnswer};

fn trunk_cluster() -> Cluster {
    let mut cluster = cluster(Settings { use_trunk: true, ..Settings::default() });
    cluster.on_leadership(true);
    cluster
}

#[test]
fn the_first_writable_storage_brings_about_an_election() {
    let mut cluster = trunk_cluster();
    let member = join(&mut cluster, &request("127.0.0.4")).member;
    cluster.sync_notify(&member, None).expect("it has joined");
    let actions = cluster.beat(&member, None, NOW).expect("it has joined");
    assert!(actions.contains(&Action::ElectTrunkServer(member.group)));
    let candidates = cluster.trunk_candidates(&member.group).expect("one is writable");
    assert_eq!(candidates[0].address.to_string(), "127.0.0.4:23000");

    let actions = cluster.appoint_trunk_server(&member.group, &member.id).expect("it is writable");
    let Some(Action::LogTrunkChange(change)) = actions.last() else { panic!("not logged") };
    assert_eq!((&*change.before, &*change.now), ("-", "127.0.0.4:23000"));
    let told = hear(&mut cluster, &member, &mut 0);
    assert_eq!(told.trunk_server.flatten().map(|brief| brief.id), Some(member.id));
}

#[test]
fn only_the_trunk_server_reports_to_the_leader() {
    let mut cluster = trunk_cluster();
    let a = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let b = bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    cluster.appoint_trunk_server(&a.group, &a.id).expect("it is writable");
    assert_eq!(cluster.report_trunk_file_id(&b, 5), Err(Refusal::Invalid));
    assert_eq!(cluster.report_trunk_free(&b, 5), Err(Refusal::Invalid));
    assert_eq!(cluster.report_trunk_file_id(&a, 5).map(|actions| saves(&actions)), Ok(1));
    assert_eq!(cluster.report_trunk_file_id(&a, 3).map(|actions| saves(&actions)), Ok(0));
    assert_eq!(cluster.trunk_file_id(&b), Ok(5));
    cluster.on_leadership(false);
    assert_eq!(cluster.report_trunk_file_id(&b, 9), Ok(vec![]), "a follower only listens");
    assert_eq!(cluster.trunk_file_id(&b), Ok(5));
}

#[test]
fn an_administrator_appoints_only_while_nobody_serves() {
    let mut cluster = trunk_cluster();
    let a = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let b = bring_up(&mut cluster, "group1", "127.0.0.5", 5000);
    let name = a.group;
    let mut set = |wanted: Option<&StorageId>| cluster.set_trunk_server(&name, wanted).map(|(a, _)| a);
    assert_eq!(set(None), Ok(TrunkAnswer::Elect));
    assert_eq!(set(Some(&id("127.0.0.9"))), Err(Refusal::NotFound));
    assert_eq!(set(Some(&a.id)), Ok(TrunkAnswer::Server(a.id)));
    assert_eq!(set(None), Ok(TrunkAnswer::Server(a.id)));
    assert_eq!(set(Some(&a.id)), Err(Refusal::Already));
    assert_eq!(set(Some(&b.id)), Err(Refusal::Exists));
    cluster.disconnected(&a);
    let mut set = |wanted: Option<&StorageId>| cluster.set_trunk_server(&name, wanted).map(|(a, _)| a);
    assert_eq!(set(Some(&a.id)), Err(Refusal::NotActive));
    assert_eq!(set(Some(&b.id)), Ok(TrunkAnswer::Server(b.id)));
    cluster.on_leadership(false);
    assert_eq!(cluster.set_trunk_server(&name, None), Err(Refusal::NotSupported));
    assert_eq!(cluster.set_trunk_server(&group("none"), None), Err(Refusal::NotFound));
}

#[test]
fn a_silent_trunk_server_loses_its_office_after_two_intervals() {
    let mut cluster = trunk_cluster();
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    cluster.appoint_trunk_server(&member.group, &member.id).expect("it is writable");
    cluster.disconnected(&member);
    let lost = Action::Report(Event::TrunkServerLost { group: member.group, id: member.id });
    assert!(!pass(&mut cluster, 0, 200).contains(&lost));
    let elect = Action::ElectTrunkServer(member.group);
    assert_eq!(pass(&mut cluster, 200, 201)[1..], [lost, elect]);
    assert_eq!(first_group(&cluster).trunk.server, None);
    assert_eq!(saves(&cluster.trunk_election_failed(&member.group)), 1);
    assert_eq!(first_group(&cluster).trunk.last_server, None);
}

#[test]
fn a_vacant_office_is_tried_to_be_filled_each_interval() {
    let mut cluster = trunk_cluster();
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let second = |second| Timestamp(NOW.0 + second);
    let mut tries = Vec::new();
    for at in 1..=350 {
        cluster.beat(&member, None, second(at)).expect("it has joined");
        if cluster.on_tick(second(at)) == [Action::ElectTrunkServer(member.group)] {
            tries.push(at);
        }
    }
    assert_eq!(tries, [100, 200, 300]);
}

#[test]
fn a_follower_takes_the_table_of_the_leader() {
    let mut cluster = cluster(Settings { use_trunk: true, ..Settings::default() });
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let rows = [(member.group, Some(member.id)), (group("unknown"), None)];
    assert_eq!(saves(&cluster.trunk_table(&rows)), 1);
    assert_eq!(saves(&cluster.trunk_table(&rows)), 0);
    assert_eq!(cluster.trunk_servers(), [(member.group, Some(member.id))]);
    let stranger = [(member.group, Some(id("127.0.0.9")))];
    cluster.trunk_table(&stranger);
    assert_eq!(first_group(&cluster).trunk.server, None);
    assert_eq!(first_group(&cluster).trunk.last_server, Some(id("127.0.0.9")));
}
