//! Lending open files to readers on this machine.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use fdfs_net::{Borrower, CallError};
use fdfs_proto::{
    Command, Decode as _, Encode as _, Status,
    ours::LendFileRequest,
    storage::{DeleteRequest, UploadAppenderRequest, UploadRequest},
};
use fdfs_types::FileId;
use support::{Client, Cluster};

const LIMIT: Duration = Duration::from_secs(30);

fn upload_request(content: &[u8]) -> UploadRequest {
    UploadRequest {
        store_path: None,
        size: content.len() as u64,
        extension: "bin".parse().expect("extension"),
    }
}

fn upload(client: &mut Client, content: &[u8]) -> FileId {
    let answer = client.ask(&upload_request(content), content).expect("upload");
    FileId::decode(&answer).expect("file id")
}

async fn borrow(borrower: &mut Borrower, file_id: &FileId) -> Result<Vec<u8>, Status> {
    let request = LendFileRequest { length: 0, file_id: file_id.clone() };
    match borrower.borrow(&request, LIMIT).await {
        Ok(lent) => {
            let mut content = vec![0; lent.place.size as usize];
            lent.file.read_exact_at(&mut content, lent.place.start).expect("read");
            Ok(content)
        }
        Err(CallError::Status(status)) => Err(status),
        Err(error) => panic!("no answer: {error}"),
    }
}

#[tokio::test]
async fn a_file_is_lent_until_it_is_deleted_and_stays_readable_to_who_has_it() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"content");
    let mut borrower = Borrower::connect(cluster.address).expect("a storage of this machine");
    assert_eq!(borrow(&mut borrower, &file_id).await, Ok(b"content".to_vec()));
    let request = LendFileRequest { length: 7, file_id: file_id.clone() };
    let lent = borrower.borrow(&request, LIMIT).await.expect("lent");
    client.get(&DeleteRequest { file_id: file_id.clone() }).expect("delete");
    assert_eq!(borrow(&mut borrower, &file_id).await, Err(Status::ENOENT));
    let mut content = [0; 7];
    lent.file.read_exact_at(&mut content, lent.place.start).expect("read");
    assert_eq!(&content, b"content");
    assert!(lent.file.set_len(0).is_err(), "what is lent cannot be written");
}

#[tokio::test]
async fn files_that_can_change_private_ones_and_those_of_other_groups_are_not_lent() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let answer = client.ask(&UploadAppenderRequest(upload_request(b"log")), b"log").expect("upload");
    let appender = FileId::decode(&answer).expect("file id");
    let file_id = upload(&mut client, b"content");
    let elsewhere = FileId { group: "group2".parse().expect("group"), ..file_id.clone() };
    let mut fields = file_id.filename.fields().expect("fields");
    fields.size = fields.size.private();
    let named =
        file_id.filename.as_str().replace(&file_id.filename.base_name()[..27], &fields.encode().to_string());
    let private = FileId { filename: named.parse().expect("name"), ..file_id.clone() };
    assert!(private.filename.is_private());
    std::fs::copy(cluster.path(file_id.filename.as_str()), cluster.path(private.filename.as_str()))
        .expect("copy");
    let mut borrower = Borrower::connect(cluster.address).expect("a storage of this machine");
    assert_eq!(borrow(&mut borrower, &appender).await, Err(Status::EOPNOTSUPP));
    assert_eq!(borrow(&mut borrower, &elsewhere).await, Err(Status::EINVAL));
    assert_eq!(borrow(&mut borrower, &private).await, Err(Status::EACCES));
    assert_eq!(borrow(&mut borrower, &file_id).await, Ok(b"content".to_vec()));
}

#[tokio::test]
async fn nothing_is_lent_over_tcp_nor_where_it_is_switched_off() {
    let cluster = Cluster::start_with(|config| config.lend_files = false).await;
    let file_id = upload(&mut cluster.client(), b"content");
    assert!(Borrower::connect(cluster.address).is_err());
    let request = LendFileRequest { length: 7, file_id };
    assert_eq!(cluster.client().raw(Command::LEND_FILE, &request.encode()), Err(Status::EINVAL));
}
