//! Changes that a second member has before they are answered.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fdfs_conf::{Deduplication, OnDeadline, SignatureMethod, StorageConfig, TimeOfDay};
use fdfs_ops::Metrics;
use fdfs_proto::{
    Command, Decode, Encode, Status,
    ours::{Frame, JoinFilesRequest, Trailer, UploadFramedRequest, WriteConcern},
    storage::{
        AppendRequest, CreateLinkRequest, DeleteRequest, DownloadRequest, GetMetadataRequest, MetadataMode,
        ModifyRequest, RegenerateRequest, SetMetadataRequest, TruncateRequest, UploadAppenderRequest,
        UploadRequest, UploadSlaveRequest,
    },
};
use fdfs_storage::Storage;
use fdfs_types::{FileId, Metadata, StorageStatus};
use support::{Client, Cluster, peer::FakePeer, unused_ip};

/// A second member has everything before it is answered, and the ordinary replication sends nothing.
fn replicated(config: &mut StorageConfig) {
    config.write_concern.is_replicated = true;
    only_concern(config);
}

/// The ordinary replication is outside of its hours.
fn only_concern(config: &mut StorageConfig) {
    let hour = |hours| u32::from((jiff::Zoned::now().hour().unsigned_abs() + hours) % 24);
    config.sync_start_time = TimeOfDay::new(hour(11), 0);
    config.sync_end_time = TimeOfDay::new(hour(12), 0);
}

fn refusing(config: &mut StorageConfig) {
    replicated(config);
    config.write_concern.on_deadline = OnDeadline::Refuse;
    config.write_concern.deadline = DEADLINE;
}

/// A storage beside a peer that is ACTIVE and that it knows.
async fn beside_a_peer(change: impl FnOnce(&mut StorageConfig)) -> (Cluster, FakePeer) {
    let peer = FakePeer::start(unused_ip());
    let mut cluster = Cluster::start_beside(Some((peer.ip, StorageStatus::Active)), change).await;
    until_known(&mut cluster).await;
    (cluster, peer)
}

/// A storage beside a peer that takes connections and says nothing.
async fn beside_a_silent_peer(change: impl FnOnce(&mut StorageConfig)) -> (Cluster, TcpListener) {
    let ip = unused_ip();
    let listener = TcpListener::bind((ip, StorageConfig::DEFAULT_PORT)).expect("listen");
    let mut cluster = Cluster::start_beside(Some((ip, StorageStatus::Active)), change).await;
    until_known(&mut cluster).await;
    (cluster, listener)
}

/// Waits until the storage knows the other member: the second beat is sent when the answer to the first was read.
async fn until_known(cluster: &mut Cluster) {
    cluster.tracker.next(Command::BEAT).await;
    cluster.tracker.next(Command::BEAT).await;
}

fn plain(size: usize) -> UploadRequest {
    UploadRequest { store_path: None, size: size as u64, extension: "txt".parse().expect("extension") }
}

fn upload(client: &mut Client, content: &[u8]) -> Result<FileId, Status> {
    client.ask(&plain(content.len()), content).map(|answer| FileId::decode(&answer).expect("file id"))
}

fn upload_appender(client: &mut Client, content: &[u8]) -> FileId {
    let answer = client.ask(&UploadAppenderRequest(plain(content.len())), content).expect("upload");
    FileId::decode(&answer).expect("file id")
}

fn upload_framed(client: &mut Client, write_concern: WriteConcern, content: &[u8]) -> Result<FileId, Status> {
    let request = UploadFramedRequest {
        store_path: None,
        expected_size: None,
        extension: "bin".parse().expect("extension"),
        owner: None,
        write_concern,
        private: false,
    };
    let trailer = Trailer { length: content.len() as u64, crc32: crc32fast::hash(content) };
    let length = Frame::Data(content.len() as u32).encode();
    let frames = [&length[..], content, &Frame::End.encode(), &trailer.encode()].concat();
    client.ask(&request, &frames).map(|answer| FileId::decode(&answer).expect("file id"))
}

fn append(file_id: &FileId, content: &[u8]) -> AppendRequest {
    AppendRequest { filename: file_id.filename.clone(), size: content.len() as u64 }
}

fn modify(file_id: &FileId, offset: u64, content: &[u8]) -> ModifyRequest {
    ModifyRequest { filename: file_id.filename.clone(), offset, size: content.len() as u64 }
}

fn metadata(file_id: &FileId, text: &str) -> SetMetadataRequest {
    let metadata = Metadata::decode(text.as_bytes()).expect("metadata");
    SetMetadataRequest { file_id: file_id.clone(), mode: MetadataMode::Overwrite, metadata }
}

fn name(file_id: &FileId) -> &str {
    file_id.filename.as_str()
}

/// Everything below the directories of files.
fn files(cluster: &Cluster) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("directory") {
            let path = entry.expect("entry").path();
            match path.is_dir() {
                true => walk(&path, found),
                // The look at the disk writes a file now and then.
                false if path.ends_with("disk_check") => {}
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    for high in ["00", "01", ".tmp"] {
        walk(&cluster.disk.path().join("data").join(high), &mut found);
    }
    found
}

/// The value of a counter; those of tests that run beside this one are in it.
fn counter(name: &str) -> u64 {
    let text = Metrics::install().render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or(0)
}

#[tokio::test]
async fn every_change_is_on_a_second_member_before_its_answer() {
    let (cluster, peer) = beside_a_peer(replicated).await;
    let mut client = cluster.client();
    let on_peer = |file_id: &FileId| peer.file(name(file_id));

    let normal = upload(&mut client, &[1; 300_000]).expect("upload");
    assert_eq!(on_peer(&normal), Some(vec![1; 300_000]));
    let empty = upload(&mut client, b"").expect("upload");
    assert_eq!(on_peer(&empty), Some(Vec::new()));
    let slave = UploadSlaveRequest {
        master: normal.filename.clone(),
        prefix: "_s".parse().expect("prefix"),
        extension: "txt".parse().expect("extension"),
        size: 5,
    };
    let slave = FileId::decode(&client.ask(&slave, b"slave").expect("slave")).expect("file id");
    assert_eq!(on_peer(&slave), Some(b"slave".to_vec()));
    let framed = upload_framed(&mut client, WriteConcern::Storage, b"framed").expect("framed");
    assert_eq!(on_peer(&framed), Some(b"framed".to_vec()));
    let join = JoinFilesRequest {
        group: normal.group,
        extension: "bin".parse().expect("extension"),
        owner: None,
        write_concern: WriteConcern::Storage,
        private: false,
        parts: vec![framed.filename.clone(), slave.filename.clone()],
    };
    assert_eq!(on_peer(&client.get(&join).expect("join")), Some(b"framedslave".to_vec()));

    let appender = upload_appender(&mut client, b"0123456789");
    assert_eq!(on_peer(&appender), Some(b"0123456789".to_vec()));
    client.ask(&append(&appender, b"abc"), b"abc").expect("append");
    assert_eq!(on_peer(&appender), Some(b"0123456789abc".to_vec()));
    client.ask(&modify(&appender, 2, b"XY"), b"XY").expect("modify");
    assert_eq!(on_peer(&appender), Some(b"01XY456789abc".to_vec()));
    client.get(&TruncateRequest { filename: appender.filename.clone(), size: 4 }).expect("truncate");
    assert_eq!(on_peer(&appender), Some(b"01XY".to_vec()));
    client.get(&metadata(&appender, "a\u{2}1")).expect("set metadata");
    assert_eq!(peer.file(&format!("{}-m", name(&appender))), Some(b"a\x021".to_vec()));
    client.get(&metadata(&appender, "a\u{2}22")).expect("set metadata");
    assert_eq!(peer.file(&format!("{}-m", name(&appender))), Some(b"a\x0222".to_vec()));
    let regenerated =
        client.get(&RegenerateRequest { filename: appender.filename.clone() }).expect("regenerate");
    assert_eq!((on_peer(&regenerated), on_peer(&appender)), (Some(b"01XY".to_vec()), None));
    assert_eq!(peer.file(&format!("{}-m", name(&regenerated))), Some(b"a\x0222".to_vec()));
    assert_eq!(peer.file(&format!("{}-m", name(&appender))), None);
    client.get(&metadata(&regenerated, "")).expect("remove metadata");
    assert_eq!(peer.file(&format!("{}-m", name(&regenerated))), None);

    let link = CreateLinkRequest {
        group: normal.group,
        master: None,
        prefix: None,
        extension: "txt".parse().expect("extension"),
        source: framed.filename.clone(),
        signature: vec![1; 24],
    };
    let link = client.get(&link).expect("link");
    assert_eq!(on_peer(&link), Some(b"framed".to_vec()));
    client.get(&metadata(&normal, "b\u{2}1")).expect("set metadata");
    client.get(&DeleteRequest { file_id: normal.clone() }).expect("delete");
    assert_eq!((on_peer(&normal), peer.file(&format!("{}-m", name(&normal)))), (None, None));

    let heard = peer.heard();
    assert!(heard.iter().all(|heard| !heard.identified), "synced times stay true");
    assert_eq!(peer.connections(), 1, "one connection serves all");
}

#[tokio::test]
async fn a_link_brings_its_target_along() {
    let (cluster, peer) = beside_a_peer(replicated).await;
    let mut client = cluster.client();
    let file = upload(&mut client, b"target").expect("upload");
    peer.remove(name(&file));
    let link = CreateLinkRequest {
        group: file.group,
        master: None,
        prefix: None,
        extension: "txt".parse().expect("extension"),
        source: file.filename.clone(),
        signature: vec![1; 24],
    };
    let link = client.get(&link).expect("link");
    assert_eq!(peer.file(name(&link)), Some(b"target".to_vec()));
    assert_eq!(peer.file(name(&file)), Some(b"target".to_vec()));
}

#[tokio::test]
async fn an_upload_that_is_kept_once_is_on_a_second_member_with_its_content() {
    let kept_once = |config: &mut StorageConfig| {
        replicated(config);
        let method = SignatureMethod::Md5;
        config.deduplication = Some(Deduplication { method, key_namespace: String::from("FastDFS") });
    };
    let (cluster, peer) = beside_a_peer(kept_once).await;
    let mut client = cluster.client();
    let [one, two] = [0, 1].map(|_| upload(&mut client, b"equal").expect("upload"));
    for file in [&one, &two] {
        assert_eq!(peer.file(name(file)), Some(b"equal".to_vec()));
        assert!(fs::symlink_metadata(cluster.path(name(file))).expect("a name").is_symlink());
    }
    // One delete goes for the link, the last for the content, too.
    client.get(&DeleteRequest { file_id: one }).expect("delete");
    assert_eq!(peer.file(name(&two)), Some(b"equal".to_vec()));
    client.get(&DeleteRequest { file_id: two }).expect("delete");
    let content = peer.heard().into_iter().filter(|heard| heard.name.ends_with("content"));
    let commands: Vec<Command> = content.map(|heard| heard.command).collect();
    assert_eq!(commands, [Command::SYNC_CREATE_FILE, Command::SYNC_DELETE_FILE]);
}

#[tokio::test]
async fn a_change_that_builds_on_what_the_member_lacks_brings_the_whole_file() {
    let (cluster, peer) = beside_a_peer(replicated).await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    let rename = |client: &mut Client| client.get(&RegenerateRequest { filename: appender.filename.clone() });
    peer.remove(name(&appender));
    client.ask(&append(&appender, b"abc"), b"abc").expect("append");
    assert_eq!(peer.file(name(&appender)), Some(b"0123456789abc".to_vec()));
    peer.put(name(&appender), b"01234");
    client.ask(&modify(&appender, 9, b"XY"), b"XY").expect("modify");
    assert_eq!(peer.file(name(&appender)), Some(b"012345678XYbc".to_vec()));
    peer.put(name(&appender), b"0");
    client.get(&TruncateRequest { filename: appender.filename.clone(), size: 2 }).expect("truncate");
    assert_eq!(peer.file(name(&appender)), Some(b"01".to_vec()));
    peer.remove(name(&appender));
    let renamed = rename(&mut client).expect("regenerate");
    assert_eq!(peer.file(name(&renamed)), Some(b"01".to_vec()));
}

#[tokio::test]
async fn changes_of_one_file_arrive_in_their_order() {
    let (cluster, peer) = beside_a_peer(replicated).await;
    let appender = upload_appender(&mut cluster.client(), b"");
    let address = cluster.address;
    let clients: Vec<_> = (0..8_u8)
        .map(|number| {
            let appender = appender.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..10 {
                    let content = [number; 1000];
                    client.ask(&append(&appender, &content), &content).expect("append");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("client");
    }
    let here = fs::read(cluster.path(name(&appender))).expect("file");
    assert_eq!((here.len(), peer.file(name(&appender))), (80_000, Some(here)));
    let appends = peer.heard().into_iter().filter(|heard| heard.command == Command::SYNC_APPEND_FILE);
    let statuses: Vec<_> = appends.map(|heard| heard.status).collect();
    assert_eq!(statuses, [Status::OK; 80], "none came before its time");
}

#[tokio::test]
async fn without_another_member_a_change_falls_back_at_once() {
    let deadline = Duration::from_secs(600);
    let cluster = Cluster::start_with(|config| {
        replicated(config);
        config.write_concern.deadline = deadline;
    })
    .await;
    let before = counter("fdfs_write_concern_fallback_total");
    let begun = Instant::now();
    let file = upload(&mut cluster.client(), b"alone").expect("upload");
    assert!(begun.elapsed() < deadline / 10, "nobody is waited for");
    assert_eq!(fs::read(cluster.path(name(&file))).expect("file"), b"alone");
    assert!(counter("fdfs_write_concern_fallback_total") > before);
}

#[tokio::test]
async fn without_another_member_a_change_is_refused_before_anything_is_stored() {
    let Cluster { tracker, storage, address, disk } = Cluster::start().await;
    let appender = upload_appender(&mut Client::connect(address), b"0123456789");
    storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    let config = support::config(address.ip(), disk.path(), refusing);
    let storage = Storage::bind(config).await.expect("storage");
    let cluster = Cluster { tracker, storage, address, disk };
    let mut client = cluster.client();
    let before = (files(&cluster), cluster.binlog(), counter("fdfs_write_concern_refused_total"));
    assert_eq!(upload(&mut client, b"refused"), Err(Status::EAGAIN));
    assert_eq!(client.ask(&append(&appender, b"abc"), b"abc"), Err(Status::EAGAIN));
    assert_eq!(client.ask(&modify(&appender, 0, b"abc"), b"abc"), Err(Status::EAGAIN));
    let truncate = TruncateRequest { filename: appender.filename.clone(), size: 0 };
    assert_eq!(client.get(&truncate), Err(Status::EAGAIN));
    assert_eq!(client.get(&metadata(&appender, "a\u{2}1")), Err(Status::EAGAIN));
    let rename = RegenerateRequest { filename: appender.filename.clone() };
    assert_eq!(client.get(&rename), Err(Status::EAGAIN));
    assert_eq!(client.get(&DeleteRequest { file_id: appender.clone() }), Err(Status::EAGAIN));
    let download = DownloadRequest { offset: 0, length: 0, file_id: appender.clone() };
    assert_eq!(client.ask(&download, b""), Ok(b"0123456789".to_vec()), "on the same connection");
    assert_eq!((files(&cluster), cluster.binlog()), (before.0, before.1));
    assert!(counter("fdfs_write_concern_refused_total") >= before.2 + 7);
    let local = upload_framed(&mut client, WriteConcern::Local, b"local").expect("asked for less");
    assert_eq!(fs::read(cluster.path(name(&local))).expect("file"), b"local");
    assert_eq!(upload_framed(&mut client, WriteConcern::Replicated, b"no"), Err(Status::EAGAIN));
}

#[tokio::test]
async fn a_silent_member_is_waited_for_and_then_the_change_falls_back() {
    let (cluster, _listener) = beside_a_silent_peer(|config| {
        replicated(config);
        config.write_concern.deadline = DEADLINE;
    })
    .await;
    let mut client = cluster.client();
    let before = counter("fdfs_write_concern_fallback_total");
    let begun = Instant::now();
    let appender = upload_appender(&mut client, b"0123456789");
    assert!(begun.elapsed() >= DEADLINE, "it is waited for");
    client.ask(&append(&appender, b"abc"), b"abc").expect("append");
    client.get(&DeleteRequest { file_id: appender }).expect("delete");
    assert!(counter("fdfs_write_concern_fallback_total") >= before + 3);
    assert!(begun.elapsed() < DEADLINE * 60, "but not for long");
}

#[tokio::test]
async fn an_upload_that_no_member_takes_in_time_leaves_nothing_under_any_name() {
    let (cluster, _listener) = beside_a_silent_peer(refusing).await;
    let mut client = cluster.client();
    assert_eq!(upload(&mut client, &[1; 100_000]), Err(Status::EAGAIN));
    assert_eq!(files(&cluster), Vec::<PathBuf>::new());
    assert_eq!(upload_framed(&mut client, WriteConcern::Replicated, b"framed"), Err(Status::EAGAIN));
    assert_eq!(files(&cluster), Vec::<PathBuf>::new());
    let binlog = cluster.binlog();
    let created = binlog.lines().filter_map(|line| line.split_once(" C ")).map(|(_, name)| name);
    let deleted: Vec<_> = binlog.lines().filter_map(|line| line.split_once(" D ")).collect();
    assert_eq!(created.collect::<Vec<_>>(), deleted.iter().map(|(_, name)| *name).collect::<Vec<_>>());
    assert_eq!(deleted.len(), 2, "peers that got it after all are told");
}

#[tokio::test]
async fn an_upload_that_a_member_refuses_is_taken_back_from_it_too() {
    let (cluster, peer) = beside_a_peer(refusing).await;
    peer.answer(|heard| (heard.command == Command::SYNC_CREATE_FILE).then_some(Status::ENOSPC));
    assert_eq!(upload(&mut cluster.client(), b"refused"), Err(Status::EAGAIN));
    let heard = peer.wait(|heard| heard.iter().any(|one| one.command == Command::SYNC_DELETE_FILE)).await;
    assert!(heard.len() > 2, "it is tried again until the deadline");
    assert_eq!(files(&cluster), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_append_that_no_member_takes_is_taken_back_and_other_changes_stay() {
    let (cluster, peer) = beside_a_peer(refusing).await;
    let mut client = cluster.client();
    let appender = upload_appender(&mut client, b"0123456789");
    peer.answer(|heard| (heard.command != Command::SYNC_CREATE_FILE).then_some(Status::EIO));
    assert_eq!(client.ask(&append(&appender, b"abc"), b"abc"), Err(Status::EAGAIN));
    assert_eq!(fs::read(cluster.path(name(&appender))).expect("file"), b"0123456789");
    assert_eq!(client.ask(&modify(&appender, 0, b"XY"), b"XY"), Err(Status::ETIMEDOUT));
    assert_eq!(fs::read(cluster.path(name(&appender))).expect("file"), b"XY23456789");
    let truncate = TruncateRequest { filename: appender.filename.clone(), size: 4 };
    assert_eq!(client.get(&truncate), Err(Status::ETIMEDOUT));
    assert_eq!(fs::read(cluster.path(name(&appender))).expect("file"), b"XY23");
    peer.answer(|_| Some(Status::EIO));
    assert_eq!(client.get(&metadata(&appender, "a\u{2}1")), Err(Status::ETIMEDOUT));
    let get = GetMetadataRequest { file_id: appender.clone() };
    assert_eq!(client.ask(&get, b""), Ok(b"a\x021".to_vec()));
    assert_eq!(client.get(&DeleteRequest { file_id: appender.clone() }), Err(Status::ETIMEDOUT));
    assert_eq!(files(&cluster), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_request_asks_for_more_or_less_than_the_storage_is_set_to() {
    let (cluster, peer) = beside_a_peer(only_concern).await;
    let mut client = cluster.client();
    let left = upload_framed(&mut client, WriteConcern::Storage, b"as set").expect("upload");
    let local = upload_framed(&mut client, WriteConcern::Local, b"local").expect("upload");
    let replicated = upload_framed(&mut client, WriteConcern::Replicated, b"both").expect("upload");
    assert_eq!(peer.file(name(&replicated)), Some(b"both".to_vec()));
    assert_eq!((peer.file(name(&left)), peer.file(name(&local))), (None, None));
}

#[tokio::test]
async fn a_member_that_was_restarted_is_connected_to_again() {
    let (cluster, peer) = beside_a_peer(replicated).await;
    let mut client = cluster.client();
    upload(&mut client, b"first").expect("upload");
    let peer = peer.restart(async |_| {}).await;
    let before = counter("fdfs_write_concern_fallback_total");
    let second = upload(&mut client, b"second").expect("upload");
    assert_eq!(peer.file(name(&second)), Some(b"second".to_vec()));
    assert_eq!(counter("fdfs_write_concern_fallback_total"), before);
}

/// Short, as every test with it waits for so long.
const DEADLINE: Duration = Duration::from_millis(300);
