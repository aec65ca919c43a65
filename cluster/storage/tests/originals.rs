//! What an original member leaves out, and how it comes all the same.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use fdfs_proto::{
    Command, Status,
    sync::{
        ReportServerIdRequest, SyncCreateRequest, SyncDeleteRequest, SyncTruncateRequest, SyncUpdateRequest,
        SyncedFile,
    },
};
use fdfs_types::{FileId, RemoteFilename, StorageId, StorageStatus, Timestamp};
use support::{
    Client, Cluster,
    group::{appender_name, file_name},
    peer::FakePeer,
};

/// An original member, a storage beside it, and the connection over which the one sends to the other.
struct Pair {
    original: FakePeer,
    here: Cluster,
    line: Client,
}

impl Pair {
    async fn start() -> Self {
        let original = FakePeer::start(support::unused_ip());
        let here = Cluster::start_beside(Some((original.ip, StorageStatus::Active)), |_| {}).await;
        // The storage knows who is a member when it begins to send.
        original.wait(|heard| heard.iter().any(|heard| heard.command == Command::REPORT_SERVER_ID)).await;
        let mut line = here.client();
        let storage_id = original.ip.to_string().parse::<StorageId>().expect("ID");
        line.ask(&ReportServerIdRequest { storage_id }, b"").expect("identity");
        Self { original, here, line }
    }

    fn create(&mut self, name: &RemoteFilename, content: &[u8]) {
        let file = SyncedFile { file_id: file_id(name), size: content.len() as u64, time: TIME };
        self.line.ask(&SyncCreateRequest { file, is_known: false }, content).expect("create");
    }

    fn truncate(
        &mut self,
        name: &RemoteFilename,
        (old_size, new_size): (u64, u64),
    ) -> Result<Vec<u8>, Status> {
        let request = SyncTruncateRequest { file_id: file_id(name), old_size, new_size, time: TIME };
        self.line.ask(&request, b"")
    }

    fn delete(&mut self, name: &RemoteFilename) -> Result<Vec<u8>, Status> {
        self.line.ask(&SyncDeleteRequest { file_id: file_id(name), time: TIME }, b"")
    }

    fn content(&self, name: &RemoteFilename) -> Option<Vec<u8>> {
        std::fs::read(self.here.path(name.as_str())).ok()
    }
}

fn file_id(name: &RemoteFilename) -> FileId {
    FileId { group: "group1".parse().expect("group"), filename: name.clone() }
}

#[tokio::test]
async fn a_file_that_an_original_has_truncated_is_as_it_is_there() {
    let mut pair = Pair::start().await;
    for (before, sizes, there) in [
        // An append before the truncation was left out, and the sizes do not fit.
        (Some(&b"01234"[..]), (8, 3), &b"01x"[..]),
        // A modification was left out: the sizes fit, the content does not.
        (Some(b"01234"), (5, 3), b"X12"),
        (Some(b"01234"), (8, 0), b""),
        // The original would repeat it for ever.
        (None, (8, 3), b"012"),
    ] {
        let name = appender_name(pair.original.ip);
        if let Some(before) = before {
            pair.create(&name, before);
        }
        pair.original.put(name.as_str(), there);
        assert_eq!(pair.truncate(&name, sizes), Ok(Vec::new()));
        assert_eq!(pair.content(&name).expect("file"), there);
        assert_eq!(
            std::fs::metadata(pair.here.path(name.as_str())).map(|file| file.len()).ok(),
            Some(there.len() as u64)
        );
    }
    let asked = |heard: &&support::peer::Heard| heard.command == Command::HELLO;
    assert_eq!(pair.original.heard().iter().filter(asked).count(), 1, "it is known by then");
}

#[tokio::test]
async fn a_truncation_of_what_an_original_has_no_more_or_has_alike_is_answered_as_ever() {
    let mut pair = Pair::start().await;
    let (gone, alike) = (appender_name(pair.original.ip), appender_name(pair.original.ip));
    pair.create(&gone, b"01234");
    assert_eq!(pair.truncate(&gone, (8, 3)), Err(Status::EEXIST));
    assert_eq!(pair.content(&gone).expect("file"), b"01234");
    pair.create(&alike, b"01234");
    pair.original.put(alike.as_str(), b"012");
    assert_eq!(pair.truncate(&alike, (5, 3)), Ok(Vec::new()));
    assert_eq!(pair.truncate(&alike, (5, 3)), Err(Status::EEXIST));
    let fetched = |heard: &support::peer::Heard| heard.command == Command::DOWNLOAD_FILE;
    assert!(!pair.original.heard().iter().any(fetched));
}

#[tokio::test]
async fn what_an_original_has_renamed_and_deleted_goes_under_its_old_name() {
    for is_here in [false, true] {
        renamed_and_deleted(is_here).await;
    }
}

/// The new name is here, too, where a comparison of members has fetched it, or is not.
async fn renamed_and_deleted(is_here: bool) {
    let mut pair = Pair::start().await;
    let ip = pair.original.ip;
    let (renamed, there, elsewhere) =
        (appender_name(ip), appender_name(ip), appender_name(support::unused_ip()));
    for name in [&renamed, &there, &elsewhere] {
        pair.create(name, b"01234");
    }
    pair.original.put(there.as_str(), b"01234");
    let fields = file_name(ip, b"01234");
    let base = fields.base_name().replace(fields.tail(), renamed.tail());
    let deleted = renamed.with_base_name(&base).expect("name");
    if is_here {
        pair.create(&deleted, b"01234");
    }
    assert_eq!(pair.delete(&deleted), if is_here { Ok(Vec::new()) } else { Err(Status::ENOENT) });
    assert_eq!(pair.content(&renamed), None);
    for name in [&there, &elsewhere] {
        assert_eq!(pair.content(name).expect("only its source tells that a file is gone"), b"01234");
    }
}

#[tokio::test]
async fn of_metadata_that_an_original_has_set_twice_in_a_second_the_latter_stay() {
    let mut pair = Pair::start().await;
    let owner = file_name(pair.original.ip, b"owner");
    let sidecar: RemoteFilename = format!("{owner}-m").parse().expect("name");
    let mut contents = [&b"width\x021"[..], b"width\x022", b"width\x021"];
    contents.sort_by_key(|content| std::cmp::Reverse(crc32fast::hash(content)));
    pair.create(&sidecar, contents[0]);
    for content in [contents[2], contents[0]] {
        let file = SyncedFile { file_id: file_id(&sidecar), size: content.len() as u64, time: TIME };
        pair.line.ask(&SyncUpdateRequest { file }, content).expect("update");
        assert_eq!(pair.content(&sidecar).expect("metadata"), content);
    }
}

const TIME: Timestamp = Timestamp(1_795_324_899);
