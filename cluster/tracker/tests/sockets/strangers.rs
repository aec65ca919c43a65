//! What is not for everybody.

use fdfs_proto::{ActiveTestRequest, Command, Status};

use crate::support::{Storage, World};

#[tokio::test]
async fn who_has_not_joined_may_not_speak_for_members() {
    let world = World::start("127.0.24.1").await;
    let _storage = Storage::bring_up(&world, "127.0.25.4").await;
    let mut stranger = world.client("127.0.25.77").await;
    for command in [
        Command::STORAGE_CHANGE_STATUS,
        Command::FETCH_TRUNK_FID,
        Command::REPORT_TRUNK_FID,
        Command::REPORT_TRUNK_FREE,
        Command::SYNC_DEST_QUERY,
        Command::BEAT,
        Command::REPORT_DISK_USAGE,
        Command::REPLICA_CHANGE,
        Command::SYNC_DEST_REQ,
        Command::SYNC_NOTIFY,
        Command::SYNC_REPORT,
        Command::REPORT_STATUS,
        Command::CHANGELOG_REQ,
        Command::SYNC_SRC_REQ,
        Command::GET_SYS_FILES_START,
    ] {
        for body in [&b""[..], b"x", &[0; 83]] {
            let status = stranger.status_of(command, body).await;
            let malformed = command == Command::GET_SYS_FILES_START && !body.is_empty();
            let expected = if malformed { Status::EINVAL } else { Status::EACCES };
            assert_eq!(status, expected, "{command} with {} bytes", body.len());
        }
    }
    assert_eq!(stranger.status_of(Command::GET_ONE_SYS_FILE, &[0; 9]).await, Status::EACCES);
    let metrics = fdfs_ops::Metrics::install().render();
    for command in ["BEAT", "REPORT_STATUS", "GET_ONE_SYS_FILE"] {
        let counter = format!("fdfs_tracker_strangers_total{{command=\"{command}\"}} ");
        assert!(metrics.contains(&counter), "{counter} does not move");
    }
    stranger.ask(&ActiveTestRequest).await;
}

#[tokio::test]
async fn a_stranger_neither_makes_nor_deposes_leaders() {
    let world = World::start("127.0.24.2").await;
    let _storage = Storage::bring_up(&world, "127.0.25.4").await;
    crate::support::eventually("a leader", async || world.tracker.is_leading().then_some(())).await;
    let mut stranger = world.client("127.0.25.77").await;
    let own = world.address.to_string();
    assert_eq!(stranger.status_of(Command::NOTIFY_RESELECT_LEADER, b"").await, Status::EACCES);
    assert_eq!(stranger.status_of(Command::NOTIFY_NEXT_LEADER, own.as_bytes()).await, Status::EACCES);
    assert_eq!(stranger.status_of(Command::NOTIFY_NEXT_LEADER, b"127.0.9.9:1").await, Status::ENOENT);
    assert_eq!(stranger.status_of(Command::NOTIFY_NEXT_LEADER, b"127.0.9.9").await, Status::EINVAL);
    assert_eq!(stranger.status_of(Command::COMMIT_NEXT_LEADER, b"127.0.9.9:1").await, Status::ENOENT);
    let mut introduction = [0; 24];
    introduction[16..].copy_from_slice(&i64::from(world.address.port()).to_be_bytes());
    assert_eq!(stranger.status_of(Command::TRACKER_JOIN_LEADER, &introduction).await, Status::ENOENT);
    assert_eq!(stranger.status_of(Command::TRACKER_PING_LEADER, &[0; 12]).await, Status::EINVAL);
    assert!(world.tracker.is_leading());
}
