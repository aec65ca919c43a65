//! Store paths that were wiped, and what a join has missed, with members that play their part.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use fdfs_proto::{
    Command, Decode, Status,
    cluster::{JoinRequest, SyncNotifyRequest},
    storage::{DeleteRequest, DownloadRequest, UploadRequest},
};
use fdfs_types::{FileId, RemoteFilename, StorageStatus};
use support::{
    Client,
    group::{Group, TIME, file_name},
};

/// Waits until something is so, at most a minute or so.
async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

fn upload(storage: &fdfs_storage::Storage, store_path: Option<u8>, content: &[u8]) -> RemoteFilename {
    let extension = "txt".parse().expect("extension");
    let request = UploadRequest { store_path, size: content.len() as u64, extension };
    let answer = Client::connect(storage.addresses()[0]).ask(&request, content).expect("upload");
    FileId::decode(&answer).expect("answer").filename
}

#[tokio::test]
async fn a_wiped_store_path_is_filled_with_what_any_member_has_before_the_storage_joins() {
    let mut group = Group::wiped(2).await;
    let [first, second] = [Arc::clone(&group.members[0]), Arc::clone(&group.members[1])];
    let common = first.has(b"both have it");
    second.tells(&common, b"both have it");
    let single = second.has(b"only the second has it");
    let empty = first.has(b"");
    let sidecar: RemoteFilename = format!("{common}-m").parse().expect("name");
    first.tells(&sidecar, b"width\x021024");
    let link = file_name(first.ip, b"link");
    first.lines.lock().push_str(&format!("{} L {link} {common}\n", *TIME));
    let storage = group.start(1).await;
    let reported = group.reported_before_join().await;
    assert_eq!(reported, [StorageStatus::Recovery, StorageStatus::Offline]);
    assert_eq!(group.content(&common).as_deref(), Some(&b"both have it"[..]));
    assert_eq!(group.content(&single).as_deref(), Some(&b"only the second has it"[..]));
    assert_eq!(group.content(&empty).as_deref(), Some(&b""[..]));
    assert_eq!(group.content(&sidecar).as_deref(), Some(&b"width\x021024"[..]));
    assert_eq!(group.content(&link).as_deref(), Some(&b"both have it"[..]));
    let target = fs::read_link(group.data().join(link.local_path())).expect("link");
    assert_eq!(target, group.data().join(common.local_path()));
    let stat = fs::metadata(group.data().join(single.local_path())).expect("stat");
    assert_eq!(stat.mtime(), *TIME);
    assert!(!group.data().join(".recovery.flag").exists());
    // Others can fill a path of theirs from this storage again.
    let binlog = fs::read_to_string(group.disk.path().join("base/data/sync/binlog.000")).expect("binlog");
    assert!(binlog.contains(&format!("{} c {single}\n", *TIME)), "{binlog}");
    drop(storage);
}

#[tokio::test]
async fn a_damaged_copy_is_not_taken_and_a_file_without_a_good_one_is_parked() {
    let mut group = Group::wiped(2).await;
    let [first, second] = [Arc::clone(&group.members[0]), Arc::clone(&group.members[1])];
    let good = second.has(b"good content");
    first.tells(&good, b"evil content");
    let bad = first.has(b"what the name says");
    first.tells(&bad, b"something different");
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    assert_eq!(group.content(&good).as_deref(), Some(&b"good content"[..]));
    assert_eq!(group.content(&bad), None);
    let parked = fs::read_to_string(group.disk.path().join("base/data/rs/parked")).expect("parked");
    assert!(parked.contains(bad.as_str()) && parked.contains("not what the name says"), "{parked}");
    drop(storage);
}

#[tokio::test]
async fn what_was_deleted_here_does_not_come_back() {
    let mut group = Group::of(1);
    let storage = group.start(1).await;
    group.next(Command::BEAT).await;
    let name = upload(&storage, None, b"deleted");
    let file_id = FileId { group: "group1".parse().expect("group"), filename: name.clone() };
    let delete = DeleteRequest { file_id };
    Client::connect(storage.addresses()[0]).ask(&delete, b"").expect("delete");
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    group.wipe();
    // The member has not heard of the deletion yet.
    group.members[0].tells(&name, b"deleted");
    let other = group.members[0].has(b"kept");
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    assert_eq!(group.content(&name), None);
    assert!(group.content(&other).is_some());
    drop(storage);
}

#[tokio::test]
async fn a_recovery_that_was_killed_goes_on_where_it_was() {
    let mut group = Group::wiped(1).await;
    let member = Arc::clone(&group.members[0]);
    let names: Vec<_> = (0..4000).map(|number: u32| member.has(&number.to_be_bytes())).collect();
    member.open.send_replace(3500);
    let storage = group.start(1).await;
    wait_until("3500 files", || member.asked.load(Ordering::Relaxed) > 3501).await;
    drop(storage);
    let flag = fs::read_to_string(group.data().join(".recovery.flag")).expect("flag");
    assert_eq!(flag, "saved_storage_status=5\nfetch_binlog_done=1\nrecovery_threads=2\n");
    let asked = member.asked.swap(0, Ordering::Relaxed);
    assert!(asked < 3510, "{asked}");
    // What it has is not asked for again, and what it would have to be told is known already.
    member.lines.lock().clear();
    member.open.send_replace(usize::MAX);
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    assert!(member.asked.load(Ordering::Relaxed) < 510);
    assert!(names.iter().all(|name| group.content(name).is_some()));
    drop(storage);
}

#[tokio::test]
async fn what_is_there_is_served_while_another_store_path_is_filled() {
    let mut group = Group::of(1);
    let storage = group.start(2).await;
    group.next(Command::BEAT).await;
    let name = upload(&storage, Some(1), b"on the second path");
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    group.wipe();
    let member = Arc::clone(&group.members[0]);
    let lost = member.has(b"on the first path");
    member.open.send_replace(0);
    let storage = group.start(2).await;
    wait_until("the file is asked for", || member.asked.load(Ordering::Relaxed) > 0).await;
    let health = fdfs_ops::Health::new();
    storage.register_health(&health);
    let report = health.report().1.to_string();
    assert!(report.contains("store path 0 is being filled from other members: 0 of 1"), "{report}");
    let file_id = FileId { group: "group1".parse().expect("group"), filename: name };
    let download = DownloadRequest { offset: 0, length: 0, file_id };
    let mut client = Client::connect(storage.addresses()[0]);
    assert_eq!(client.ask(&download, b"").expect("download"), b"on the second path");
    member.open.send_replace(usize::MAX);
    group.next(Command::JOIN).await;
    assert!(group.content(&lost).is_some());
    drop(storage);
}

#[tokio::test]
async fn a_file_that_is_on_its_way_back_to_its_source_is_not_taken_for_gone() {
    let mut group = Group::wiped(1).await;
    let member = Arc::clone(&group.members[0]);
    let lost = file_name(group.me, b"lost");
    member.tells(&lost, b"lost");
    member.open.send_replace(0);
    let storage = group.start(1).await;
    wait_until("the file is asked for", || member.asked.load(Ordering::Relaxed) > 0).await;
    let delete =
        DeleteRequest { file_id: FileId { group: "group1".parse().expect("group"), filename: lost.clone() } };
    let mut client = Client::connect(storage.addresses()[0]);
    assert_eq!(client.ask(&delete, b""), Err(Status::EAGAIN));
    member.open.send_replace(usize::MAX);
    group.next(Command::JOIN).await;
    assert_eq!(client.ask(&delete, b"").expect("delete"), b"");
    assert_eq!(group.content(&lost), None);
    assert_eq!(client.ask(&delete, b""), Err(Status::ENOENT));
    drop(storage);
}

#[tokio::test]
async fn a_storage_alone_in_its_group_starts_with_an_empty_path() {
    let mut group = Group::wiped(0).await;
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    assert!(!group.data().join(".recovery.flag").exists());
    drop(storage);
}

#[tokio::test]
async fn a_storage_that_the_trackers_have_forgotten_joins_and_fetches_what_it_lacks_then() {
    let mut group = Group::wiped(1).await;
    *group.tracker.status.lock() = StorageStatus::Init;
    let lost = group.members[0].has(b"lost");
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    *group.tracker.status.lock() = StorageStatus::Active;
    wait_until("the file is there", || group.content(&lost).is_some()).await;
    wait_until("nothing is wanted", || !group.disk.path().join("base/data/rs/verify").exists()).await;
    drop(storage);
}

#[tokio::test]
async fn what_a_join_has_missed_is_fetched_from_the_member_that_has_it() {
    let mut group = Group::of(2);
    *group.tracker.source.lock() = Some(group.members[0].ip);
    let missed = group.members[1].has(b"the source did not have it yet");
    // The second has not heard that its origin has deleted it.
    let deleted = file_name(group.members[0].ip, b"deleted");
    group.members[1].tells(&deleted, b"deleted");
    let storage = group.start(1).await;
    let join = JoinRequest::decode(&group.next(Command::JOIN).await).expect("join");
    assert!(join.is_initial);
    let notify = SyncNotifyRequest::decode(&group.next(Command::SYNC_NOTIFY).await).expect("notify");
    assert_eq!(notify.source.map(|id| id.to_string()), Some(group.members[0].ip.to_string()));
    group.next(Command::BEAT).await;
    assert_eq!(group.content(&missed), None);
    // The source has sent what it had.
    *group.tracker.status.lock() = StorageStatus::Active;
    wait_until("the file is there", || group.content(&missed).is_some()).await;
    wait_until("nothing is wanted", || !group.disk.path().join("base/data/rs/verify").exists()).await;
    assert_eq!(group.content(&deleted), None);
    drop(storage);
}

#[tokio::test]
async fn a_newcomer_for_whom_there_is_no_source_now_asks_again_and_stays_out() {
    let mut group = Group::of(1);
    *group.tracker.source.lock() = Some(group.members[0].ip);
    group.tracker.refusals.store(2, Ordering::Relaxed);
    let storage = group.start(1).await;
    let mut heard = Vec::new();
    loop {
        let (command, _) = group.until(|_, _| true).await;
        heard.push(command);
        if command == Command::SYNC_NOTIFY {
            break;
        }
    }
    let count = |wanted| heard.iter().filter(|command| **command == wanted).count();
    // On one connection, without a beat that would make it serve.
    assert_eq!([Command::JOIN, Command::SYNC_DEST_REQ, Command::BEAT].map(count), [1, 3, 0]);
    drop(storage);
}

#[tokio::test]
async fn a_source_that_leaves_before_it_is_done_is_replaced() {
    let mut group = Group::of(2);
    let [first, second] = [group.members[0].ip, group.members[1].ip];
    *group.tracker.source.lock() = Some(first);
    let storage = group.start(1).await;
    group.next(Command::BEAT).await;
    group.next(Command::BEAT).await;
    *group.tracker.source.lock() = Some(second);
    *group.tracker.changelog.lock() = format!("{} group1 {first} 4 \n", *TIME);
    *group.tracker.others.lock() = vec![(first, StorageStatus::Deleted), (second, StorageStatus::Active)];
    let is_second = |command, body: &[u8]| {
        command == Command::SYNC_NOTIFY
            && SyncNotifyRequest::decode(body)
                .is_ok_and(|notify| notify.source.map(|id| id.to_string()) == Some(second.to_string()))
    };
    group.until(is_second).await;
    let flag = fs::read_to_string(group.disk.path().join("base/data/.data_init_flag")).expect("flag");
    assert!(flag.contains(&format!("sync_old_done=1\nsync_src_server={second}\n")), "{flag}");
    drop(storage);
}

#[tokio::test]
async fn a_source_that_left_while_this_storage_was_down_is_replaced() {
    let mut group = Group::of(2);
    let [first, second] = [group.members[0].ip, group.members[1].ip];
    *group.tracker.source.lock() = Some(first);
    let storage = group.start(1).await;
    group.next(Command::BEAT).await;
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    *group.tracker.others.lock() = vec![(second, StorageStatus::Active)];
    *group.tracker.source.lock() = Some(second);
    let storage = group.start(1).await;
    let is_second = |command, body: &[u8]| {
        command == Command::SYNC_NOTIFY
            && SyncNotifyRequest::decode(body)
                .is_ok_and(|notify| notify.source.map(|id| id.to_string()) == Some(second.to_string()))
    };
    group.until(is_second).await;
    drop(storage);
}

#[tokio::test]
async fn what_a_member_could_not_tell_during_a_recovery_is_compared_afterwards() {
    let mut group = Group::wiped(2).await;
    let whole = group.members[0].has(b"whole");
    let lost = group.members[1].has(b"cut off");
    group.members[1].breaks_off.store(true, Ordering::Relaxed);
    let storage = group.start(1).await;
    group.next(Command::JOIN).await;
    assert!(group.content(&whole).is_some());
    assert_eq!(group.content(&lost), None);
    assert!(group.disk.path().join("base/data/rs/verify").exists());
    group.members[1].breaks_off.store(false, Ordering::Relaxed);
    wait_until("the file is there", || group.content(&lost).is_some()).await;
    wait_until("nothing is wanted", || !group.disk.path().join("base/data/rs/verify").exists()).await;
    drop(storage);
}

#[tokio::test]
async fn who_has_told_all_is_not_asked_again_because_of_another() {
    let group = Group::wiped(2).await;
    group.members[0].has(b"whole");
    let lost = group.members[1].has(b"cut off");
    group.members[1].breaks_off.store(true, Ordering::Relaxed);
    let storage = group.start(1).await;
    // Once for the recovery, once for the comparison.
    wait_until("both are asked", || {
        group.members.iter().all(|member| member.listed.load(Ordering::Relaxed) == 2)
    })
    .await;
    group.members[1].breaks_off.store(false, Ordering::Relaxed);
    wait_until("the file is there", || group.content(&lost).is_some()).await;
    wait_until("nothing is wanted", || !group.disk.path().join("base/data/rs/verify").exists()).await;
    assert_eq!(group.members[0].listed.load(Ordering::Relaxed), 2);
    drop(storage);
}
