//! Several trackers.

use std::time::Duration;

use fdfs_proto::Status;
use fdfs_proto::cluster::{SysFile, SysFileRequest, SysFilesEndRequest, SysFilesStartRequest};
use fdfs_proto::tracker::DeleteStorageRequest;

use crate::support::{Client, Storage, World, eventually, group, id, join_request};

/// A storage that has joined both trackers.
async fn join_both(worlds: [&World; 2], from: &str) -> [Client; 2] {
    let addresses = worlds.map(|world| world.address);
    let mut clients = Vec::new();
    for world in worlds {
        let mut client = world.client(from).await;
        client.ask(&join_request(&addresses)).await;
        clients.push(client);
    }
    clients.try_into().unwrap_or_else(|_| panic!("two trackers"))
}

#[tokio::test]
async fn a_tracker_that_is_added_takes_the_files_of_the_others_before_it_admits_anybody() {
    let world = World::start("127.0.30.6").await;
    let _four = Storage::bring_up(&world, "127.0.31.4").await;
    let five = Storage::bring_up(&world, "127.0.31.5").await;
    let mut client = world.client("127.0.0.1").await;
    drop(five);
    let delete = DeleteStorageRequest { group: group("group1"), storage_id: id("127.0.31.5") };
    eventually("removal", async || client.try_ask(&delete).await.ok()).await;
    let added = World::start("127.0.30.7").await;
    // Neither the new tracker nor its files are anything to the old one before a storage names it.
    let mut early = added.client("127.0.31.4").await;
    let request = join_request(&[added.address, world.address]);
    assert_eq!(early.try_ask(&request).await.map(|_| ()), Err(Status::EAGAIN));
    let _storage = join_both([&world, &added], "127.0.31.4").await;
    for name in ["storage_groups_new.dat", "storage_changelog.dat"] {
        assert_eq!(added.file(name), world.file(name), "{name}");
    }
    assert!(added.file("storage_servers_new.dat").contains("ip_addr=127.0.31.4"));
    assert!(added.file("storage_changelog.dat").contains(" 127.0.31.5 4 "));
    assert!(added.file(".tracker_status").contains("last_check_time="));
}

#[tokio::test]
async fn a_tracker_that_was_away_for_long_takes_the_files_of_the_others() {
    let world = World::start("127.0.30.8").await;
    let _four = Storage::bring_up(&world, "127.0.31.4").await;
    let stale = World::start("127.0.30.9").await;
    let addresses = [world.address, stale.address];
    let _both = join_both([&world, &stale], "127.0.31.4").await;
    let World { tracker, dir, address } = stale;
    tracker.shutdown(Duration::ZERO).await;
    std::fs::write(dir.path().join("data/.tracker_status"), "up_time=1\nlast_check_time=1700000000\n")
        .expect("room");
    let _five = Storage::bring_up(&world, "127.0.31.5").await;
    let (tracker, address) = crate::support::start_in(dir.path(), address, |_| {}).await;
    let stale = World { tracker, address, dir };
    assert!(!stale.file("storage_servers_new.dat").contains("127.0.31.5"));
    let mut client = stale.client("127.0.31.4").await;
    client.ask(&join_request(&[addresses[1], addresses[0]])).await;
    assert!(stale.file("storage_servers_new.dat").contains("ip_addr=127.0.31.5"));
}

#[tokio::test]
async fn another_tracker_fetches_the_files_as_they_were_when_it_began() {
    let world = World::start("127.0.30.4").await;
    let mut storage = Storage::bring_up(&world, "127.0.31.4").await;
    let mut tracker = world.client("127.0.30.4").await;
    tracker.ask(&SysFilesStartRequest).await;
    storage.beat().await;
    let _later = Storage::bring_up(&world, "127.0.31.5").await;
    let groups = tracker.ask(&SysFileRequest { file: SysFile::Groups, offset: 0 }).await;
    assert_eq!(String::from_utf8(groups.bytes).expect("text"), world.file("storage_groups_new.dat"));
    let storages = tracker.ask(&SysFileRequest { file: SysFile::Storages, offset: 0 }).await;
    let text = String::from_utf8(storages.bytes).expect("text");
    assert!(text.ends_with("\tstorage_count=1\n"), "{text}");
    let end = SysFileRequest { file: SysFile::Storages, offset: storages.size };
    assert_eq!(tracker.ask(&end).await.bytes, b"");
    let beyond = SysFileRequest { file: SysFile::Storages, offset: storages.size + 1 };
    assert!(tracker.try_ask(&beyond).await.is_err());
    // A second one is not kept waiting.
    let mut other = world.client("127.0.30.4").await;
    other.ask(&SysFilesStartRequest).await;
    tracker.ask(&SysFilesEndRequest).await;
    let storages = tracker.ask(&SysFileRequest { file: SysFile::Storages, offset: 0 }).await;
    assert!(storages.bytes.ends_with(b"\tstorage_count=2\n"));
}
