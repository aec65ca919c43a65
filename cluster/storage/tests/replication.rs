//! What peers send, over real sockets and a real disk.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    collections::BTreeMap,
    io::Read,
    net::{IpAddr, Ipv4Addr, TcpStream},
    path::Path,
    time::Duration,
};

use fdfs_conf::{ReplicationFrom, StorageConfig};
use fdfs_proto::{
    Command, Decode, Header, Request, Status, StorageStat,
    cluster::{BeatRequest, SyncReportRequest},
    storage::{
        CreateLinkRequest, DownloadRequest, GetMetadataRequest, MetadataMode, SetMetadataRequest,
        UploadRequest,
    },
    sync::{
        PathBinlogRequest, ReportServerIdRequest, SyncAppendRequest, SyncCreateRequest, SyncDeleteRequest,
        SyncRenameRequest, SyncedFile, SyncedRange,
    },
};
use fdfs_types::{FileId, Metadata, StorageId, Timestamp};
use support::{Client, Cluster};

/// The address from which tests connect.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TIME: Timestamp = Timestamp(1_795_324_899);
const NAME: &str = "M00/00/00/fwAAAmsCdmmATyVtAAAABREiM0Q999.txt";
const APPENDER: &str = "M00/00/00/fwAAAmsCdmmETmF7AAAAABEiM0Q999.log";

fn file_id(name: &str) -> FileId {
    FileId { group: "group1".parse().expect("group"), filename: name.parse().expect("name") }
}

fn create(name: &str, size: u64) -> SyncCreateRequest {
    SyncCreateRequest { file: SyncedFile { file_id: file_id(name), size, time: TIME }, is_known: false }
}

fn download(client: &mut Client, name: &str) -> Result<Vec<u8>, Status> {
    client.ask(&DownloadRequest { offset: 0, length: 0, file_id: file_id(name) }, b"")
}

/// Where the recorded answer is not ours, ours and why.
fn differences() -> BTreeMap<&'static str, u8> {
    BTreeMap::from([
        // A directory that is missing is made.
        ("sync_create_missing_subdir", 0),
        // What the recording had before is not here.
        ("storage_sync_create_exists", 0),
        // The recorded file has not the CRC32 of its new name: the whole is asked for. Those of clients, below, are renamed.
        ("sync_rename_ok", 2),
        ("sync_rename_exists", 2),
        // There is one store path.
        ("storage_sync_create_trunk_path1", 22),
        ("storage_sync_create_no_content_2", 22),
        ("storage_query_file_info_before_create_2", 22),
        ("storage_sync_delete_trunk", 2),
    ])
}

/// The status that is answered instead of a recorded one: here trackers do not want trunk files.
fn status_instead(name: &str) -> Option<u8> {
    let is_about_trunk_files =
        name.contains("trunk_") && !name.contains("sync_create") && !name.contains("sync_delete");
    is_about_trunk_files.then_some(22).or_else(|| differences().get(name).copied())
}

/// The body of a recorded answer, as it has to be here.
fn expected_body(name: &str, recorded: &[u8]) -> Vec<u8> {
    let body = recorded[Header::LEN..].to_vec();
    match name {
        // The original sends stale bytes behind its answer to a rename.
        _ if name.contains("sync_rename") => Vec::new(),
        _ => body,
    }
}

/// Plays the recorded requests whose names begin with one of `prefixes`; the number of those that were played.
fn play(cluster: &Cluster, prefixes: &[&str]) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/wire-storage-sync.json");
    let text = std::fs::read(path).expect("vectors");
    let recorded: Vec<BTreeMap<String, String>> = serde_json::from_slice(&text).expect("JSON");
    let mut played = 0;
    for exchange in &recorded {
        let name = exchange["name"].as_str();
        if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let recorded = hex::decode(&exchange["response_hex"]).expect("hex");
        let expected = status_instead(name).unwrap_or(recorded[9]);
        let mut client = cluster.client();
        client.send(&hex::decode(&exchange["request_hex"]).expect("hex"));
        match client.answer() {
            Ok(body) => assert_eq!((0, body), (expected, expected_body(name, &recorded)), "{name}"),
            Err(status) => assert_eq!(status.0, expected, "{name}"),
        }
        let closes = if expected == 22 { client.is_closed() } else { client.peek_closed() };
        assert_eq!(closes, expected == 22, "{name}");
        played += 1;
    }
    played
}

#[tokio::test]
async fn every_row_is_answered_as_the_original_did() {
    let cluster = Cluster::start().await;
    assert_eq!(play(&cluster, &["sync_", "report_server_id", "active_test", "unknown_cmd"]), 39);
    let read = |name: &str| std::fs::read(cluster.path(name)).expect("file");
    assert_eq!(read(NAME), b"upd");
    assert!(!cluster.path(APPENDER).exists(), "it has been renamed");
    let lines = cluster.binlog();
    assert!(lines.lines().all(|line| line.split(' ').nth(1).is_some_and(|letter| letter >= "a")), "{lines}");
}

#[tokio::test]
async fn what_the_originals_sent_each_other_is_taken() {
    let cluster = Cluster::start().await;
    assert_eq!(play(&cluster, &["storage_sync_", "storage_report", "storage_active_test"]), 25);
}

#[tokio::test]
async fn what_the_originals_asked_each_other_is_answered() {
    let cluster = Cluster::start().await;
    // Links, lists of records and downloads have tests of their own. What is asked about has come before.
    let name = "M00/00/01/fwAAAmsCejaAcnwbAAAABSeg2Ck875.txt";
    let mut file = create(name, 5);
    file.file.time = Timestamp(0x6B02_7A36);
    cluster.client().ask(&file, b"data4").expect("create");
    assert_eq!(play(&cluster, &["sync_create_new", "sync_update_existing", "query_file_info_silence"]), 3);
    assert_eq!(play(&cluster, &["storage_query_file_info_before_create"]), 2);
    assert_eq!(play(&cluster, &["trunk_", "storage_trunk_", "tracker_to_storage_trunk_"]), 33);
}

#[tokio::test]
async fn a_change_that_is_broken_off_or_lies_leaves_nothing() {
    let cluster = Cluster::start().await;
    let frame = create(NAME, 1_000_000).frame();
    let mut client = cluster.client();
    client.send(&[&frame[..], &[1; 400_000]].concat());
    drop(client);
    let append = SyncAppendRequest {
        range: SyncedRange { file_id: file_id(APPENDER), offset: 10, length: 500_000, time: TIME },
    };
    cluster.client().ask(&create(APPENDER, 10), b"0123456789").expect("create");
    let mut client = cluster.client();
    client.send(&[&append.frame()[..], &[1; 400_000]].concat());
    drop(client);

    // Lengths that lie, names that lead elsewhere.
    let body = &create(NAME, 5).frame()[Header::LEN..];
    let renamed = |name: &[u8]| {
        let mut body = body[..36].to_vec();
        body[..8].copy_from_slice(&(name.len() as u64).to_be_bytes());
        [&body, name, b"12345"].concat()
    };
    let with = |at: usize, bytes: [u8; 8]| {
        let mut body = [body, b"12345"].concat();
        body[at..at + 8].copy_from_slice(&bytes);
        body
    };
    let malformed: Vec<Vec<u8>> = vec![
        Vec::new(),
        body[..36].to_vec(),
        with(0, [0xFF; 8]),
        with(0, 128_u64.to_be_bytes()),
        with(0, 5_u64.to_be_bytes()),
        with(8, [0xFF; 8]),
        with(8, 6_u64.to_be_bytes()),
        with(8, i64::MAX.to_be_bytes()),
        renamed(b"M00/00/00/.."),
        renamed(b"M00/00/00/../x"),
        renamed(b"M00/../../../../x.txt"),
        renamed(b"M00/00/00/with\0nul.txt"),
        renamed(b"M00/00/00/000001"),
        renamed(&[&b"M00/00/00/"[..], &[b'x'; 118]].concat()),
    ];
    for (number, body) in malformed.iter().enumerate() {
        for command in [Command::SYNC_CREATE_FILE, Command::SYNC_UPDATE_FILE] {
            let mut client = cluster.client();
            assert_eq!(client.raw(command, body), Err(Status::EINVAL), "{number}");
            assert!(client.is_closed());
        }
    }
    // The second name, which the original does not measure.
    let rename = SyncRenameRequest {
        group: "group1".parse().expect("group"),
        new_name: NAME.parse().expect("name"),
        old_name: APPENDER.parse().expect("name"),
        time: TIME,
    };
    let mut body = rename.frame()[Header::LEN..].to_vec();
    body.extend_from_slice(&[b'x'; 300]);
    body[8..16].copy_from_slice(&344_u64.to_be_bytes());
    assert_eq!(cluster.client().raw(Command::SYNC_RENAME_FILE, &body), Err(Status::EINVAL));
    let mut client = cluster.client();
    client.send(&Header::request(Command::SYNC_CREATE_FILE, 1 << 63).encode());
    assert!(client.is_closed());

    assert_eq!(std::fs::read(cluster.path(APPENDER)).expect("file"), b"0123456789");
    assert_eq!(cluster.binlog().lines().count(), 1);
    cluster.until_no_temporary_files();
    assert!(!cluster.path(NAME).exists());
}

#[tokio::test]
async fn how_far_a_peer_is_counts_where_it_said_who_it_is() {
    let mut cluster = Cluster::start_beside(Some((HERE, fdfs_types::StorageStatus::WaitSync)), |_| {}).await;
    let until = async |cluster: &mut Cluster| {
        let report = SyncReportRequest::decode(&cluster.tracker.next(Command::SYNC_REPORT).await);
        let peer = HERE.to_string();
        report.expect("report").rows.into_iter().find(|row| row.source.as_str() == peer).expect("row").until
    };
    // The list of members has come.
    cluster.tracker.next(Command::SYNC_SRC_REQ).await;
    cluster.client().ask(&create(APPENDER, 3), b"abc").expect("create");
    let mut client = cluster.client();
    let storage_id: StorageId = HERE.to_string().parse().expect("id");
    client.get(&ReportServerIdRequest { storage_id }).expect("report");
    let mut request = create(NAME, 3);
    request.file.time = Timestamp(1000);
    client.ask(&request, b"abc").expect("create");
    assert_eq!(until(&mut cluster).await, Timestamp(1000));
    request.file.time = Timestamp(2000);
    assert_eq!(client.ask(&request, b"abc"), Err(Status::EEXIST));
    assert_eq!(until(&mut cluster).await, Timestamp(2000));
    // Neither an earlier change nor one that is not made counts.
    let missing =
        SyncDeleteRequest { file_id: file_id(&NAME.replace("/00/00/", "/00/01/")), time: Timestamp(9000) };
    assert_eq!(client.ask(&missing, b""), Err(Status::ENOENT));
    request.file.time = Timestamp(1500);
    assert_eq!(client.ask(&request, b"abc"), Err(Status::EEXIST));
    request.file.time = Timestamp(3000);
    assert_eq!(client.ask(&request, b"abc"), Err(Status::EEXIST));
    assert_eq!(until(&mut cluster).await, Timestamp(3000));
}

#[tokio::test]
async fn a_create_does_not_take_back_what_an_appender_file_got_since() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let mut request = create(APPENDER, 10);
    client.ask(&request, b"0123456789").expect("create");
    let append = SyncAppendRequest {
        range: SyncedRange { file_id: file_id(APPENDER), offset: 10, length: 3, time: Timestamp(TIME.0 + 5) },
    };
    client.ask(&append, b"abc").expect("append");
    for (later, expected) in [(0, Err(Status::EEXIST)), (5, Err(Status::EEXIST)), (6, Ok(Vec::new()))] {
        request.file.time = Timestamp(TIME.0 + later);
        assert_eq!(client.ask(&request, b"9876543210"), expected, "{later}");
        let content: &[u8] = if expected.is_ok() { b"9876543210" } else { b"0123456789abc" };
        assert_eq!(std::fs::read(cluster.path(APPENDER)).expect("file"), content);
    }
}

#[tokio::test]
async fn a_rename_takes_metadata_that_were_set_here_along_and_tells_them() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    client.ask(&create(APPENDER, 10), b"0123456789").expect("create");
    let metadata = Metadata::decode(b"width\x021").expect("metadata");
    let mode = MetadataMode::Overwrite;
    client.get(&SetMetadataRequest { file_id: file_id(APPENDER), mode, metadata }).expect("metadata");
    let name = renamed(b"0123456789");
    client.ask(&rename_to(&name), b"").expect("rename");
    let read = |name: &str| std::fs::read(cluster.path(name));
    assert_eq!(read(&format!("{name}-m")).expect("metadata"), b"width\x021");
    assert!(read(&format!("{APPENDER}-m")).is_err());
    assert_eq!(client.ask(&GetMetadataRequest { file_id: file_id(&name) }, b""), Ok(b"width\x021".to_vec()));
    let lines = cluster.binlog();
    let lines: Vec<_> = lines.lines().filter_map(|line| line.split_once(' ')).map(|(_, line)| line).collect();
    let expected = [format!("r {name} {APPENDER}"), format!("C {name}-m"), format!("D {APPENDER}-m")];
    assert_eq!(lines[2..], expected);
}

/// The original sends no more of what was changed under a name that has gone, and the whole file where it is answered 2.
#[tokio::test]
async fn a_rename_of_what_missed_changes_is_answered_so_that_the_whole_file_comes() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let identity = ReportServerIdRequest { storage_id: HERE.to_string().parse::<StorageId>().expect("ID") };
    client.ask(&identity, b"").expect("identity");
    client.ask(&create(APPENDER, 10), b"0123456789").expect("create");
    let content = b"012abc";
    let name = renamed(content);
    assert_eq!(client.ask(&rename_to(&name), b""), Err(Status::ENOENT));
    assert!(!cluster.path(APPENDER).exists());
    client.ask(&create(&name, 6), content).expect("the whole file");
    assert_eq!(client.ask(&rename_to(&name), b""), Err(Status::EEXIST));
    assert_eq!(std::fs::read(cluster.path(&name)).expect("file"), content);
}

/// The name of a normal file of this content.
fn renamed(content: &[u8]) -> String {
    support::group::file_name(HERE, content).as_str().to_owned()
}

fn rename_to(name: &str) -> SyncRenameRequest {
    SyncRenameRequest {
        group: "group1".parse().expect("group"),
        new_name: name.parse().expect("name"),
        old_name: APPENDER.parse().expect("name"),
        time: Timestamp(TIME.0 + 5),
    }
}

#[tokio::test]
async fn a_delete_takes_metadata_that_came_before_their_file() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let sidecar = format!("{NAME}-m");
    client.ask(&create(&sidecar, 3), b"a\x021").expect("create");
    let delete = SyncDeleteRequest { file_id: file_id(NAME), time: TIME };
    assert_eq!(client.ask(&delete, b""), Err(Status::ENOENT));
    assert!(!cluster.path(&sidecar).exists());
    assert_eq!(client.ask(&create(&sidecar, 3), b"a\x021"), Err(Status::EEXIST));
    assert!(!cluster.path(&sidecar).exists());
}

#[tokio::test]
async fn bytes_of_peers_are_counted_apart() {
    let mut cluster = Cluster::start().await;
    cluster.client().ask(&create(NAME, 5), b"12345").expect("create");
    let stat: StorageStat = loop {
        let beat = BeatRequest::decode(&cluster.tracker.next(Command::BEAT).await).expect("beat");
        if let Some(stat) = beat.stat.filter(|stat| stat.sync_in_bytes.total > 0) {
            break *stat;
        }
    };
    assert_eq!((stat.sync_in_bytes.success, stat.upload.total, stat.upload_bytes.total), (5, 0, 0));
    assert!(stat.last_sync_update > Timestamp::ZERO && stat.last_source_update == Timestamp::ZERO);
}

#[tokio::test]
async fn members_alone_are_heard_where_that_is_wanted() {
    let members_only = |config: &mut StorageConfig| config.replication_from = ReplicationFrom::Members;
    let mut cluster = Cluster::start_with(members_only).await;
    cluster.tracker.next(Command::BEAT).await;
    let mut client = cluster.client();
    assert_eq!(client.ask(&create(NAME, 5), b"12345"), Err(Status::EPERM));
    let storage_id: StorageId = HERE.to_string().parse().expect("id");
    assert_eq!(client.get(&ReportServerIdRequest { storage_id }), Err(Status::EPERM));
    let delete = SyncDeleteRequest { file_id: file_id(NAME), time: TIME };
    assert_eq!(client.get(&delete), Err(Status::EPERM));
    let fetch = PathBinlogRequest { group: "group1".parse().expect("group"), store_path: 0 };
    assert_eq!(client.ask(&fetch, b""), Err(Status::EPERM));
    assert_eq!(client.get(&link_to(NAME)), Err(Status::EPERM));
    let upload = UploadRequest { store_path: None, size: 2, extension: "txt".parse().expect("ext") };
    client.ask(&upload, b"ab").expect("clients are served");

    let mut cluster =
        Cluster::start_beside(Some((HERE, fdfs_types::StorageStatus::WaitSync)), members_only).await;
    cluster.tracker.next(Command::SYNC_SRC_REQ).await;
    cluster.client().ask(&create(NAME, 5), b"12345").expect("a member");
}

fn link_to(name: &str) -> CreateLinkRequest {
    CreateLinkRequest {
        group: "group1".parse().expect("group"),
        master: None,
        prefix: None,
        extension: "lnk".parse().expect("ext"),
        source: name.parse().expect("name"),
        signature: vec![1; 24],
    }
}

#[tokio::test]
async fn a_link_is_made_read_and_recorded() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    client.ask(&create(NAME, 5), b"12345").expect("create");
    let link = client.get(&link_to(NAME)).expect("link").filename;
    assert_eq!(download(&mut client, link.as_str()), Ok(b"12345".to_vec()));
    assert!(cluster.binlog().ends_with(&format!(" L {link} {NAME}\n")));
    assert_eq!(client.get(&link_to(APPENDER)), Err(Status::ENOENT));
    assert_eq!(client.get(&link_to(link.as_str())), Err(Status::EINVAL));
}

#[tokio::test]
async fn metadata_files_are_read_by_members_and_who_rebuilds_a_store_path() {
    let mut cluster = Cluster::start_beside(Some((HERE, fdfs_types::StorageStatus::WaitSync)), |_| {}).await;
    cluster.tracker.next(Command::SYNC_SRC_REQ).await;
    let sidecar = format!("{NAME}-m");
    let mut client = cluster.client();
    client.ask(&create(NAME, 5), b"12345").expect("create");
    client.ask(&create(&sidecar, 3), b"a\x021").expect("create");
    assert_eq!(download(&mut client, &sidecar), Ok(b"a\x021".to_vec()));
    assert_eq!(download(&mut client, &format!("{APPENDER}-m")), Err(Status::ENOENT));

    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    client.ask(&create(NAME, 5), b"12345").expect("create");
    client.ask(&create(&sidecar, 3), b"a\x021").expect("create");
    assert_eq!(download(&mut client, &sidecar), Err(Status::ENOENT));
    let fetch = PathBinlogRequest { group: "group1".parse().expect("group"), store_path: 0 };
    let mut stream = TcpStream::connect(cluster.address).expect("connect");
    std::io::Write::write_all(&mut stream, &fetch.frame()).expect("send");
    stream.read_to_end(&mut Vec::new()).expect("records");
    assert_eq!(download(&mut client, &sidecar), Ok(b"a\x021".to_vec()));
}

#[tokio::test]
async fn the_records_of_a_store_path_come_with_their_length() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let names: Vec<String> = (0..2000).map(|n| NAME.replace("999.txt", &format!("{n:04}.t"))).collect();
    for name in &names {
        client.ask(&create(name, 1), b"x").expect("create");
    }
    client.ask(&SyncDeleteRequest { file_id: file_id(&names[7]), time: TIME }, b"").expect("delete");
    let group = "group1".parse().expect("group");
    let mut stream = TcpStream::connect(cluster.address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    std::io::Write::write_all(&mut stream, &PathBinlogRequest { group, store_path: 0 }.frame())
        .expect("send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the storage closes at the end");
    assert_eq!(answer[..Header::LEN], [4, 0, 0, 0, 0, 0, 0, 0, 100, 0]);
    let (text, trailer) = answer[Header::LEN..].split_at(answer.len() - Header::LEN - 8);
    assert_eq!(trailer, (text.len() as u64).to_be_bytes());
    let text = std::str::from_utf8(text).expect("text");
    assert_eq!(text.lines().count(), names.len() - 1);
    assert_eq!(text.lines().next(), Some(&*format!("{} c {}", TIME.0, names[0])));
    assert!(!text.contains(&names[7]));

    assert_eq!(client.ask(&PathBinlogRequest { group, store_path: 1 }, b""), Err(Status::EINVAL));
    let group = "group2".parse().expect("group");
    assert_eq!(cluster.client().ask(&PathBinlogRequest { group, store_path: 0 }, b""), Err(Status::EINVAL));
}
