//! Several trackers.

use std::time::Duration;

use fdfs_proto::cluster::{SysFile, SysFileRequest, SysFilesEndRequest, SysFilesStartRequest};
use fdfs_proto::tracker::{GetLeaderRequest, TrackerClusterStatRequest};

use crate::support::{Client, Storage, World, eventually, join_request};

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
async fn two_trackers_agree_on_a_leader_and_the_other_takes_over() {
    let (two, three) = (World::start("127.0.30.2").await, World::start("127.0.30.3").await);
    let _storage = join_both([&two, &three], "127.0.31.4").await;
    let mut asker = [two.client("127.0.0.1").await, three.client("127.0.0.1").await];
    for client in &mut asker {
        let leader = eventually("a leader", async || client.try_ask(&GetLeaderRequest).await.ok()).await;
        assert_eq!(leader, three.address, "the greater text leads");
    }
    let trackers = eventually("an active follower", async || {
        let answer = asker[1].try_ask(&TrackerClusterStatRequest::default()).await.ok()?;
        answer.trackers.iter().all(|tracker| tracker.is_active).then_some(answer.trackers)
    })
    .await;
    assert_eq!(trackers.iter().map(|tracker| tracker.is_leader).collect::<Vec<_>>(), [false, true]);
    assert!(trackers[0].last_heart_beat.0 > 0);

    three.tracker.shutdown(Duration::ZERO).await;
    eventually("another leader", async || two.tracker.is_leading().then_some(())).await;
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
