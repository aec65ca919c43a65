//! What a storage tells its tracker.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use fdfs_proto::{
    Command, Decode, StorageStat,
    cluster::{BeatRequest, DiskUsageRequest, JoinRequest, ReportStatusRequest, SyncNotifyRequest},
    storage::UploadRequest,
};
use fdfs_storage::Storage;
use fdfs_types::{StorageStatus, Timestamp};
use support::{Cluster, FakeTracker, Role};

#[tokio::test]
async fn a_new_storage_joins_asks_for_its_source_and_beats() {
    let mut cluster = Cluster::start().await;
    let join = JoinRequest::decode(&cluster.tracker.next(Command::JOIN).await).expect("join");
    assert_eq!(join.group.as_str(), "group1");
    assert_eq!(
        (join.port, join.store_path_count, join.subdir_count, join.upload_priority),
        (23000, 1, 2, 10)
    );
    assert_eq!((join.is_initial, join.status, join.storage_id), (true, Some(StorageStatus::Init), None));
    assert_eq!(join.version, "6.16.1");
    assert_eq!(join.tracker_ip, Some(cluster.address.ip()));
    assert_eq!(join.trackers[0].to_string(), format!("{}:22122", cluster.address.ip()));
    assert_eq!(cluster.tracker.next(Command::SYNC_DEST_REQ).await, b"");
    let notify =
        SyncNotifyRequest::decode(&cluster.tracker.next(Command::SYNC_NOTIFY).await).expect("notify");
    assert_eq!(notify, SyncNotifyRequest { source: None, until: Timestamp::ZERO });
    assert_eq!(cluster.tracker.next(Command::BEAT).await.len(), StorageStat::LEN);
    let flag = std::fs::read_to_string(cluster.disk.path().join("data/.data_init_flag")).expect("flag");
    assert!(flag.contains("sync_old_done=1\n"), "{flag}");
}

#[tokio::test]
async fn space_is_reported_at_once() {
    let mut cluster = Cluster::start().await;
    let usage =
        DiskUsageRequest::decode(&cluster.tracker.next(Command::REPORT_DISK_USAGE).await).expect("usage");
    assert_eq!(usage.store_paths.len(), 1);
    assert!(usage.store_paths[0].total_mb >= usage.store_paths[0].free_mb);
    assert!(usage.store_paths[0].free_mb > 0);
}

#[tokio::test]
async fn counters_travel_only_when_they_have_changed() {
    let mut cluster = Cluster::start().await;
    cluster.tracker.next(Command::BEAT).await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 5, extension: "txt".parse().expect("ext") };
    client.ask(&request, b"hello").expect("upload");
    let stat = loop {
        let beat = BeatRequest::decode(&cluster.tracker.next(Command::BEAT).await).expect("beat");
        if let Some(stat) = beat.stat.filter(|stat| stat.upload.total > 0) {
            break stat;
        }
    };
    assert_eq!((stat.upload.total, stat.upload.success, stat.upload_bytes.success), (1, 1, 5));
    assert_eq!(stat.connections.current, 1);
    assert!(stat.last_source_update > Timestamp::ZERO);
    assert_eq!(cluster.tracker.next(Command::BEAT).await, b"");
}

#[tokio::test]
async fn a_storage_that_restarts_does_not_ask_for_its_source_again() {
    let mut cluster = Cluster::start().await;
    cluster.tracker.next(Command::BEAT).await;
    let ip = cluster.address.ip();
    let Cluster { storage, disk, mut tracker, .. } = cluster;
    storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    while tracker.heard.try_recv().is_ok() {}
    let _storage = Storage::bind(support::config(ip, disk.path(), |_| {})).await.expect("storage");
    let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
    assert!(!join.is_initial);
    let (command, _) = tracker.heard.recv().await.expect("request");
    assert_eq!(command, Command::SYNC_NOTIFY);
}

#[tokio::test]
async fn a_member_that_waits_for_nothing_is_done_at_once() {
    let member = support::unused_ip();
    let mut cluster = Cluster::start_beside(Some((member, StorageStatus::WaitSync)), |_| {}).await;
    let report = cluster.tracker.next(Command::REPORT_STATUS).await;
    let report = ReportStatusRequest::decode(&report).expect("report");
    assert_eq!(report.group.as_str(), "group1");
    assert_eq!((report.storage.status, report.storage.ip), (StorageStatus::Offline, Some(member)));
    assert_eq!(report.storage.port, 0);
}

#[tokio::test]
async fn a_tracker_that_comes_back_is_joined_again() {
    let mut cluster = Cluster::start().await;
    cluster.tracker.next(Command::BEAT).await;
    // The second beat is sent after the answer to the first, that the storage is active, was taken in.
    cluster.tracker.next(Command::BEAT).await;
    let health = fdfs_ops::Health::new();
    cluster.storage.register_health(&health);
    assert!(health.report().0);
    let ip = cluster.address.ip();
    let mut tracker = cluster.tracker.restart(ip).await;
    let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
    assert_eq!((join.is_initial, join.status), (false, Some(StorageStatus::Active)));
    tracker.next(Command::BEAT).await;
}

#[tokio::test]
async fn a_tracker_that_comes_back_is_not_kept_waiting_for_the_next_beat() {
    let hour = std::time::Duration::from_secs(3600);
    let mut cluster = Cluster::start_with(|config| config.heart_beat_interval = hour).await;
    cluster.tracker.next(Command::BEAT).await;
    let ip = cluster.address.ip();
    let mut tracker = cluster.tracker.restart(ip).await;
    tracker.next(Command::JOIN).await;
}

#[tokio::test]
async fn a_storage_tells_how_much_room_it_has_before_it_serves() {
    let mut cluster = Cluster::start().await;
    let serves = loop {
        let (command, _) = cluster.tracker.heard.recv().await.expect("request");
        if matches!(command, Command::BEAT | Command::REPORT_DISK_USAGE) {
            break command;
        }
    };
    assert_eq!(serves, Command::REPORT_DISK_USAGE);
}

#[tokio::test]
async fn a_storage_that_waits_to_serve_beats_sooner() {
    let hour = std::time::Duration::from_secs(3600);
    let ip = support::unused_ip();
    let mut tracker = FakeTracker::start_as(Role::Follows, ip, ip, None);
    let disk = tempfile::tempdir().expect("directory");
    let config = support::config(ip, disk.path(), |config| config.heart_beat_interval = hour);
    let _storage = Storage::bind(config).await.expect("storage");
    for _ in 0..3 {
        tracker.next(Command::BEAT).await;
    }
}

#[tokio::test]
async fn one_of_several_trackers_is_asked_for_the_source_and_the_others_are_told() {
    let second_ip = support::unused_ip();
    let mut second = FakeTracker::start(second_ip, None);
    let mut cluster = Cluster::start_with(|config| {
        config.trackers.push(format!("{second_ip}:22122").parse().expect("tracker"));
    })
    .await;
    let mut asked = 0;
    for tracker in [&mut cluster.tracker, &mut second] {
        let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
        assert_eq!(join.trackers.len(), 2);
        loop {
            match tracker.heard.recv().await.expect("request").0 {
                Command::SYNC_DEST_REQ => asked += 1,
                Command::SYNC_NOTIFY => break,
                _ => {}
            }
        }
    }
    assert_eq!(asked, 1);
}

/// A storage that was a member, and comes back to trackers of these roles.
async fn back_to(roles: [Role; 2]) -> ([FakeTracker; 2], Storage, tempfile::TempDir) {
    let mut cluster = Cluster::start().await;
    cluster.tracker.next(Command::BEAT).await;
    let ip = cluster.address.ip();
    let Cluster { storage, disk, tracker, .. } = cluster;
    storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    tracker.server.shutdown(std::time::Duration::ZERO).await;
    let ips = [support::unused_ip(), support::unused_ip()];
    let trackers = [0, 1].map(|at| FakeTracker::start_as(roles[at], ips[at], ip, None));
    let config = support::config(ip, disk.path(), |config| {
        config.trackers = ips.map(|ip| format!("{ip}:22122").parse().expect("tracker")).into();
    });
    (trackers, Storage::bind(config).await.expect("storage"), disk)
}

/// The state that the storage says in its first JOIN that is not refused.
async fn accepted_with(tracker: &mut FakeTracker) -> Option<StorageStatus> {
    loop {
        let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
        assert!(!join.is_initial);
        if join.status.is_some() {
            tracker.next(Command::BEAT).await;
            return join.status;
        }
    }
}

#[tokio::test]
async fn a_tracker_that_does_not_know_the_storage_hears_what_another_has_told_it() {
    let ([mut knows, mut forgotten], _storage, _disk) = back_to([Role::Follows, Role::HasForgotten]).await;
    knows.next(Command::BEAT).await;
    assert_eq!(accepted_with(&mut forgotten).await, Some(StorageStatus::Init));
}

#[tokio::test]
async fn a_storage_that_every_tracker_has_forgotten_joins_again_when_all_were_tried() {
    let ([mut one, mut other], _storage, _disk) = back_to([Role::HasForgotten; 2]).await;
    let refused = JoinRequest::decode(&one.next(Command::JOIN).await).expect("join");
    assert_eq!(refused.status, None);
    for tracker in [&mut one, &mut other] {
        assert!(accepted_with(tracker).await.is_some());
    }
}

#[tokio::test]
async fn a_connection_that_the_tracker_takes_for_given_up_is_made_anew() {
    let ([mut tracker, _], _storage, _disk) = back_to([Role::MistakesTheFirst, Role::Follows]).await;
    tracker.next(Command::JOIN).await;
    tracker.next(Command::SYNC_NOTIFY).await;
    tracker.next(Command::JOIN).await;
    tracker.next(Command::BEAT).await;
}

#[tokio::test]
async fn a_follower_that_contradicts_the_leader_is_told_once_each_time() {
    let ([mut leader, mut follower], _storage, _disk) = back_to([Role::Leads, Role::IsStubborn]).await;
    leader.next(Command::BEAT).await;
    // The second beat is sent when the list, ACTIVE, was taken in.
    leader.next(Command::BEAT).await;
    let told = follower.next(Command::STORAGE_CHANGE_STATUS).await;
    assert_eq!(told, [StorageStatus::Active.to_wire()]);
    follower.next(Command::JOIN).await;
    follower.next(Command::SYNC_NOTIFY).await;
    follower.next(Command::BEAT).await;
}

#[tokio::test]
async fn a_follower_that_has_missed_that_a_newcomer_serves_is_told() {
    // It answers the JOIN before the leader does, when there is nothing to contradict.
    let ([mut leader, mut follower], _storage, _disk) = back_to([Role::LeadsLate, Role::Follows]).await;
    leader.next(Command::BEAT).await;
    let told = follower.next(Command::STORAGE_CHANGE_STATUS).await;
    assert_eq!(told, [StorageStatus::Active.to_wire()]);
    follower.next(Command::JOIN).await;
}

#[tokio::test]
async fn a_follower_is_told_nothing_of_a_storage_that_the_leader_does_not_list_as_serving() {
    let ([mut leader, mut follower], _storage, _disk) = back_to([Role::ListsAsOffline, Role::Follows]).await;
    // The list comes with the answer to the first.
    for _ in 0..2 {
        leader.next(Command::BEAT).await;
    }
    let wait = async {
        let mut beats = 0;
        while beats < 4 {
            let (command, _) = follower.heard.recv().await.expect("the tracker is there");
            assert_ne!(command, Command::STORAGE_CHANGE_STATUS);
            beats += usize::from(command == Command::BEAT);
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.expect("beats");
}
