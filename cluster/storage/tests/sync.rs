//! What another member of the group is sent.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{path::PathBuf, time::Duration};

use fdfs_proto::{
    Command, Decode, Request, Status,
    cluster::ReportStatusRequest,
    ours::DeadLettersRequest,
    storage::{
        AppendRequest, DeleteRequest, MetadataMode, ModifyRequest, RegenerateRequest, SetMetadataRequest,
        TruncateRequest, UploadAppenderRequest, UploadRequest, UploadSlaveRequest,
    },
};
use fdfs_storage::Storage;
use fdfs_types::{FileId, Metadata, StorageStatus};
use support::{
    Client, Cluster,
    peer::{FakePeer, Heard},
};

/// A storage beside a peer that is ACTIVE.
async fn beside_a_peer() -> (Cluster, FakePeer) {
    let peer = FakePeer::start(support::unused_ip());
    let cluster = Cluster::start_beside(Some((peer.ip, StorageStatus::Active)), |_| {}).await;
    (cluster, peer)
}

fn upload(client: &mut Client, content: &[u8]) -> FileId {
    let (size, extension) = (content.len() as u64, "txt".parse().expect("ext"));
    let request = UploadRequest { store_path: None, size, extension };
    FileId::decode(&client.ask(&request, content).expect("upload")).expect("file id")
}

fn upload_appender(client: &mut Client, content: &[u8]) -> FileId {
    let (size, extension) = (content.len() as u64, "log".parse().expect("ext"));
    let request = UploadAppenderRequest(UploadRequest { store_path: None, size, extension });
    FileId::decode(&client.ask(&request, content).expect("upload")).expect("file id")
}

fn set_metadata(client: &mut Client, file_id: &FileId, value: &str) {
    let metadata = Metadata::decode(format!("width\u{2}{value}").as_bytes()).expect("metadata");
    let request = SetMetadataRequest { file_id: file_id.clone(), mode: MetadataMode::Overwrite, metadata };
    client.get(&request).expect("set metadata");
}

fn ask<R: Request>(client: &mut Client, request: &R, content: &[u8]) {
    client.ask(request, content).expect("request");
}

fn name(file_id: &FileId) -> &str {
    file_id.filename.as_str()
}

fn mark(cluster: &Cluster, peer: &FakePeer) -> PathBuf {
    cluster.disk.path().join(format!("data/sync/{}_23000.mark", peer.ip))
}

fn value(mark: &std::path::Path, key: &str) -> u64 {
    let text = std::fs::read_to_string(mark).expect("mark");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.expect("key").parse().expect("number")
}

/// Ends the storage in order, and starts it again.
async fn restart(cluster: Cluster) -> Cluster {
    let Cluster { tracker, storage, address, disk } = cluster;
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    let storage = Storage::bind(support::config(address.ip(), disk.path(), |_| {})).await.expect("storage");
    let tracker_other = tracker.other;
    let tracker = tracker.restart_beside(address.ip(), tracker_other).await;
    Cluster { tracker, storage, address, disk }
}

#[tokio::test]
async fn every_change_reaches_the_peer() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let normal = upload(&mut client, &[1; 100_000]);
    set_metadata(&mut client, &normal, "1");
    set_metadata(&mut client, &normal, "2");
    let slave = UploadSlaveRequest {
        master: normal.filename.clone(),
        size: 5,
        prefix: "_small".parse().expect("prefix"),
        extension: "txt".parse().expect("ext"),
    };
    let slave = FileId::decode(&client.ask(&slave, b"slave").expect("slave")).expect("file id");
    let gone = upload(&mut client, b"gone soon");
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    let filename = appender.filename.clone();
    ask(&mut client, &AppendRequest { filename: filename.clone(), size: 6 }, b"abcdef");
    peer.wait_for(Command::SYNC_APPEND_FILE, name(&appender), Status::OK).await;
    ask(&mut client, &ModifyRequest { filename: filename.clone(), offset: 2, size: 3 }, b"XYZ");
    peer.wait_for(Command::SYNC_MODIFY_FILE, name(&appender), Status::OK).await;
    ask(&mut client, &TruncateRequest { filename: filename.clone(), size: 8 }, b"");
    peer.wait_for(Command::SYNC_TRUNCATE_FILE, name(&appender), Status::OK).await;
    assert_eq!(peer.file(name(&appender)).expect("file"), b"01XYZ567");
    let renamed = client.get(&RegenerateRequest { filename }).expect("regenerate");
    ask(&mut client, &DeleteRequest { file_id: gone.clone() }, b"");
    peer.wait_for(Command::SYNC_DELETE_FILE, name(&gone), Status::OK).await;
    peer.wait_for(Command::SYNC_RENAME_FILE, name(&renamed), Status::OK).await;
    assert_eq!(peer.file(name(&renamed)).expect("file"), b"01XYZ567");
    assert_eq!(peer.file(name(&normal)).expect("file"), [1; 100_000]);
    assert_eq!(peer.file(name(&slave)).expect("file"), b"slave");
    let sidecar = std::fs::read(cluster.path(&format!("{}-m", name(&normal)))).expect("metadata");
    assert_eq!(peer.file(&format!("{}-m", name(&normal))), Some(sidecar));
    assert_eq!(peer.file(name(&appender)), None);
    assert_eq!(peer.file(name(&gone)), None);
}

#[tokio::test]
async fn a_peer_that_was_away_gets_everything_in_the_order_of_each_file() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let first = upload(&mut client, b"first");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&first), Status::OK).await;
    let mut files = Vec::new();
    let appender = upload_appender(&mut client, b"a");
    let peer = peer
        .restart(async |_| {
            for number in 0..300_u32 {
                files.push(upload(&mut client, &number.to_be_bytes()));
                let filename = appender.filename.clone();
                ask(&mut client, &AppendRequest { filename, size: 1 }, b"b");
            }
        })
        .await;
    let last = files.last().expect("files").clone();
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&last), Status::OK).await;
    for (number, file_id) in (0_u32..).zip(&files) {
        let has = async || {
            while peer.file(name(file_id)).is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), has()).await.expect("the file comes");
        assert_eq!(peer.file(name(file_id)).expect("file"), number.to_be_bytes());
    }
    let whole = std::fs::read(cluster.path(name(&appender))).expect("appender");
    let has = async || {
        while peer.file(name(&appender)).as_ref() != Some(&whole) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), has()).await.expect("the appender grows");
}

#[tokio::test]
async fn a_connection_that_says_who_we_are_carries_a_record_only_behind_all_others() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let mut files = Vec::new();
    let peer = peer
        .restart(async |_| {
            for number in 0..500_u32 {
                files.push(upload(&mut client, &number.to_be_bytes()));
            }
        })
        .await;
    let is_last = |heard: &Heard| heard.identified && heard.name == name(files.last().expect("files"));
    let heard = peer.wait(|heard| heard.iter().any(is_last)).await;
    let mut identified = 0;
    for (at, one) in heard.iter().enumerate().filter(|(_, one)| one.identified && !one.name.is_empty()) {
        identified += 1;
        let place = files.iter().position(|file_id| name(file_id) == one.name).expect("a file of ours");
        let before = |earlier: &FileId| heard[..at].iter().any(|other| other.name == name(earlier));
        assert!(files[..place].iter().all(before), "{} of {} files", place, files.len());
    }
    assert!(identified < 100, "{identified} records had no other beside them");
}

#[tokio::test]
async fn one_bad_record_does_not_hold_up_the_next_and_is_kept() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let bad = upload(&mut client, b"");
    let bad = {
        // The first one may be on its way already.
        peer.wait_for(Command::SYNC_CREATE_FILE, name(&bad), Status::OK).await;
        let refused = b"refuse me".len() as u64;
        peer.answer(move |heard| {
            let is_bad = heard.command == Command::SYNC_CREATE_FILE && heard.name.contains(".txt");
            is_bad.then_some(Status::ENAMETOOLONG).filter(|_| refused > 0)
        });
        upload(&mut client, b"refuse me")
    };
    let good = upload_appender(&mut client, b"good");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&good), Status::OK).await;
    let refused = |heard: &&Heard| heard.name == name(&bad);
    peer.wait(|heard| heard.iter().filter(refused).count() >= 3).await;
    let failed = mark(&cluster, &peer).with_extension("failed");
    let later = loop {
        let later = upload_appender(&mut client, b"later");
        peer.wait_for(Command::SYNC_CREATE_FILE, name(&later), Status::OK).await;
        if failed.exists() {
            break upload_appender(&mut client, b"behind the dead letter");
        }
    };
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&later), Status::OK).await;
    let letters = std::fs::read_to_string(&failed).expect("dead letters");
    assert!(letters.ends_with(&format!(" C {}\n", name(&bad))), "{letters}");
    assert!(letters.contains(" 0 36 "), "{letters}");
    let heard = peer.heard();
    let of_later = heard.iter().find(|heard| heard.name == name(&later)).expect("later");
    assert!(!of_later.identified, "the peer's synced time stays behind a dead letter");
    let refused = heard.iter().filter(|heard| heard.status == Status::ENAMETOOLONG).count();
    assert_eq!(refused, 3);
    // It is told of, and tried again when somebody asks for that.
    peer.answer(|_| None);
    let group = "group1".parse().expect("group");
    let told = client.get(&DeadLettersRequest { group, member: None, try_again: true }).expect("letters");
    assert_eq!((told.total, told.letters[0].status, told.letters[0].tries), (1, 36, 0));
    assert!(told.letters[0].record.ends_with(name(&bad)));
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&bad), Status::OK).await;
    let mut is_gone = async || {
        let request = DeadLettersRequest { group, member: None, try_again: false };
        while client.get(&request).expect("letters").total > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_gone()).await.expect("the letter goes");
    assert!(!failed.exists());
}

/// The original closes behind an answer of 22, also the connection that says who sends.
#[tokio::test]
async fn a_record_that_a_peer_refuses_and_closes_does_not_hold_up_the_next() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    peer.answer(|heard| {
        let is_bad = heard.command == Command::SYNC_CREATE_FILE && heard.name.contains(".txt");
        is_bad.then_some(Status::EINVAL)
    });
    let bad = upload(&mut client, b"refuse me");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&bad), Status::EINVAL).await;
    let good = upload_appender(&mut client, b"good");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&good), Status::OK).await;
    let refused = |heard: &&Heard| heard.status == Status::EINVAL;
    let heard = peer.wait(|heard| heard.iter().filter(refused).count() >= 3).await;
    assert!(heard.iter().any(|heard| heard.name == name(&good)));
    let failed = mark(&cluster, &peer).with_extension("failed");
    let is_kept = async || {
        while !failed.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_kept()).await.expect("it goes to the dead letters");
    assert_eq!(peer.heard().iter().filter(refused).count(), 3);
}

/// A file that cannot be read to its end, as on a failing disk: one of the kernel's, whose size is not that of its content.
#[tokio::test]
async fn a_file_that_cannot_be_read_does_not_hold_up_the_next() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let mut mounted = None;
    let peer = peer
        .restart(async |_| {
            let bad = upload(&mut client, &[1; 4096]);
            mounted = Mounted::over(cluster.path(name(&bad)), "/sys/kernel/mm/transparent_hugepage/enabled");
        })
        .await;
    let good = upload_appender(&mut client, b"good");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&good), Status::OK).await;
    if mounted.is_none() {
        eprintln!("SKIPPED: no file can be mounted over another here (run as root)");
    }
}

/// A file with another one mounted over it. Dropping it unmounts that.
struct Mounted(PathBuf);

impl Mounted {
    fn over(path: PathBuf, source: &str) -> Option<Self> {
        let mounted = std::process::Command::new("mount").args(["--bind", source]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_peer_is_tried_again_later() {
    let (cluster, peer) = beside_a_peer().await;
    let full = std::sync::atomic::AtomicBool::new(true);
    peer.answer(move |heard| {
        let is_first = heard.command == Command::SYNC_CREATE_FILE
            && full.swap(false, std::sync::atomic::Ordering::Relaxed);
        is_first.then_some(Status::ENOSPC)
    });
    let file_id = upload(&mut cluster.client(), b"hello");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&file_id), Status::ENOSPC).await;
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&file_id), Status::OK).await;
    assert!(!mark(&cluster, &peer).with_extension("failed").exists());
}

#[tokio::test]
async fn a_peer_that_has_the_files_is_asked_before_it_is_sent_them() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let mut files = Vec::new();
    let peer = peer
        .restart(async |there| {
            for number in 0..50_u32 {
                files.push(upload(&mut client, &number.to_be_bytes()));
            }
            let (different, same) = files.split_last().expect("files");
            there.extend(same.iter().map(|file_id| (name(file_id).to_owned(), b"same".to_vec())));
            there.insert(name(different).to_owned(), b"another size".to_vec());
        })
        .await;
    let different = files.last().expect("files");
    peer.wait_for(Command::SYNC_UPDATE_FILE, name(different), Status::OK).await;
    assert_eq!(peer.file(name(different)), Some(49_u32.to_be_bytes().to_vec()));
    let heard = peer.heard();
    let count = |command| heard.iter().filter(|heard| heard.command == command).count();
    // The first ones are on their way before the answer to one of them has come.
    assert!(count(Command::QUERY_FILE_INFO) >= 45, "{}", count(Command::QUERY_FILE_INFO));
    assert!(count(Command::SYNC_CREATE_FILE) >= 49, "{}", count(Command::SYNC_CREATE_FILE));
}

#[tokio::test]
async fn after_a_restart_only_what_is_new_is_sent() {
    let (cluster, peer) = beside_a_peer().await;
    let first = upload(&mut cluster.client(), b"first");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&first), Status::OK).await;
    let end = cluster.binlog().len() as u64;
    let cluster = restart(cluster).await;
    let path = mark(&cluster, &peer);
    assert_eq!(value(&path, "binlog_offset"), end);
    assert_eq!((value(&path, "scan_row_count"), value(&path, "sync_row_count")), (1, 1));
    let second = upload(&mut cluster.client(), b"second");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&second), Status::OK).await;
    let heard = peer.heard();
    let creates = heard.iter().filter(|heard| heard.command == Command::SYNC_CREATE_FILE);
    assert_eq!(creates.count(), 2, "{heard:#?}");
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_is_made_anew() {
    let (cluster, peer) = beside_a_peer().await;
    let file_id = upload(&mut cluster.client(), b"hello");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&file_id), Status::OK).await;
    let Cluster { tracker, storage, address, disk } = cluster;
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    let path = disk.path().join(format!("data/sync/{}_23000.mark", peer.ip));
    std::fs::write(&path, "binlog_index=0\n").expect("write");
    let storage = Storage::bind(support::config(address.ip(), disk.path(), |_| {})).await.expect("storage");
    let tracker = {
        let other = tracker.other;
        tracker.restart_beside(address.ip(), other).await
    };
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&file_id), Status::EEXIST).await;
    assert_eq!(value(&path, "binlog_index"), 0);
    drop((tracker, storage));
}

#[tokio::test]
async fn the_mark_waits_for_what_is_not_acknowledged() {
    let (cluster, peer) = beside_a_peer().await;
    peer.answer(|heard| {
        (heard.command == Command::SYNC_CREATE_FILE && heard.name.ends_with(".txt")).then_some(Status::ENOSPC)
    });
    let mut client = cluster.client();
    let held = upload(&mut client, b"held");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&held), Status::ENOSPC).await;
    let cluster = restart(cluster).await;
    let path = mark(&cluster, &peer);
    assert_eq!(value(&path, "binlog_offset"), 0);
    peer.answer(|_| None);
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&held), Status::OK).await;
}

#[tokio::test]
async fn a_waiting_member_gets_the_old_files_and_the_trackers_hear_of_it() {
    let peer = FakePeer::start(support::unused_ip());
    let ip = support::unused_ip();
    let tracker = support::FakeTracker::start(ip, None);
    let disk = tempfile::tempdir().expect("directory");
    let storage = Storage::bind(support::config(ip, disk.path(), |_| {})).await.expect("storage");
    let address = storage.addresses()[0];
    let old = upload(&mut Client::connect(address), b"old");
    let mut tracker = tracker.restart_beside(ip, Some((peer.ip, StorageStatus::WaitSync))).await;
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&old), Status::OK).await;
    for status in [StorageStatus::Syncing, StorageStatus::Offline] {
        let report = tracker.next(Command::REPORT_STATUS).await;
        let report = ReportStatusRequest::decode(&report).expect("report");
        assert_eq!((report.storage.status, report.storage.ip), (status, Some(peer.ip)));
    }
    let path = disk.path().join(format!("data/sync/{}_23000.mark", peer.ip));
    assert_eq!((value(&path, "need_sync_old"), value(&path, "sync_old_done")), (1, 1));
    drop(storage);
}

#[tokio::test]
async fn a_link_whose_target_is_missing_there_is_tried_again() {
    let (cluster, peer) = beside_a_peer().await;
    let target = upload(&mut cluster.client(), b"target");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&target), Status::OK).await;
    let Cluster { tracker, storage, address, disk } = cluster;
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    // A link as the original makes it, whose target the peer has lost meanwhile.
    let link = name(&target).replace(".txt", ".lnk");
    let path = |name: &str| disk.path().join("data").join(&name[4..]);
    std::os::unix::fs::symlink(path(name(&target)), path(&link)).expect("link");
    let binlog = disk.path().join("data/sync/binlog.000");
    let text = std::fs::read_to_string(&binlog).expect("binlog");
    let record = format!("{} L {link} {}\n", &text[..10], name(&target));
    std::fs::write(&binlog, text + &record).expect("binlog");
    let content = peer.file(name(&target)).expect("target");
    let peer = {
        let again = FakePeer::start(support::unused_ip());
        drop(peer);
        again
    };
    let storage = Storage::bind(support::config(address.ip(), disk.path(), |_| {})).await.expect("storage");
    let tracker = tracker.restart_beside(address.ip(), Some((peer.ip, StorageStatus::Active))).await;
    peer.answer({
        let target = name(&target).to_owned();
        move |heard| (heard.name == target).then_some(Status::EEXIST)
    });
    peer.wait_for(Command::QUERY_FILE_INFO, &link, Status::ENOENT).await;
    peer.put(name(&target), &content);
    peer.wait_for(Command::QUERY_FILE_INFO, &link, Status::OK).await;
    assert_eq!(peer.file(&link).expect("link"), b"target");
    drop((tracker, storage));
}

#[tokio::test]
async fn a_peer_that_got_a_renamed_file_another_way_loses_its_old_name() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    let mut renamed = None;
    let peer = peer
        .restart(async |there| {
            let filename = appender.filename.clone();
            let file_id = client.get(&RegenerateRequest { filename }).expect("regenerate");
            there.insert(name(&file_id).to_owned(), b"0123456789".to_vec());
            renamed = Some(file_id);
        })
        .await;
    peer.wait_for(Command::SYNC_DELETE_FILE, name(&appender), Status::OK).await;
    assert_eq!(peer.file(name(&appender)), None);
    assert_eq!(peer.file(name(&renamed.expect("renamed"))).expect("file"), b"0123456789");
}

#[tokio::test]
async fn a_file_that_was_renamed_and_deleted_since_leaves_neither_name_at_a_peer() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    let mut renamed = None;
    let peer = peer
        .restart(async |_| {
            let filename = appender.filename.clone();
            let file_id = client.get(&RegenerateRequest { filename }).expect("regenerate");
            ask(&mut client, &DeleteRequest { file_id: file_id.clone() }, b"");
            renamed = Some(file_id);
        })
        .await;
    let renamed = renamed.expect("renamed");
    peer.wait_for(Command::SYNC_DELETE_FILE, name(&renamed), Status::OK).await;
    assert_eq!(peer.file(name(&appender)), None);
    assert_eq!(peer.file(name(&renamed)), None);
}

#[tokio::test]
async fn a_tracker_that_forgets_who_has_the_old_files_is_told_again() {
    let peer = FakePeer::start(support::unused_ip());
    let with = |status| Some((peer.ip, status));
    let Cluster { mut tracker, storage: _storage, address, disk: _disk } =
        Cluster::start_beside(with(StorageStatus::WaitSync), |_| {}).await;
    let mut client = Client::connect(address);
    for forgets in [None, Some(StorageStatus::WaitSync), Some(StorageStatus::Syncing)] {
        if forgets.is_some() {
            tracker = tracker.restart_beside(address.ip(), forgets.map(|status| (peer.ip, status))).await;
        }
        loop {
            let report = tracker.next(Command::REPORT_STATUS).await;
            let report = ReportStatusRequest::decode(&report).expect("report").storage;
            assert_eq!(report.ip, Some(peer.ip));
            if report.status == StorageStatus::Offline {
                break;
            }
        }
        // It serves, and is sent what is new.
        tracker = tracker.restart_beside(address.ip(), with(StorageStatus::Active)).await;
        let file = upload(&mut client, b"new");
        peer.wait_for(Command::SYNC_CREATE_FILE, name(&file), Status::OK).await;
    }
    let sent = peer.heard().into_iter().filter(|heard| heard.command == Command::SYNC_CREATE_FILE).count();
    assert_eq!(sent, 3, "no old file is sent twice");
}

#[tokio::test]
async fn a_file_that_was_changed_and_renamed_while_a_peer_was_away_has_the_change_there() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    let mut renamed = None;
    let peer = peer
        .restart(async |_| {
            let filename = appender.filename.clone();
            ask(&mut client, &ModifyRequest { filename: filename.clone(), offset: 2, size: 3 }, b"XYZ");
            renamed = Some(client.get(&RegenerateRequest { filename }).expect("regenerate"));
        })
        .await;
    let renamed = renamed.expect("renamed");
    peer.wait_for(Command::SYNC_UPDATE_FILE, name(&renamed), Status::OK).await;
    assert_eq!(peer.file(name(&renamed)).expect("file"), b"01XYZ56789");
}

#[tokio::test]
async fn a_peer_that_lacks_what_a_renamed_file_was_gets_it_and_keeps_no_old_name() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    peer.answer(|heard| (heard.command == Command::SYNC_RENAME_FILE).then_some(Status::ENOENT));
    let filename = appender.filename.clone();
    let renamed = client.get(&RegenerateRequest { filename }).expect("regenerate");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&renamed), Status::OK).await;
    peer.wait_for(Command::SYNC_DELETE_FILE, name(&appender), Status::OK).await;
    assert_eq!(peer.file(name(&renamed)).expect("file"), b"0123456789");
    assert_eq!(peer.file(name(&appender)), None);
}

#[tokio::test]
async fn what_was_modified_and_cut_in_part_while_a_peer_was_away_is_there() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&appender), Status::OK).await;
    let peer = peer
        .restart(async |_| {
            let filename = appender.filename.clone();
            ask(&mut client, &ModifyRequest { filename: filename.clone(), offset: 2, size: 6 }, b"UVWXYZ");
            ask(&mut client, &ModifyRequest { filename: filename.clone(), offset: 7, size: 2 }, b"ab");
            ask(&mut client, &TruncateRequest { filename, size: 4 }, b"");
        })
        .await;
    peer.wait_for(Command::SYNC_TRUNCATE_FILE, name(&appender), Status::OK).await;
    assert_eq!(peer.file(name(&appender)).expect("file"), b"01UV");
}

#[tokio::test]
async fn metadata_and_slaves_are_sent_whatever_the_size_of_what_a_peer_has() {
    let (cluster, peer) = beside_a_peer().await;
    let mut client = cluster.client();
    let first = upload(&mut client, b"first");
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&first), Status::OK).await;
    let sidecar = format!("{}-m", name(&first));
    let mut second = None;
    let peer = peer
        .restart(async |there| {
            // It has the next file, so that it is asked before it is sent another.
            let file = upload(&mut client, b"second");
            there.insert(name(&file).to_owned(), b"second".to_vec());
            set_metadata(&mut client, &first, "1");
            there.insert(sidecar.clone(), b"width\x022".to_vec());
            second = Some(file);
        })
        .await;
    peer.wait_for(Command::SYNC_CREATE_FILE, name(&second.expect("file")), Status::EEXIST).await;
    peer.wait_for(Command::SYNC_CREATE_FILE, &sidecar, Status::EEXIST).await;
    assert!(
        !peer.heard().iter().any(|heard| heard.command == Command::QUERY_FILE_INFO && heard.name == sidecar)
    );
}
