//! What storages report, and what becomes of them.

use std::time::Duration;

use fdfs_proto::cluster::{
    ChangelogRequest, ReportIpChangedRequest, ReportStatusRequest, SyncDestRequest, SyncNotifyRequest,
    SyncReportRequest, SyncSourceRequest, SyncedUntil,
};
use fdfs_proto::tracker::{DeleteGroupRequest, DeleteStorageRequest, ListStoragesRequest, StorageRecord};
use fdfs_proto::{ActiveTestRequest, Brief, Status};
use fdfs_types::{StorageStatus, Timestamp};

use crate::support::{Client, Storage, World, eventually, group, id, ip};

async fn list(client: &mut Client) -> Vec<StorageRecord> {
    client.ask(&ListStoragesRequest { group: group("group1"), storage_id: None }).await.storages
}

async fn until_status(client: &mut Client, at: usize, status: StorageStatus) {
    eventually(status.name(), async || {
        let storages = list(client).await;
        storages.get(at).is_some_and(|storage| storage.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_storage_gets_the_old_files_from_the_first() {
    let world = World::start("127.0.22.1").await;
    let _first = Storage::bring_up(&world, "127.0.23.4").await;
    let mut second = Storage::connect(&world, "127.0.23.5").await;
    assert_eq!(second.join().await.status, StorageStatus::Init);
    let source = second.client.ask(&SyncDestRequest).await.source.expect("the first is ready");
    assert_eq!(source.id, id("127.0.23.4"));
    second.client.ask(&SyncNotifyRequest { source: Some(source.id), until: source.until }).await;
    let mut from_first = world.client("127.0.23.4").await;
    let asked = SyncSourceRequest { group: group("group1"), storage_id: id("127.0.23.5") };
    assert_eq!(from_first.ask(&asked).await.source, Some(source));
    for status in [StorageStatus::Syncing, StorageStatus::Offline] {
        let storage = Brief { status, port: 0, id: Some(id("127.0.23.5")), ip: Some(ip("127.0.23.5")) };
        from_first.ask(&ReportStatusRequest { group: group("group1"), storage }).await;
        assert_eq!(list(&mut from_first).await[1].status, status);
    }
    second.beat().await;
    assert_eq!(list(&mut from_first).await[1].status, StorageStatus::Active);

    let rows = vec![SyncedUntil { source: id("127.0.23.4"), until: Timestamp(1_795_000_000) }];
    second.client.ask(&SyncReportRequest { rows }).await;
    assert_eq!(list(&mut from_first).await[1].stat.last_synced, Timestamp(1_795_000_000));
}

#[tokio::test]
async fn a_storage_whose_connection_ends_is_offline() {
    let world = World::start("127.0.22.2").await;
    let storage = Storage::bring_up(&world, "127.0.23.4").await;
    let mut client = world.client("127.0.0.1").await;
    until_status(&mut client, 0, StorageStatus::Active).await;
    drop(storage);
    until_status(&mut client, 0, StorageStatus::Offline).await;
    let _again = Storage::bring_up(&world, "127.0.23.4").await;
    until_status(&mut client, 0, StorageStatus::Active).await;
}

#[tokio::test]
async fn a_storage_that_is_silent_for_too_long_is_offline_until_its_next_beat() {
    let world = World::start_with("127.0.22.3", |config| {
        config.check_active_interval = Duration::from_secs(1);
    })
    .await;
    let mut storage = Storage::bring_up(&world, "127.0.23.4").await;
    let mut client = world.client("127.0.0.1").await;
    until_status(&mut client, 0, StorageStatus::Offline).await;
    storage.beat().await;
    assert_eq!(list(&mut client).await[0].status, StorageStatus::Active);
}

#[tokio::test]
async fn a_removed_storage_is_told_of_and_does_not_come_back_by_itself() {
    let world = World::start("127.0.22.4").await;
    let mut four = Storage::bring_up(&world, "127.0.23.4").await;
    let five = Storage::bring_up(&world, "127.0.23.5").await;
    let mut client = world.client("127.0.0.1").await;
    let delete = DeleteStorageRequest { group: group("group1"), storage_id: id("127.0.23.5") };
    assert_eq!(client.try_ask(&delete).await, Err(Status::EBUSY));
    drop(five);
    until_status(&mut client, 1, StorageStatus::Offline).await;
    client.ask(&delete).await;
    assert_eq!(client.try_ask(&delete).await, Err(Status::EALREADY));
    assert_eq!(list(&mut client).await[1].status, StorageStatus::Deleted);
    let whole_group = DeleteGroupRequest { group: group("group1") };
    assert_eq!(client.try_ask(&whole_group).await, Err(Status::EBUSY));

    let lines = four.client.ask(&ChangelogRequest::default()).await;
    let line = String::from_utf8(lines.0).expect("text");
    assert!(line.ends_with(" group1 127.0.23.5 4 \n"), "{line}");
    assert_eq!(world.file("storage_changelog.dat"), line);
    assert_eq!(four.client.ask(&ChangelogRequest::default()).await.0, b"", "told once");

    let world = world.restart().await;
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(list(&mut client).await.len(), 1);
}

#[tokio::test]
async fn a_group_of_removed_storages_can_be_removed() {
    let world = World::start("127.0.22.5").await;
    let storage = Storage::bring_up(&world, "127.0.23.4").await;
    let mut client = world.client("127.0.0.1").await;
    drop(storage);
    until_status(&mut client, 0, StorageStatus::Offline).await;
    client.ask(&DeleteStorageRequest { group: group("group1"), storage_id: id("127.0.23.4") }).await;
    client.ask(&DeleteGroupRequest { group: group("group1") }).await;
    let unknown = ListStoragesRequest { group: group("group1"), storage_id: None };
    assert_eq!(client.try_ask(&unknown).await, Err(Status::ENOENT));
}

#[tokio::test]
async fn a_storage_with_a_new_address_takes_its_record_along() {
    let world = World::start("127.0.22.6").await;
    let storage = Storage::bring_up(&world, "127.0.23.4").await;
    let mut client = world.client("127.0.0.1").await;
    drop(storage);
    until_status(&mut client, 0, StorageStatus::Offline).await;
    let moved =
        ReportIpChangedRequest { group: group("group1"), old_ip: ip("127.0.23.4"), new_ip: ip("127.0.23.6") };
    assert_eq!(client.try_ask(&moved).await, Err(Status::EINVAL), "not from there");
    world.client("127.0.23.6").await.ask(&moved).await;
    let states: Vec<_> = list(&mut client).await.iter().map(|s| (s.id, s.status)).collect();
    assert_eq!(
        states,
        [(id("127.0.23.4"), StorageStatus::IpChanged), (id("127.0.23.6"), StorageStatus::Offline)]
    );
    assert!(world.file("storage_servers_new.dat").contains("ip_addr=127.0.23.6"));
}

#[tokio::test]
async fn a_changed_address_is_not_taken_where_settings_forbid_it() {
    let world = World::start_with("127.0.22.8", |config| {
        config.cluster.storage_ip_changed_auto_adjust = false;
    })
    .await;
    let storage = Storage::bring_up(&world, "127.0.23.4").await;
    let mut client = world.client("127.0.23.6").await;
    drop(storage);
    until_status(&mut client, 0, StorageStatus::Offline).await;
    let (old_ip, new_ip) = (ip("127.0.23.4"), ip("127.0.23.6"));
    let moved = ReportIpChangedRequest { group: group("group1"), old_ip, new_ip };
    assert_eq!(client.try_ask(&moved).await, Err(Status::EACCES));
}

#[tokio::test]
async fn a_join_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let world = World::start("127.0.22.7").await;
    let mut storage = Storage::connect(&world, "127.0.23.4").await;
    let good = storage.request.clone();
    let mut refuse = async |change: fn(&mut fdfs_proto::cluster::JoinRequest), status| {
        storage.request = good.clone();
        change(&mut storage.request);
        assert_eq!(storage.client.try_ask(&storage.request).await.map(|_| ()), Err(status));
    };
    refuse(|request| request.port = 0, Status::EINVAL).await;
    refuse(|request| request.store_path_count = 257, Status::EINVAL).await;
    refuse(|request| request.trackers.clear(), Status::EINVAL).await;
    refuse(|request| request.trackers[0].port = 9, Status::ENOENT).await;
    refuse(|request| request.is_initial = false, Status::EFAULT).await;
    storage.client.ask(&ActiveTestRequest).await;
    let unknown = ListStoragesRequest { group: group("group1"), storage_id: None };
    assert_eq!(storage.client.try_ask(&unknown).await, Err(Status::ENOENT));
}
