//! Whom a client is sent to.

use std::time::Duration;

use fdfs_types::{ServerId, Source};

use super::*;
use fdfs_conf::{DownloadServer, ReservedSpace, StoreLookup, StorePathChoice, StoreServer};

use crate::{FileOrigin, HowMany};

fn uploads(cluster: &mut Cluster, count: usize) -> Vec<String> {
    let one = |_| match cluster.query_store(None, HowMany::One, ip("127.0.0.1")) {
        Ok(target) => format!("{} {} {}", target.group, target.servers[0].ip, target.path),
        Err(refusal) => refusal.to_string(),
    };
    (0..count).map(one).collect()
}

fn file(source: &str, created: Timestamp) -> FileOrigin {
    let source = Some(Source::Ip(source.parse().expect("a literal address")));
    FileOrigin { source, created, only_source: false }
}

/// The last numbers of the addresses to read from: 102 four times, then 105.
fn reads(cluster: &mut Cluster, file: &FileOrigin) -> (Vec<u8>, Vec<u8>) {
    let last = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => 0,
    };
    let mut ask = |how_many| {
        let target = cluster.query_fetch(&group("group1"), file, how_many, ip("127.0.0.1"), NOW);
        target.map_or(Vec::new(), |t| t.servers.iter().map(|s| last(s.ip)).collect::<Vec<_>>())
    };
    let one = (0..4).flat_map(|_| ask(HowMany::One)).collect();
    (one, ask(HowMany::All))
}

fn ago(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

/// Storages 4, 5 and 6; 5 has everything up to 200 seconds ago, 6 up to 1000.
fn three_storages() -> (Cluster, Member) {
    let mut cluster = cluster(Settings::default());
    let source = bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    for (peer, synced) in [("127.0.0.5", 200), ("127.0.0.6", 1000)] {
        let member = bring_up(&mut cluster, "group1", peer, 5000);
        let rows = [(source.id, ago(synced)), (member.id, Timestamp(0))];
        cluster.sync_report(&member, &rows).expect("it has joined");
    }
    (cluster, source)
}

#[test]
fn reading_is_balanced_over_those_that_surely_have_the_file() {
    // The pointer moves by one with every question, whoever is chosen; where it stands at first is
    // not part of the observation.
    let observed: [(u64, [u8; 4], &[u8]); 7] = [
        (150, [4, 4, 4, 4], &[4]),
        (200, [4, 4, 4, 4], &[4]),
        (201, [4, 5, 4, 4], &[4, 5]),
        (998, [4, 4, 5, 4], &[4, 5]),
        (999, [5, 6, 4, 5], &[4, 5, 6]),
        (86_390, [4, 5, 6, 4], &[4, 5, 6]),
        (86_401, [4, 5, 6, 4], &[4, 5, 6]),
    ];
    for (age, one, all) in observed {
        let (mut cluster, _) = three_storages();
        let matches = (0..3).any(|turn| {
            cluster.groups[0].read_turn = turn;
            let (ones, alls) = reads(&mut cluster, &file("127.0.0.4", ago(age)));
            ones == one && alls == all
        });
        assert!(matches, "{age} seconds");
    }
}

#[test]
fn an_old_file_is_not_sought_at_a_storage_that_is_known_to_be_behind_its_source() {
    let (mut cluster, source) = three_storages();
    // 6 has a file of 4 on its list of faults for two days: its synced time stands still.
    let six = cluster.storage(&source.group, &id("127.0.0.6")).expect("it exists").session;
    let six = Member { group: source.group, id: id("127.0.0.6"), session: six };
    cluster.sync_report(&six, &[(source.id, ago(172_800))]).expect("it has joined");
    let (one, all) = reads(&mut cluster, &file("127.0.0.4", ago(90_000)));
    assert!(!one.contains(&6) && all == [4, 5], "{one:?} {all:?}");
    let (_, all) = reads(&mut cluster, &file("127.0.0.4", ago(172_801)));
    assert_eq!(all, [4, 5, 6], "what came before it has");
    let (_, all) = reads(&mut cluster, &file("127.0.0.5", ago(86_401)));
    assert_eq!(all, [4, 5, 6], "of 5 nobody has reported anything: age decides");
    let (_, all) = reads(&mut cluster, &file("127.0.0.5", ago(86_400)));
    assert_eq!(all, [5], "but not before its time");
}

#[test]
fn being_behind_with_one_source_does_not_hide_the_files_of_another() {
    let (mut cluster, _) = three_storages();
    let five = cluster.storage(&group("group1"), &id("127.0.0.5")).expect("it exists").session;
    let five = Member { group: group("group1"), id: id("127.0.0.5"), session: five };
    let rows = [(id("127.0.0.4"), ago(10)), (id("127.0.0.6"), ago(5_000))];
    cluster.sync_report(&five, &rows).expect("it has joined");
    assert_eq!(reads(&mut cluster, &file("127.0.0.4", ago(60))).1, [4, 5]);
    assert_eq!(reads(&mut cluster, &file("127.0.0.6", ago(60))).1, [6]);
}

#[test]
fn without_the_source_those_that_qualify_serve_else_the_preferred_server() {
    let (mut cluster, source) = three_storages();
    cluster.disconnected(&source);
    let (one, all) = reads(&mut cluster, &file("127.0.0.4", ago(150)));
    assert_eq!((one, all), (vec![5; 4], vec![5]));
    let (one, all) = reads(&mut cluster, &file("127.0.0.4", ago(201)));
    assert_eq!((one, all), (vec![5; 4], vec![5]));
    let update = |cluster: &mut Cluster| {
        let name = group("group1");
        let target = cluster.query_update(&name, &file("127.0.0.4", ago(201)), ip("127.0.0.1"));
        target.expect("some are writable").servers[0].ip.to_string()
    };
    let mut asked = [update(&mut cluster), update(&mut cluster)];
    asked.sort();
    assert_eq!(asked, ["127.0.0.5", "127.0.0.6"]);
}

#[test]
fn appenders_and_slaves_are_read_at_their_source() {
    let (mut cluster, source) = three_storages();
    let file = FileOrigin { only_source: true, ..file("127.0.0.6", Timestamp(0)) };
    assert_eq!(reads(&mut cluster, &file), (vec![6; 4], vec![6]));
    let gone = FileOrigin { only_source: true, ..file_by_id(100_001) };
    assert_eq!(reads(&mut cluster, &gone), (vec![4; 4], vec![4]), "the preferred server");
    cluster.disconnected(&source);
    assert_eq!(reads(&mut cluster, &gone), (vec![5; 4], vec![5]));
}

fn file_by_id(number: u32) -> FileOrigin {
    let source = Some(Source::Id(ServerId::new(number).expect("a literal id")));
    FileOrigin { source, created: NOW, only_source: false }
}

#[test]
fn a_name_too_short_to_tell_anything_is_looked_for_at_one_storage() {
    let (mut cluster, _) = three_storages();
    let name = "M00/00/00/abcdefghijkl".parse().expect("a good shape");
    let file = FileOrigin::of(&name).expect("short is no error");
    assert_eq!(reads(&mut cluster, &file).1, [4]);
    let name = "M00/00/00/abcdefghijklmnopqrstuvwxyz+123456".parse().expect("a good shape");
    assert!(FileOrigin::of(&name).is_err(), "long enough, but no base64");
}

#[test]
fn the_source_is_preferred_when_settings_say_so() {
    let (mut cluster, _) = three_storages();
    cluster.settings.download_server = DownloadServer::Source;
    assert_eq!(reads(&mut cluster, &file("127.0.0.5", ago(90_000))).0, [5; 4]);
}

#[test]
fn updates_go_to_the_source_while_it_is_writable() {
    let (mut cluster, _) = three_storages();
    let target = cluster.query_update(&group("group1"), &file("127.0.0.6", NOW), ip("127.0.0.1"));
    assert_eq!(target.map(|target| target.servers[0].ip), Ok(ip("127.0.0.6")));
    let unknown = cluster.query_update(&group("none"), &file("127.0.0.6", NOW), ip("127.0.0.1"));
    assert_eq!(unknown, Err(Refusal::NotFound));
}

#[test]
fn nobody_at_all_is_not_found_and_nobody_with_space_is_no_space() {
    let mut cluster = cluster(Settings::default());
    assert_eq!(uploads(&mut cluster, 1), ["not found"]);
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 1024);
    assert_eq!(uploads(&mut cluster, 1), ["no space"]);
    let name = group("group1");
    let given = cluster.query_store(Some(&name), HowMany::All, ip("127.0.0.1"));
    assert_eq!(given, Err(Refusal::NoSpace));
    let fuller = [Space { total_mb: 100_000, free_mb: 1025 }];
    cluster.disk_usage(&member, &fuller).expect("it has joined");
    assert_eq!(uploads(&mut cluster, 1), ["group1 127.0.0.4 0"]);
    cluster.disconnected(&member);
    assert_eq!(uploads(&mut cluster, 1), ["not found"]);
}

#[test]
fn space_is_that_of_the_smallest_writable_member_as_soon_as_one_comes_or_goes() {
    let mut cluster = cluster(Settings::default());
    bring_up(&mut cluster, "group1", "127.0.0.4", 5000);
    let small = bring_up(&mut cluster, "group1", "127.0.0.5", 500);
    assert_eq!(first_group(&cluster).space().free_mb, 500);
    assert_eq!(uploads(&mut cluster, 1), ["no space"]);
    cluster.disconnected(&small);
    assert_eq!(first_group(&cluster).space().free_mb, 5000);
    assert_eq!(uploads(&mut cluster, 1), ["group1 127.0.0.4 0"]);
}

#[test]
fn uploads_go_round_groups_servers_and_paths() {
    let mut cluster = cluster(Settings::default());
    for (name, peer) in [("b", "127.0.0.6"), ("a", "127.0.0.5"), ("a", "127.0.0.4")] {
        let claim = Claim { port: 23000, path_count: 2, subdir_count: 4 };
        let joined = join(&mut cluster, &JoinRequest { claim, group: group(name), ..request(peer) });
        cluster.sync_notify(&joined.member, None).expect("it has joined");
        let space = [Space { total_mb: 100_000, free_mb: 5000 }; 2];
        cluster.disk_usage(&joined.member, &space).expect("both paths are told");
    }
    assert_eq!(
        uploads(&mut cluster, 6),
        [
            "a 127.0.0.4 0",
            "b 127.0.0.6 0",
            "a 127.0.0.5 0",
            "b 127.0.0.6 1",
            "a 127.0.0.4 1",
            "b 127.0.0.6 0"
        ]
    );
}

#[test]
fn the_emptiest_group_and_path_are_taken_when_settings_say_so() {
    let settings = Settings {
        store_lookup: StoreLookup::MostFree,
        store_path: StorePathChoice::MostFree,
        ..Settings::default()
    };
    let mut cluster = cluster(settings);
    bring_up(&mut cluster, "a", "127.0.0.4", 2000);
    let emptier = bring_up(&mut cluster, "b", "127.0.0.5", 9000);
    bring_up(&mut cluster, "c", "127.0.0.6", 9000);
    assert_eq!(uploads(&mut cluster, 2), ["b 127.0.0.5 0", "b 127.0.0.5 0"]);
    cluster.disconnected(&emptier);
    assert_eq!(uploads(&mut cluster, 1), ["c 127.0.0.6 0"]);
}

#[test]
fn a_path_without_space_is_passed_over() {
    let settings = Settings { store_path: StorePathChoice::MostFree, ..Settings::default() };
    let mut cluster = cluster(settings);
    let claim = Claim { port: 23000, path_count: 3, subdir_count: 4 };
    let member = join(&mut cluster, &JoinRequest { claim, ..request("127.0.0.4") }).member;
    cluster.sync_notify(&member, None).expect("it has joined");
    let space = |free_mb| Space { total_mb: 10_000, free_mb };
    cluster.disk_usage(&member, &[space(341), space(600), space(700)]).expect("it has joined");
    assert_eq!(uploads(&mut cluster, 1), ["group1 127.0.0.4 2"]);
    cluster.disk_usage(&member, &[space(900), space(600), space(100)]).expect("it has joined");
    assert_eq!(uploads(&mut cluster, 1), ["group1 127.0.0.4 0"]);

    cluster.settings.store_path = StorePathChoice::RoundRobin;
    cluster.disk_usage(&member, &[space(341), space(600), space(700)]).expect("it has joined");
    assert_eq!(uploads(&mut cluster, 3), ["group1 127.0.0.4 1", "group1 127.0.0.4 2", "group1 127.0.0.4 1"]);
}

#[test]
fn a_specified_group_is_never_left() {
    let settings = Settings { store_lookup: StoreLookup::Group(group("b")), ..Settings::default() };
    let mut cluster = cluster(settings);
    bring_up(&mut cluster, "a", "127.0.0.4", 5000);
    assert_eq!(uploads(&mut cluster, 1), ["not found"]);
    bring_up(&mut cluster, "b", "127.0.0.5", 100);
    assert_eq!(uploads(&mut cluster, 1), ["no space"]);
}

#[test]
fn the_first_by_id_or_by_priority_is_always_the_same() {
    for (store_server, expected) in
        [(StoreServer::FirstByAddress, "127.0.0.10"), (StoreServer::FirstByPriority, "127.0.0.5")]
    {
        let mut cluster = cluster(Settings { store_server, ..Settings::default() });
        for (peer, upload_priority) in [("127.0.0.4", 10), ("127.0.0.5", -1), ("127.0.0.10", 5)] {
            let joined = join(&mut cluster, &JoinRequest { upload_priority, ..request(peer) });
            cluster.sync_notify(&joined.member, None).expect("it has joined");
            let space = [Space { total_mb: 10_000, free_mb: 5000 }];
            cluster.disk_usage(&joined.member, &space).expect("it has joined");
        }
        let wanted = format!("group1 {expected} 0");
        assert_eq!(uploads(&mut cluster, 2), [wanted.clone(), wanted]);
    }
}

#[test]
fn all_writable_storages_are_listed_by_id() {
    let (mut cluster, _) = three_storages();
    let target = cluster.query_store(None, HowMany::All, ip("127.0.0.1")).expect("three serve");
    let ips: Vec<_> = target.servers.iter().map(|server| server.ip.to_string()).collect();
    assert_eq!(ips, ["127.0.0.4", "127.0.0.5", "127.0.0.6"]);
}

#[test]
fn a_ratio_of_the_whole_is_reserved() {
    let mut cluster =
        cluster(Settings { reserve: ReservedSpace::Millionths(200_000), ..Settings::default() });
    let member = bring_up(&mut cluster, "group1", "127.0.0.4", 20_000);
    assert_eq!(uploads(&mut cluster, 1), ["no space"]);
    cluster.disk_usage(&member, &[Space { total_mb: 100_000, free_mb: 20_001 }]).expect("it has joined");
    assert_eq!(uploads(&mut cluster, 1), ["group1 127.0.0.4 0"]);
}

#[test]
fn synced_times_are_the_least_or_the_greatest_by_the_choice_of_server() {
    for (store_server, expected) in [(StoreServer::RoundRobin, 100), (StoreServer::FirstByAddress, 300)] {
        let mut cluster = cluster(Settings { store_server, ..Settings::default() });
        let (a, b) = (
            bring_up(&mut cluster, "group1", "127.0.0.4", 5000),
            bring_up(&mut cluster, "group1", "127.0.0.5", 5000),
        );
        let member = bring_up(&mut cluster, "group1", "127.0.0.6", 5000);
        let rows = [
            (a.id, Timestamp(300)),
            (b.id, Timestamp(100)),
            (member.id, Timestamp(900)),
            (id("127.0.0.9"), Timestamp(900)),
            (a.id, Timestamp(0)),
        ];
        cluster.sync_report(&member, &rows).expect("it has joined");
        let storage = cluster.storage(&member.group, &member.id).expect("it exists");
        assert_eq!(storage.last_synced, Timestamp(expected));
        assert_eq!(first_group(&cluster).applied(&a.id, &member.id), Timestamp(300));
        assert_eq!(first_group(&cluster).applied(&member.id, &a.id), Timestamp(0));
    }
}
