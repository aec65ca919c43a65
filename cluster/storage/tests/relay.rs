//! Files that are not here: other members are asked for them.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::Ordering,
    time::Duration,
};

use fdfs_conf::{HttpConf, ServiceAddress, StorageConfig};
use fdfs_proto::{
    Command, Status,
    ours::{Capabilities, Hello, HelloRequest},
    storage::{DownloadRequest, FileInfoRequest, GetMetadataRequest},
    sync::SyncDeleteRequest,
};
use fdfs_storage::Storage;
use fdfs_types::{FileId, RemoteFilename, StorageStatus, Timestamp};
use support::{
    Client,
    group::{Group, TIME, file_name},
    unused_ip,
};

/// A storage beside so many members of ours, which it knows.
async fn beside(count: usize) -> (Group, Storage) {
    let mut group = Group::of(count);
    for member in &group.members {
        member.is_ours.store(true, Ordering::Relaxed);
    }
    let storage = group.start_with(1, |config| {
        config.http_listen = Some(ServiceAddress {
            address: config.listeners[0].addresses.first().copied(),
            port: 0,
            is_explicit: true,
        });
    });
    let storage = storage.await;
    until_known(&mut group).await;
    (group, storage)
}

/// The second beat is sent when the answer to the first was read.
async fn until_known(group: &mut Group) {
    group.next(Command::BEAT).await;
    group.next(Command::BEAT).await;
    group.next(Command::BEAT).await;
}

fn client(storage: &Storage) -> Client {
    Client::connect(storage.addresses()[0])
}

fn id(filename: &RemoteFilename) -> FileId {
    FileId { group: "group1".parse().expect("group"), filename: filename.clone() }
}

fn whole(filename: &RemoteFilename) -> DownloadRequest {
    DownloadRequest { offset: 0, length: 0, file_id: id(filename) }
}

fn info(filename: &RemoteFilename) -> FileInfoRequest {
    FileInfoRequest { file_id: id(filename), skip_crc32: true, is_silent: false }
}

fn asked(group: &Group) -> Vec<usize> {
    group.members.iter().map(|member| member.asked.load(Ordering::Relaxed)).collect()
}

/// Status and body of an answer to a GET.
fn get(address: SocketAddr, name: &RemoteFilename) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    write!(stream, "GET /group1/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head.split(' ').nth(1).expect("status").parse().expect("number"), answer[end + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_not_come_yet_is_fetched_from_its_source() {
    let (group, storage) = beside(2).await;
    let content = vec![7; 3_000_000];
    let source = &group.members[1];
    let name = source.has(&content);
    source.files.lock().insert(format!("{name}-m"), b"a\x02b".to_vec());
    let mut client = client(&storage);
    for _ in 0..2 {
        assert!(client.ask(&whole(&name), b"").expect("content") == content);
        assert_eq!(client.get(&info(&name)).expect("info").size, 3_000_000);
        let metadata = client.ask(&GetMetadataRequest { file_id: id(&name) }, b"");
        assert_eq!(metadata.expect("metadata"), b"a\x02b");
    }
    assert_eq!(asked(&group), [0, 2]);
    let (status, body) = get(storage.http_address().expect("http"), &name);
    assert!((status, body.len()) == (200, content.len()) && body == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_source_everybody_else_is_asked() {
    let (mut group, storage) = beside(2).await;
    let gone = unused_ip();
    group.tracker.others.lock().push((gone, StorageStatus::Offline));
    until_known(&mut group).await;
    let name = file_name(gone, b"content");
    group.members[1].tells(&name, b"content");
    let mut client = client(&storage);
    assert_eq!(client.ask(&whole(&name), b"").expect("content"), b"content");
    // Nobody has this one, but the source may: that is no "no such file".
    let other = file_name(gone, b"other");
    assert_eq!(client.ask(&whole(&other), b""), Err(Status::EAGAIN));
    assert_eq!(client.get(&info(&other)).map(drop), Err(Status::EAGAIN));
    assert_eq!(get(storage.http_address().expect("http"), &other).0, 503);
    // A source that has left cannot come back with it.
    group.tracker.others.lock()[2].1 = StorageStatus::Deleted;
    until_known(&mut group).await;
    assert_eq!(client.ask(&whole(&other), b""), Err(Status::ENOENT));
    assert_eq!(get(storage.http_address().expect("http"), &other).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_does_not_have_is_gone_and_nobody_else_is_asked() {
    let (group, storage) = beside(3).await;
    let name = file_name(group.members[1].ip, b"content");
    let mut client = client(&storage);
    assert_eq!(client.ask(&whole(&name), b""), Err(Status::ENOENT));
    assert_eq!(asked(&group), [0, 1, 0]);
    // Of a file that was accepted here this storage knows itself that it is gone.
    assert_eq!(client.ask(&whole(&file_name(group.me, b"mine")), b""), Err(Status::ENOENT));
    assert_eq!(asked(&group), [0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_not_sought() {
    let (group, storage) = beside(1).await;
    let name = group.members[0].has(b"content");
    let mut client = client(&storage);
    let delete = SyncDeleteRequest { file_id: id(&name), time: Timestamp(*TIME) };
    assert_eq!(client.ask(&delete, b""), Err(Status::ENOENT));
    assert_eq!(client.ask(&whole(&name), b""), Err(Status::ENOENT));
    assert_eq!(get(storage.http_address().expect("http"), &name).0, 404);
    assert_eq!(asked(&group), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_member_does_not_go_round() {
    let (group, storage) = beside(1).await;
    let name = group.members[0].has(b"content");
    let mut client = client(&storage);
    let hello = Hello { version: 1, capabilities: Capabilities::FOR_ANOTHER, software: String::from("test") };
    let answer = client.get(&HelloRequest(hello)).expect("hello");
    assert!(answer.capabilities.contains(Capabilities::FOR_ANOTHER));
    assert_eq!(client.ask(&whole(&name), b""), Err(Status::ENOENT));
    assert_eq!(client.get(&info(&name)).map(drop), Err(Status::ENOENT));
    assert_eq!(asked(&group), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_not_ours_are_not_asked() {
    let (group, storage) = beside(1).await;
    group.members[0].is_ours.store(false, Ordering::Relaxed);
    let name = group.members[0].has(b"content");
    let mut client = client(&storage);
    assert_eq!(client.ask(&whole(&name), b""), Err(Status::ENOENT));
    assert_eq!(client.ask(&whole(&name), b""), Err(Status::ENOENT));
    assert_eq!(asked(&group), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_silent_is_given_up_and_the_next_is_asked() {
    let (group, storage) = beside(2).await;
    let name = group.members[0].has(b"content");
    group.members[0].open.send_replace(0);
    let begun = std::time::Instant::now();
    assert_eq!(client(&storage).ask(&whole(&name), b""), Err(Status::EAGAIN));
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert!(asked(&group)[1] > 0, "the next is asked");
    group.members[1].tells(&name, b"content");
    assert_eq!(client(&storage).ask(&whole(&name), b"").expect("content"), b"content");
}

/// Answers one HTTP request, and says what it was.
fn http_server(ip: std::net::IpAddr, port: u16) -> std::thread::JoinHandle<String> {
    let listener = std::net::TcpListener::bind((ip, port)).expect("the port is free on this address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
            request.push(byte[0]);
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"e\"\r\n\r\nfrom nginx";
        stream.write_all(answer.as_bytes()).expect("answer");
        String::from_utf8_lossy(&request).into_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_the_last_member_that_has_a_file_serves_it() {
    let (group, storage) = beside(3).await;
    let http = storage.http_address().expect("http");
    // The source has lost it, and so has this storage: the original says that it is gone.
    let name = file_name(group.members[1].ip, b"content");
    group.members[2].tells(&name, b"content");
    assert_eq!(get(http, &name), (200, b"content".to_vec()));
    let mine = file_name(group.me, b"mine too");
    group.members[2].tells(&mine, b"mine too");
    assert_eq!(get(http, &mine), (200, b"mine too".to_vec()));
    assert_eq!(get(http, &file_name(group.members[1].ip, b"nobody's")).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_a_member_whose_state_is_not_news_yet_is_asked_all_the_same() {
    let (mut group, storage) = beside(2).await;
    let http = storage.http_address().expect("http");
    // All but the last have lost it, and how that is listed is behind.
    let name = file_name(group.members[0].ip, b"content");
    group.members[1].tells(&name, b"content");
    let lost = file_name(group.members[0].ip, b"nobody's");
    for status in [
        StorageStatus::Offline,
        StorageStatus::Online,
        StorageStatus::Init,
        StorageStatus::WaitSync,
        StorageStatus::Syncing,
        StorageStatus::Recovery,
    ] {
        // As one that was away and comes anew: otherwise no state goes back.
        group.tracker.others.lock()[1].1 = StorageStatus::Offline;
        until_known(&mut group).await;
        group.tracker.others.lock()[1].1 = status;
        until_known(&mut group).await;
        assert_eq!(get(http, &name), (200, b"content".to_vec()), "{status}");
        assert_eq!(get(http, &lost).0, 404, "{status}");
    }
    // Nobody listens there: it does not serve. One that is there and says nothing may.
    let silent = unused_ip();
    group.tracker.others.lock().push((silent, StorageStatus::WaitSync));
    until_known(&mut group).await;
    assert_eq!(get(http, &lost).0, 404);
    let _listener = std::net::TcpListener::bind((silent, StorageConfig::DEFAULT_PORT)).expect("listen");
    assert_eq!(get(http, &lost).0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_nothing_is_gone_before_the_members_are_known() {
    let mut group = Group::of(1);
    group.tracker.keeps_list.store(true, Ordering::Relaxed);
    let storage = group.start_with(1, |config| {
        let address = config.listeners[0].addresses.first().copied();
        config.http_listen = Some(ServiceAddress { address, port: 0, is_explicit: true });
    });
    let storage = storage.await;
    let http = storage.http_address().expect("http");
    let name = file_name(group.me, b"content");
    group.members[0].tells(&name, b"content");
    until_known(&mut group).await;
    assert_eq!(get(http, &name).0, 503);
    group.tracker.keeps_list.store(false, Ordering::Relaxed);
    until_known(&mut group).await;
    assert_eq!(get(http, &name), (200, b"content".to_vec()));
    assert_eq!(get(http, &file_name(group.me, b"nobody's")).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_a_file_goes_on_from_another_member() {
    let (group, storage) = beside(2).await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at * 31 + at / 256) as u8).collect();
    let name = group.members[0].has(&content);
    group.members[1].tells(&name, &content);
    for cut in [0, 1, 1_000_000] {
        group.members[0].cut_at.store(cut, Ordering::Relaxed);
        let (status, body) = get(storage.http_address().expect("http"), &name);
        assert!(status == 200 && body == content, "cut at {cut}: {} bytes", body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_files_of_original_members_are_served() {
    let (group, storage) = beside(1).await;
    group.members[0].is_ours.store(false, Ordering::Relaxed);
    let name = group.members[0].has(b"content");
    assert_eq!(get(storage.http_address().expect("http"), &name), (200, b"content".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_storage_is_down_is_asked_over_http() {
    let (mut group, storage) = beside(1).await;
    let gone = unused_ip();
    group.tracker.others.lock().push((gone, StorageStatus::Offline));
    until_known(&mut group).await;
    let http = storage.http_address().expect("http");
    let name = file_name(gone, b"content");
    assert_eq!(get(http, &name).0, 503, "nobody can tell");
    let nginx = http_server(gone, http.port());
    assert_eq!(get(http, &name), (200, b"from nginx".to_vec()));
    let asked = nginx.join().expect("it was asked");
    assert!(asked.starts_with(&format!("GET /group1/{name}?redirect=1 HTTP/1.")), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_name_steers_nobody_outside_the_group() {
    let (_group, storage) = beside(1).await;
    let http = storage.http_address().expect("http");
    let stranger = unused_ip();
    let listener = std::net::TcpListener::bind((stranger, http.port())).expect("the port is free there");
    listener.set_nonblocking(true).expect("non-blocking");
    assert_eq!(get(http, &file_name(stranger, b"bait")).0, 404);
    let untouched = listener.accept().expect_err("nobody comes");
    assert_eq!(untouched.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn mod_fastdfs_conf_says_how_files_are_served() {
    let directory = tempfile::tempdir().expect("directory");
    let (module, http) = (directory.path().join("mod_fastdfs.conf"), directory.path().join("http.conf"));
    let token = "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = secret\n";
    std::fs::write(&http, token).expect("write");
    std::fs::write(&module, "url_have_group_name = true\n#include http.conf\n").expect("write");
    let group = Group::of(0);
    // Nobody has told who else may have a file.
    group.tracker.keeps_list.store(true, Ordering::Relaxed);
    let start = |conf: HttpConf| {
        group.start_with(1, |config| {
            let address = config.listeners[0].addresses.first().copied();
            config.http_listen = Some(ServiceAddress { address, port: 0, is_explicit: true });
            config.http_conf = conf;
        })
    };
    let name = file_name(group.me, b"content");
    for (conf, status) in [
        (HttpConf::None, 503),
        (HttpConf::Beside(module.clone()), 400),
        (HttpConf::Named(module.clone()), 400),
    ] {
        let storage = start(conf).await;
        assert_eq!(get(storage.http_address().expect("http"), &name).0, status);
        storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
    }
    // Files that need a token are not served without because a line is wrong.
    std::fs::write(&http, "http.anti_steal.check_token = true\n").expect("write");
    let storage = start(HttpConf::Beside(module)).await;
    assert_eq!(storage.http_address(), None);
}
