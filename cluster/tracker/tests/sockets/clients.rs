//! What clients ask.

use std::time::Duration;

use fdfs_conf::{IpFieldWidth, ReservedSpace};
use fdfs_proto::cluster::SyncDestRequest;
use fdfs_proto::ours::{Capabilities, ExplainRequest, Hello, HelloRequest};
use fdfs_proto::tracker::{
    GetLeaderRequest, GetMyIpRequest, GetServerIdRequest, ListAllGroupsRequest, ListOneGroupRequest,
    ListStoragesRequest, ParametersRequest, QueryFetchAllRequest, QueryFetchOneRequest, QueryStoreAllRequest,
    QueryStoreInGroupAllRequest, QueryStoreInGroupOneRequest, QueryStoreOneRequest, QueryUpdateRequest,
    StatusFilter, StorageClusterStatRequest, StorageStatusRequest, StorageVolumeStatRequest,
    TrackerClusterStatRequest, TrackerStatusRequest,
};
use fdfs_proto::{ActiveTestRequest, Counter, IpWidth, Status, StorageStat};
use fdfs_types::{FileId, StorageStatus};

use crate::support::{Storage, World, eventually, group, id, ip};

#[tokio::test]
async fn a_new_tracker_knows_nothing() {
    let world = World::start("127.0.20.1").await;
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(client.try_ask(&QueryStoreOneRequest).await, Err(Status::ENOENT));
    assert_eq!(client.try_ask(&QueryStoreAllRequest).await, Err(Status::ENOENT));
    assert_eq!(client.try_ask(&GetLeaderRequest).await, Err(Status::ENOENT));
    assert_eq!(client.try_ask(&TrackerStatusRequest).await, Err(Status::ENOENT));
    assert_eq!(client.ask(&ListAllGroupsRequest).await.groups, []);
    assert_eq!(client.ask(&StorageClusterStatRequest::default()).await.storages, []);
    assert_eq!(client.ask(&StorageVolumeStatRequest::default()).await.groups, []);
    let trackers = client.try_ask(&TrackerClusterStatRequest::default()).await;
    assert_eq!(trackers, Err(Status::EOPNOTSUPP));
    client.ask(&ActiveTestRequest).await;
}

#[tokio::test]
async fn uploads_go_to_active_storages_in_turn() {
    let world = World::start("127.0.20.2").await;
    let mut storages = Vec::new();
    for from in ["127.0.21.4", "127.0.21.5"] {
        storages.push(Storage::bring_up(&world, from).await);
    }
    let mut client = world.client("127.0.0.1").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let target = client.ask(&QueryStoreOneRequest).await;
        assert_eq!((target.ip_width, target.group), (IpWidth::Ipv4, group("group1")));
        seen.push((target.storage.to_string(), target.store_path));
    }
    let at = |ip: &str, path| (format!("{ip}:23000"), path);
    assert_eq!(seen, [at("127.0.21.4", 0), at("127.0.21.5", 0), at("127.0.21.4", 1), at("127.0.21.5", 1)]);
    let all = client.ask(&QueryStoreInGroupAllRequest { group: group("group1") }).await;
    assert_eq!(all.storages.len(), 2);
    let unknown = QueryStoreInGroupOneRequest { group: group("other") };
    assert_eq!(client.try_ask(&unknown).await, Err(Status::ENOENT));
}

#[tokio::test]
async fn files_are_read_and_changed_at_their_source() {
    let world = World::start("127.0.20.3").await;
    let _four = Storage::bring_up(&world, "127.0.0.2").await;
    let _five = Storage::bring_up(&world, "127.0.0.3").await;
    let mut client = world.client("127.0.0.1").await;
    // The source is 127.0.0.2; an appender file is only ever sure to be there.
    let name = appender("127.0.0.2");
    for _ in 0..3 {
        let file_id = FileId { group: group("group1"), filename: name.parse().expect("a good name") };
        let one = client.ask(&QueryFetchOneRequest { file_id: file_id.clone() }).await;
        assert_eq!(one.storage.ip(), ip("127.0.0.2"));
        let all = client.ask(&QueryFetchAllRequest { file_id: file_id.clone() }).await;
        assert_eq!(all.storages, [one.storage]);
        let update = client.ask(&QueryUpdateRequest { file_id }).await;
        assert_eq!(update.storage, one.storage);
    }
    let no_base64 = "M00/00/00/abc+defghijklmnopqrstuvwxyz0123456.txt";
    let file_id = FileId { group: group("group1"), filename: no_base64.parse().expect("a good shape") };
    assert_eq!(client.try_ask(&QueryFetchOneRequest { file_id }).await, Err(Status::EINVAL));
}

/// The name of an appender file that came from this address.
fn appender(source: &str) -> String {
    let fields = fdfs_types::NameFields {
        source: fdfs_types::Source::Ip(source.parse().expect("a literal address")),
        created: 1_700_000_000,
        size: fdfs_types::SizeField::appender(7),
        crc32: 0,
    };
    format!("M00/00/00/{}1234567", fields.encode())
}

#[tokio::test]
async fn lists_have_the_figures_that_storages_reported() {
    let world = World::start("127.0.20.4").await;
    let mut storage = Storage::bring_up(&world, "127.0.21.4").await;
    let upload = Counter { total: 7, success: 5 };
    storage.beat_with(StorageStat { upload, ..StorageStat::default() }).await;
    let mut client = world.client("127.0.0.1").await;

    let record = client.ask(&ListOneGroupRequest { group: group("group1") }).await;
    assert_eq!((record.total_mb, record.free_mb, record.reserved_mb), (200_000, 100_000, 1024));
    assert_eq!((record.storage_count, record.readable_count, record.writable_count), (1, 1, 1));
    assert_eq!((record.port, record.store_path_count, record.subdir_count), (Some(23000), 2, 4));
    assert_eq!(record.trunk_file_id, None);
    assert_eq!(client.ask(&ListAllGroupsRequest).await.groups, [record]);

    let list = |storage_id| ListStoragesRequest { group: group("group1"), storage_id };
    let storages = client.ask(&list(None)).await;
    assert_eq!(storages.ip_width, IpWidth::Ipv4);
    let one = &storages.storages[0];
    assert_eq!((one.status, one.id), (StorageStatus::Active, id("127.0.21.4")));
    assert_eq!((one.total_mb, one.free_mb, one.port), (200_000, 100_000, 23000));
    assert_eq!((one.stat.upload, one.version.as_str()), (upload, "6.16.1"));
    assert!(one.stat.last_heart_beat.0 > 0);
    assert_eq!(client.ask(&list(Some(one.id))).await, storages);
    assert_eq!(client.try_ask(&list(Some(id("127.0.9.9")))).await, Err(Status::ENOENT));

    let of = |operator, status| StorageClusterStatRequest {
        status: Some(StatusFilter { operator, status }),
        trunk_server: None,
    };
    for (filter, count) in [(of(b'=', 7), 1), (of(b'!', 7), 0), (of(b'?', 7), 0), (of(b'=', 5), 0)] {
        assert_eq!(client.ask(&filter).await.storages.len(), count, "{filter:?}");
    }
    let volume = &client.ask(&StorageVolumeStatRequest::default()).await.groups[0];
    assert_eq!((volume.available_mb, volume.disk_available), (98_976, true));
    let full = StorageVolumeStatRequest { disk: Some(false), ..StorageVolumeStatRequest::default() };
    assert_eq!(client.ask(&full).await.groups, []);
}

#[tokio::test]
async fn too_little_space_is_said_as_such() {
    let world = World::start_with("127.0.20.5", |config| {
        config.cluster.reserved_space = ReservedSpace::Megabytes(100_000);
    })
    .await;
    let _storage = Storage::bring_up(&world, "127.0.21.4").await;
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(client.try_ask(&QueryStoreOneRequest).await, Err(Status::ENOSPC));
    let volume = &client.ask(&StorageVolumeStatRequest::default()).await.groups[0];
    assert_eq!((volume.available_mb, volume.disk_available), (0, false));
}

#[tokio::test]
async fn addresses_have_the_width_that_the_settings_say() {
    for (last, setting, width) in [
        (6, IpFieldWidth::Wide, IpWidth::Ipv6),
        (7, IpFieldWidth::Narrow, IpWidth::Ipv4),
        (8, IpFieldWidth::Auto, IpWidth::Ipv4),
    ] {
        let own = format!("127.0.20.{last}");
        let world = World::start_with(&own, |config| config.cluster.ip_field_width = setting).await;
        let _storage = Storage::bring_up(&world, "127.0.21.4").await;
        let mut client = world.client("127.0.0.1").await;
        assert_eq!(client.ask(&QueryStoreOneRequest).await.ip_width, width);
        let list = ListStoragesRequest { group: group("group1"), storage_id: None };
        assert_eq!(client.ask(&list).await.ip_width, width);
        let told = format!("\nresponse_ip_addr_size={}\n", width.terminated());
        assert!(client.ask(&ParametersRequest).await.text.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn who_asks_is_told_who_he_is() {
    let world = World::start("127.0.20.9").await;
    let _storage = Storage::bring_up(&world, "127.0.21.4").await;
    let mut client = world.client("127.0.21.99").await;
    let mine = client.ask(&GetMyIpRequest { group: group("group1"), port: 23000 }).await;
    assert_eq!(mine.ips, [ip("127.0.21.99")]);
    let address = |text: &str| text.parse().expect("a literal address");
    let server_id = |text| GetServerIdRequest { group: group("group1"), address: address(text) };
    assert_eq!(client.ask(&server_id("127.0.9.9:1")).await.storage_id, id("127.0.9.9"));
    assert_eq!(client.ask(&server_id("[::1]:1")).await.storage_id, id("6Jg1XQAAAAA."));
    let status = |text| StorageStatusRequest { group: group("group1"), address: address(text) };
    let brief = client.ask(&status("127.0.21.4:1")).await;
    assert_eq!((brief.status, brief.port, brief.ip), (StorageStatus::Active, 23000, Some(ip("127.0.21.4"))));
    assert_eq!(client.try_ask(&status("127.0.9.9:1")).await, Err(Status::ENOENT));
}

#[tokio::test]
async fn requests_and_the_state_of_groups_are_measured() {
    let world = World::start("127.0.20.11").await;
    let mut storage = Storage::connect(&world, "127.0.21.4").await;
    storage.request.group = group("measured");
    storage.join().await;
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(client.try_ask(&QueryStoreOneRequest).await, Err(Status::ENOENT));
    client.ask(&ActiveTestRequest).await;
    let metrics = fdfs_ops::Metrics::install();
    for line in [
        "fdfs_tracker_requests_total{command=\"JOIN\",outcome=\"ok\"}",
        "fdfs_tracker_requests_total{command=\"QUERY_STORE_ONE\",outcome=\"refused\"}",
        "fdfs_group_members{group=\"measured\"} 1",
        "fdfs_group_active{group=\"measured\"} 0",
        "fdfs_tracker_leading",
    ] {
        eventually(line, async || metrics.render().contains(line).then_some(())).await;
    }
}

#[tokio::test]
async fn a_single_tracker_leads_soon_after_the_first_join() {
    let world = World::start("127.0.20.10").await;
    let mut storage = Storage::bring_up(&world, "127.0.21.4").await;
    let mut client = world.client("127.0.0.1").await;
    let leader = eventually("a leader", async || client.try_ask(&GetLeaderRequest).await.ok()).await;
    assert_eq!(leader, world.address);
    let trackers = client.ask(&TrackerClusterStatRequest::default()).await.trackers;
    assert_eq!((trackers.len(), trackers[0].is_leader, trackers[0].is_active), (1, true, true));
    assert_eq!((trackers[0].host.clone(), trackers[0].connections.current), (world.address.to_string(), 2));
    let others = TrackerClusterStatRequest { leader: Some(false), active: None };
    assert_eq!(client.ask(&others).await.trackers, []);
    assert!(client.ask(&TrackerStatusRequest).await.is_leader);

    let told = storage.beat().await;
    assert_eq!(told.leader.and_then(|leader| leader.ip), Some(world.address.ip()));
    assert_eq!(told.members.map(|members| members.len()), Some(1));
    assert_eq!(storage.beat().await, fdfs_proto::cluster::Notification::default());
}

#[tokio::test]
async fn why_a_storage_is_in_its_state_is_told_in_words() {
    let world = World::start("127.0.20.12").await;
    let storage = Storage::bring_up(&world, "127.0.21.4").await;
    let _second = Storage::connect(&world, "127.0.21.5").await.join().await;
    let mut client = world.client("127.0.0.1").await;
    let hello = Hello { version: 1, capabilities: Capabilities::default(), software: "test".into() };
    let able = client.ask(&HelloRequest(hello)).await.capabilities;
    assert!(able.contains(Capabilities::EXPLAIN_STORAGES));
    let explain = ExplainRequest { group: group("group1") };
    let [four, five] = &client.ask(&explain).await.storages[..] else { panic!("two storages") };
    assert_eq!((four.status, four.reason.as_str()), (StorageStatus::Active, "joined and reports"));
    assert!(four.since.0 > 1_700_000_000);
    assert_eq!(five.status, StorageStatus::Init);
    assert!(five.reason.starts_with("has joined, and asks next"), "{}", five.reason);
    drop(storage);
    eventually("the end of the connection", async || {
        let storages = client.ask(&explain).await.storages;
        storages[0].reason.starts_with("its connection has ended").then_some(())
    })
    .await;
    let unknown = ExplainRequest { group: group("other") };
    assert_eq!(client.try_ask(&unknown).await, Err(Status::ENOENT));
}

#[tokio::test]
async fn a_third_group_and_a_third_storage_are_added_while_everything_runs() {
    let world = World::start("127.0.20.13").await;
    let mut running = vec![Storage::bring_up(&world, "127.0.21.4").await];
    let mut client = world.client("127.0.0.1").await;
    eventually("a leader", async || client.try_ask(&GetLeaderRequest).await.ok()).await;
    for (name, from) in [("group2", "127.0.21.6"), ("group3", "127.0.21.7")] {
        let mut storage = Storage::connect(&world, from).await;
        storage.request.group = group(name);
        storage.join().await;
        storage.client.ask(&SyncDestRequest).await;
        storage.beat().await;
        storage.disk_usage(100_000, 50_000).await;
        running.push(storage);
        assert_eq!(client.ask(&ListAllGroupsRequest).await.groups.len(), running.len());
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(client.ask(&QueryStoreOneRequest).await.group.to_string());
    }
    assert_eq!(seen, ["group1", "group2", "group3"].repeat(2));

    running[0].beat().await;
    let _second = Storage::bring_up(&world, "127.0.21.5").await;
    let told = running[0].beat().await.members.expect("the group has changed");
    let states: Vec<_> = told.iter().map(|member| (member.id, member.status)).collect();
    let active = |ip| (Some(id(ip)), StorageStatus::Active);
    assert_eq!(states, [active("127.0.21.4"), active("127.0.21.5")]);
    let all = client.ask(&QueryStoreInGroupAllRequest { group: group("group1") }).await;
    assert_eq!(all.storages.len(), 2);
}

#[tokio::test]
async fn a_connection_that_has_asked_once_is_never_closed_for_silence() {
    let world = World::start_with("127.0.20.14", |config| {
        config.network_timeout = Duration::from_secs(1);
    })
    .await;
    let mut client = world.client("127.0.0.1").await;
    client.ask(&ActiveTestRequest).await;
    // Silence is what is tested here.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    client.ask(&ActiveTestRequest).await;
}

#[tokio::test]
async fn parameters_fit_the_buffer_of_original_storages() {
    let world = World::start_with("127.0.20.15", |config| {
        config.cluster.reserved_space = ReservedSpace::Megabytes(u64::MAX >> 20);
        config.cluster.storage_sync_file_max_delay = Duration::from_secs(u32::MAX.into());
    })
    .await;
    let text = world.client("127.0.0.1").await.ask(&ParametersRequest).await.text;
    assert!(text.len() < 1024 && text.lines().count() == 26, "{} bytes", text.len());
}
