//! Commands of ours, over real sockets and a real disk.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::num::NonZeroU64;

use fdfs_proto::{
    Command, Decode, Encode, Request, Status,
    ours::{
        Capabilities, ForgetOwnedRequest, Frame, Hello, HelloRequest, JoinFilesRequest, ListOwnedRequest,
        ListRawRequest, OwnerToken, Trailer, UploadFramedRequest, WriteConcern,
    },
    storage::{DeleteRequest, DownloadRequest, UploadRequest},
};
use fdfs_types::{FileId, FileKind};
use support::{Client, Cluster};

fn framed(owner: Option<OwnerToken>) -> UploadFramedRequest {
    UploadFramedRequest {
        store_path: None,
        expected_size: None,
        extension: "bin".parse().expect("extension"),
        owner,
        write_concern: WriteConcern::Storage,
        private: false,
    }
}

fn frames(pieces: &[&[u8]], trailer: Trailer) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend(Frame::Data(piece.len() as u32).encode());
        bytes.extend_from_slice(piece);
    }
    bytes.extend(Frame::End.encode());
    bytes.extend(trailer.encode());
    bytes
}

fn trailer(content: &[u8]) -> Trailer {
    Trailer { length: content.len() as u64, crc32: crc32fast::hash(content) }
}

fn token(session: u64, sequence: u64) -> OwnerToken {
    OwnerToken { session: NonZeroU64::new(session).expect("session"), sequence }
}

fn upload(client: &mut Client, owner: Option<OwnerToken>, content: &[u8]) -> FileId {
    let answer = client.ask(&framed(owner), &frames(&[content], trailer(content))).expect("upload");
    FileId::decode(&answer).expect("file id")
}

fn download(client: &mut Client, file_id: &FileId) -> Result<Vec<u8>, Status> {
    client.ask(&DownloadRequest { offset: 0, length: 0, file_id: file_id.clone() }, b"")
}

fn owned(client: &mut Client, session: u64) -> Vec<(u64, String)> {
    let session = NonZeroU64::new(session).expect("session");
    let list = ListOwnedRequest { group: "group1".parse().expect("group"), session, after: 0, limit: 100 };
    let answer = client.get(&list).expect("list");
    answer.files.into_iter().map(|file| (file.sequence, file.filename.to_string())).collect()
}

#[tokio::test]
async fn a_storage_says_what_it_can_do_to_who_asks_in_the_right_way() {
    let cluster = Cluster::start().await;
    let ask = Hello { version: 1, capabilities: Capabilities::default(), software: String::from("test") };
    let hello = cluster.client().get(&HelloRequest(ask)).expect("hello");
    assert_eq!(hello.version, 1);
    assert!(hello.capabilities.contains(
        Capabilities::UPLOAD_FRAMED
            | Capabilities::LIST_RAW_FILES
            | Capabilities::JOIN_FILES
            | Capabilities::OWNERS
    ));
    assert!(hello.capabilities.contains(Capabilities::WRITE_CONCERN));
    assert_eq!(cluster.client().raw(Command::HELLO, b"something else"), Err(Status::EINVAL));
}

#[tokio::test]
async fn a_framed_upload_is_an_ordinary_file() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let big: Vec<u8> = (0..2_000_000_u32).map(|number| number as u8).collect();
    let content = [b"hello ", &big[..], b"!"].concat();
    let bytes = frames(&[b"hello ", &big, b"!"], trailer(&content));
    let file_id = FileId::decode(&client.ask(&framed(None), &bytes).expect("upload")).expect("file id");
    assert_eq!(file_id.filename.kind(), Ok(FileKind::Normal));
    let fields = file_id.filename.fields().expect("fields");
    assert_eq!((fields.size.size(), fields.crc32), (Some(content.len() as u64), crc32fast::hash(&content)));
    assert_eq!(download(&mut client, &file_id), Ok(content));
    let empty = upload(&mut client, None, b"");
    assert_eq!(download(&mut client, &empty), Ok(vec![]));
}

#[tokio::test]
async fn an_end_that_does_not_fit_keeps_nothing() {
    let cluster = Cluster::start().await;
    for wrong in [Trailer { length: 4, ..trailer(b"hello") }, Trailer { crc32: 1, ..trailer(b"hello") }] {
        let mut client = cluster.client();
        let answer = client.ask(&framed(Some(token(7, 1))), &frames(&[b"hello"], wrong));
        assert_eq!(answer, Err(Status::EINVAL));
        assert!(client.is_closed());
    }
    let mut client = cluster.client();
    client.send(&[&framed(None).frame()[..], &u32::MAX.to_be_bytes()].concat());
    assert_eq!(client.answer(), Err(Status::EINVAL));
    assert!(client.is_closed());
    assert_eq!(cluster.binlog(), "");
    assert_eq!(owned(&mut cluster.client(), 7), []);
}

#[tokio::test]
async fn owned_files_are_listed_until_they_are_forgotten_or_deleted() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let files: Vec<FileId> = (1..=4)
        .map(|sequence| upload(&mut client, Some(token(7, sequence)), &[sequence as u8; 100]))
        .collect();
    let name = |index: usize| files[index].filename.to_string();
    assert_eq!(owned(&mut client, 7), [(1, name(0)), (2, name(1)), (3, name(2)), (4, name(3))]);
    assert_eq!(owned(&mut client, 8), []);
    let group = "group1".parse().expect("group");
    let forget =
        ForgetOwnedRequest { group, session: NonZeroU64::new(7).expect("session"), sequences: vec![1, 3, 9] };
    client.get(&forget).expect("forget");
    client.get(&DeleteRequest { file_id: files[1].clone() }).expect("delete");
    assert_eq!(owned(&mut client, 7), [(4, name(3))]);
    assert_eq!(download(&mut client, &files[0]), Ok(vec![1; 100]));
}

#[tokio::test]
async fn private_files_need_a_secret() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let hello = Hello { version: 1, capabilities: Capabilities::default(), software: String::new() };
    let answer: Hello = client.get(&HelloRequest(hello)).expect("hello");
    assert!(!answer.capabilities.contains(Capabilities::PRIVATE));
    let request = UploadFramedRequest { private: true, ..framed(None) };
    let refused = client.ask(&request, &frames(&[b"precious"], trailer(b"precious")));
    assert_eq!(refused.map(drop), Err(Status::EOPNOTSUPP));
}

#[tokio::test]
async fn joined_parts_are_one_file_with_the_checksum_of_all() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let contents: Vec<Vec<u8>> = [5_000, 0, 300_000, 1].iter().map(|size| vec![*size as u8; *size]).collect();
    let parts: Vec<_> = contents.iter().map(|content| upload(&mut client, None, content).filename).collect();
    let request = JoinFilesRequest {
        group: "group1".parse().expect("group"),
        extension: "bin".parse().expect("extension"),
        owner: Some(token(9, 1)),
        write_concern: WriteConcern::Local,
        private: false,
        parts: parts.clone(),
    };
    let joined = client.get(&request).expect("join");
    let whole = contents.concat();
    let fields = joined.filename.fields().expect("fields");
    assert_eq!((fields.size.size(), fields.crc32), (Some(whole.len() as u64), crc32fast::hash(&whole)));
    assert_eq!(download(&mut client, &joined), Ok(whole));
    assert_eq!(owned(&mut client, 9), [(1, joined.filename.to_string())]);

    let first = FileId { filename: parts[0].clone(), ..joined };
    client.get(&DeleteRequest { file_id: first }).expect("delete");
    assert_eq!(client.ask(&request, b""), Err(Status::ENOENT));
}

#[tokio::test]
async fn every_file_of_a_store_path_is_listed_once_in_byte_order() {
    let cluster = Cluster::start_with(|config| {
        config.distribute = fdfs_conf::DistributeMode::RoundRobin { rotate_count: 3 };
    })
    .await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 3, extension: "txt".parse().expect("extension") };
    let mut names: Vec<String> = (0..10)
        .map(|_| {
            FileId::decode(&client.ask(&request, b"abc").expect("upload")).expect("id").filename.to_string()
        })
        .collect();
    names.sort_unstable();
    let group = "group1".parse().expect("group");
    for limit in [1, 4, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = client.get(&ListRawRequest { group, store_path: 0, limit, after }).expect("list");
            assert!(page.files.len() <= limit as usize && page.files.iter().all(|file| file.size == 3));
            listed.extend(page.files.iter().map(|file| file.filename.to_string()));
            after = page.files.last().map(|file| file.filename.clone());
            if !page.has_more {
                break;
            }
        }
        assert_eq!(listed, names, "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn native_http_paths_are_served() {
    use std::io::{Read, Write};
    let cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), None, b"hello");
    let address = cluster.storage.http_address().expect("http");
    let mut stream = std::net::TcpStream::connect(address).expect("connect");
    write!(stream, "GET /{file_id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}
