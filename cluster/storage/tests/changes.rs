//! Changes of appender files have one place, and what is missing here may be changed where it is.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::sync::atomic::Ordering;

use fdfs_conf::StorageConfig;
use fdfs_proto::{
    Command, Encode, Status, Writer,
    ours::{Capabilities, Hello, HelloRequest},
    storage::{
        AppendRequest, DeleteRequest, DownloadRequest, MetadataMode, ModifyRequest, RegenerateRequest,
        SetMetadataRequest, TruncateRequest,
    },
    sync::{SyncCreateRequest, SyncDeleteRequest, SyncedFile},
};
use fdfs_storage::Storage;
use fdfs_types::{FileId, FileKind, Metadata, RemoteFilename, StorageStatus, Timestamp};
use support::{
    Client, FakeTracker, Role,
    group::{Group, TIME, appender_name, file_name},
};

/// A storage beside two members of ours, which it knows.
async fn beside(change: impl FnOnce(&mut StorageConfig)) -> (Group, Storage) {
    let mut group = Group::of(2);
    for member in &group.members {
        member.is_ours.store(true, Ordering::Relaxed);
    }
    let storage = group.start_with(1, change).await;
    until_known(&mut group).await;
    (group, storage)
}

/// The second beat is sent when the answer to the first was read.
async fn until_known(group: &mut Group) {
    for _ in 0..3 {
        group.next(Command::BEAT).await;
    }
}

fn client(storage: &Storage) -> Client {
    Client::connect(storage.addresses()[0])
}

fn id(filename: &RemoteFilename) -> FileId {
    FileId { group: "group1".parse().expect("group"), filename: filename.clone() }
}

/// Brings an appender file to the storage, as a member does that has it.
fn bring(client: &mut Client, name: &RemoteFilename, content: &[u8]) {
    let file = SyncedFile { file_id: id(name), size: content.len() as u64, time: Timestamp(*TIME) };
    client.ask(&SyncCreateRequest { file, is_known: false }, content).expect("create");
}

fn content(client: &mut Client, name: &RemoteFilename) -> Vec<u8> {
    client.ask(&DownloadRequest { offset: 0, length: 0, file_id: id(name) }, b"").expect("content")
}

fn append(client: &mut Client, name: &RemoteFilename, content: &[u8]) -> Result<Vec<u8>, Status> {
    client.ask(&AppendRequest { filename: name.clone(), size: content.len() as u64 }, content)
}

fn modify(client: &mut Client, name: &RemoteFilename, content: &[u8]) -> Result<Vec<u8>, Status> {
    client.ask(&ModifyRequest { filename: name.clone(), offset: 1, size: content.len() as u64 }, content)
}

fn truncate(client: &mut Client, name: &RemoteFilename) -> Result<Vec<u8>, Status> {
    client.ask(&TruncateRequest { filename: name.clone(), size: 3 }, b"")
}

fn regenerate(client: &mut Client, name: &RemoteFilename) -> Result<Vec<u8>, Status> {
    client.ask(&RegenerateRequest { filename: name.clone() }, b"")
}

fn delete(client: &mut Client, name: &RemoteFilename) -> Result<Vec<u8>, Status> {
    client.ask(&DeleteRequest { file_id: id(name) }, b"")
}

fn set_metadata(client: &mut Client, name: &RemoteFilename) -> Result<Vec<u8>, Status> {
    let metadata = Metadata::decode(b"width\x021").expect("metadata");
    client.ask(&SetMetadataRequest { file_id: id(name), mode: MetadataMode::Merge, metadata }, b"")
}

fn encoded(request: &impl Encode, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.write(&mut Writer::new(&mut bytes));
    bytes.extend_from_slice(content);
    bytes
}

fn changes(group: &Group) -> Vec<Vec<Command>> {
    let commands = |changes: &Vec<(Command, Vec<u8>)>| changes.iter().map(|(command, _)| *command).collect();
    group.members.iter().map(|member| commands(&member.changes.lock())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_appender_file_is_made_by_its_source() {
    for is_ours in [true, false] {
        let (group, storage) = beside(|_| {}).await;
        let source = &group.members[1];
        source.is_ours.store(is_ours, Ordering::Relaxed);
        let name = appender_name(source.ip);
        let mut client = client(&storage);
        bring(&mut client, &name, b"content");
        let more = vec![3; 50_000];
        assert_eq!(append(&mut client, &name, &more).expect("append"), b"");
        assert_eq!(modify(&mut client, &name, b"xy").expect("modify"), b"");
        assert_eq!(truncate(&mut client, &name).expect("truncate"), b"");
        assert!(regenerate(&mut client, &name).expect("regenerate").ends_with(name.as_str().as_bytes()));
        let made = source.changes.lock().clone();
        let commands: Vec<_> = made.iter().map(|(command, _)| *command).collect();
        assert_eq!(
            commands,
            [
                Command::APPEND_FILE,
                Command::MODIFY_FILE,
                Command::TRUNCATE_FILE,
                Command::REGENERATE_APPENDER_FILENAME
            ]
        );
        let request = AppendRequest { filename: name.clone(), size: more.len() as u64 };
        assert!(made[0].1 == encoded(&request, &more));
        // The file here follows by replication.
        assert_eq!(content(&mut client, &name), b"content");
        assert_eq!(group.members[0].changes.lock().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_source_an_appender_file_is_not_changed() {
    let (mut group, storage) = beside(|_| {}).await;
    let name = appender_name(group.members[1].ip);
    let mut client = client(&storage);
    bring(&mut client, &name, b"content");
    for status in
        [StorageStatus::Offline, StorageStatus::Online, StorageStatus::Recovery, StorageStatus::WaitSync]
    {
        group.tracker.others.lock()[1].1 = status;
        until_known(&mut group).await;
        assert_eq!(append(&mut client, &name, b"more"), Err(Status::EAGAIN), "{status}");
        assert_eq!(modify(&mut client, &name, b"xy"), Err(Status::EAGAIN));
        assert_eq!(truncate(&mut client, &name), Err(Status::EAGAIN));
        assert_eq!(regenerate(&mut client, &name), Err(Status::EAGAIN));
    }
    assert_eq!(content(&mut client, &name), b"content");
    assert_eq!(changes(&group), [[], []]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_source_was_removed_the_member_of_the_lowest_id_makes_changes() {
    let (mut group, storage) = beside(|_| {}).await;
    let name = appender_name(group.members[1].ip);
    let mut client = client(&storage);
    bring(&mut client, &name, b"content");
    group.tracker.others.lock()[1].1 = StorageStatus::Deleted;
    until_known(&mut group).await;
    append(&mut client, &name, b" and more").expect("append");
    assert_eq!(content(&mut client, &name), b"content and more");
    // Somebody of a lower id, where nobody listens.
    let lower = "127.0.0.1".parse().expect("address");
    group.tracker.others.lock().push((lower, StorageStatus::Active));
    until_known(&mut group).await;
    assert_eq!(append(&mut client, &name, b"!"), Err(Status::EAGAIN));
    assert_eq!(content(&mut client, &name), b"content and more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_passed_on_once() {
    let (group, storage) = beside(|_| {}).await;
    let name = appender_name(group.members[1].ip);
    let mut client = client(&storage);
    bring(&mut client, &name, b"content");
    let hello = Hello { version: 1, capabilities: Capabilities::FOR_ANOTHER, software: String::from("test") };
    client.get(&HelloRequest(hello)).expect("hello");
    assert_eq!(append(&mut client, &name, b"more"), Err(Status::EAGAIN));
    assert_eq!(changes(&group), [[], []]);
    // What was accepted here is changed here.
    let mine = appender_name(group.me);
    bring(&mut client, &mine, b"content");
    append(&mut client, &mine, b" and more").expect("append");
    assert_eq!(content(&mut client, &mine), b"content and more");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_may_be_made_anywhere_as_in_the_original() {
    let (group, storage) = beside(|config| config.change_appenders_anywhere = true).await;
    let name = appender_name(group.members[1].ip);
    let mut client = client(&storage);
    bring(&mut client, &name, b"content");
    append(&mut client, &name, b" and more").expect("append");
    assert_eq!(content(&mut client, &name), b"content and more");
    assert_eq!(changes(&group), [[], []]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_not_come_is_deleted_or_described_at_its_source() {
    for is_ours in [true, false] {
        let (group, storage) = beside(|_| {}).await;
        let source = &group.members[1];
        source.is_ours.store(is_ours, Ordering::Relaxed);
        let name = file_name(source.ip, b"content");
        let mut client = client(&storage);
        assert_eq!(set_metadata(&mut client, &name).expect("metadata"), b"");
        assert_eq!(delete(&mut client, &name).expect("delete"), b"");
        assert_eq!(changes(&group), [&[][..], &[Command::SET_METADATA, Command::DELETE_FILE]]);
        assert!(source.changes.lock()[1].1 == encoded(&DeleteRequest { file_id: id(&name) }, b""));
        // What is here is changed here, and what was deleted here is gone everywhere.
        bring(&mut client, &name, b"content");
        assert_eq!(set_metadata(&mut client, &name).expect("metadata"), b"");
        assert_eq!(delete(&mut client, &name).expect("delete"), b"");
        assert_eq!(delete(&mut client, &name), Err(Status::ENOENT));
        let other = file_name(source.ip, b"other");
        let deleted = SyncDeleteRequest { file_id: id(&other), time: Timestamp(*TIME) };
        assert_eq!(client.ask(&deleted, b""), Err(Status::ENOENT));
        assert_eq!(delete(&mut client, &other), Err(Status::ENOENT));
        assert_eq!(set_metadata(&mut client, &other), Err(Status::ENOENT));
        // Of what was accepted here this storage knows itself that it is gone.
        assert_eq!(delete(&mut client, &file_name(group.me, b"mine")), Err(Status::ENOENT));
        assert_eq!(changes(&group)[1].len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_not_come_is_not_taken_for_gone_while_its_source_is_away() {
    let (mut group, storage) = beside(|_| {}).await;
    let name = file_name(group.members[1].ip, b"content");
    let mut client = client(&storage);
    for status in
        [StorageStatus::Offline, StorageStatus::Online, StorageStatus::Recovery, StorageStatus::WaitSync]
    {
        group.tracker.others.lock()[1].1 = status;
        until_known(&mut group).await;
        assert_eq!(delete(&mut client, &name), Err(Status::EAGAIN), "{status}");
        assert_eq!(set_metadata(&mut client, &name), Err(Status::EAGAIN), "{status}");
    }
    // A source that was removed cannot come back with it.
    group.tracker.others.lock()[1].1 = StorageStatus::Deleted;
    until_known(&mut group).await;
    assert_eq!(delete(&mut client, &name), Err(Status::ENOENT));
    assert_eq!(set_metadata(&mut client, &name), Err(Status::ENOENT));
    assert_eq!(changes(&group), [[], []]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_has_not_come_is_deleted_or_described_where_it_is() {
    let (mut group, storage) = beside(|_| {}).await;
    let mut client = client(&storage);
    // It is called after its master, whoever made it.
    for source in [group.me, group.members[0].ip] {
        let master = file_name(source, b"content");
        let slave: RemoteFilename = format!("{}_small.txt", &master.as_str()[..40]).parse().expect("name");
        assert_eq!(slave.kind(), Ok(FileKind::Slave), "{slave}");
        assert_eq!(delete(&mut client, &slave), Err(Status::ENOENT));
        group.members[1].tells(&slave, b"small");
        assert_eq!(set_metadata(&mut client, &slave).expect("metadata"), b"");
        assert_eq!(delete(&mut client, &slave).expect("delete"), b"");
        // Who asks for a client of its own asks each for itself.
        let mut member = Client::connect(storage.addresses()[0]);
        let hello =
            Hello { version: 1, capabilities: Capabilities::FOR_ANOTHER, software: String::from("test") };
        member.get(&HelloRequest(hello)).expect("hello");
        assert_eq!(delete(&mut member, &slave), Err(Status::ENOENT));
        // While somebody is away who may have it, it is not taken for gone.
        group.members[1].files.lock().clear();
        group.tracker.others.lock()[0].1 = StorageStatus::Offline;
        until_known(&mut group).await;
        assert_eq!(delete(&mut client, &slave), Err(Status::EAGAIN));
        assert_eq!(set_metadata(&mut client, &slave), Err(Status::EAGAIN));
        group.tracker.others.lock()[0].1 = StorageStatus::Active;
        until_known(&mut group).await;
        let deleted = SyncDeleteRequest { file_id: id(&slave), time: Timestamp(*TIME) };
        assert_eq!(client.ask(&deleted, b""), Err(Status::ENOENT));
        group.members[1].tells(&slave, b"small");
        assert_eq!(delete(&mut client, &slave), Err(Status::ENOENT), "deleted before");
    }
    let made = [Command::SET_METADATA, Command::DELETE_FILE];
    assert_eq!(changes(&group), [[].to_vec(), [made, made].concat()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_is_known_who_is_in_the_group_nothing_of_others_is_changed_or_taken_for_gone() {
    let (me, disk) = (support::unused_ip(), tempfile::tempdir().expect("directory"));
    let mut tracker = FakeTracker::start_as(Role::Follows, me, me, None);
    let storage = Storage::bind(support::config(me, disk.path(), |_| {})).await.expect("storage");
    tracker.next(Command::BEAT).await;
    let mut client = client(&storage);
    let other = support::unused_ip();
    let name = appender_name(other);
    bring(&mut client, &name, b"content");
    assert_eq!(append(&mut client, &name, b"more"), Err(Status::EAGAIN));
    assert_eq!(modify(&mut client, &name, b"xy"), Err(Status::EAGAIN));
    assert_eq!(truncate(&mut client, &name), Err(Status::EAGAIN));
    assert_eq!(regenerate(&mut client, &name), Err(Status::EAGAIN));
    assert_eq!(content(&mut client, &name), b"content");
    let missing = file_name(other, b"content");
    assert_eq!(delete(&mut client, &missing), Err(Status::EAGAIN));
    assert_eq!(set_metadata(&mut client, &missing), Err(Status::EAGAIN));
    // Its own files it may change.
    let mine = appender_name(me);
    bring(&mut client, &mine, b"content");
    append(&mut client, &mine, b" and more").expect("append");
    assert_eq!(delete(&mut client, &file_name(me, b"mine")), Err(Status::ENOENT));
}
