//! What is lent arrives, and to whom.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fdfs_proto::Status;

use super::*;
use crate::CallError;
use fdfs_proto::ours::{LendFileRequest, LendFileResponse};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// An address that no other test uses at this moment.
fn address() -> SocketAddr {
    let ip = Ipv4Addr::from(std::process::id() & 0x00ff_ffff | 0x7f00_0000);
    SocketAddr::new(IpAddr::V4(ip), fastrand::u16(1024..))
}

fn request(name: &str) -> LendFileRequest {
    LendFileRequest { length: 7, file_id: format!("group1/M00/00/00/{name}").parse().unwrap() }
}

#[tokio::test]
async fn a_file_is_lent_under_the_address_of_its_storage() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before content").unwrap();
    let place = LendFileResponse { start: 7, size: 7 };
    let loan = Loan { file: Arc::new(file), place };
    let address = address();
    let open = move |request: &LendFileRequest| match request.file_id.filename.as_str() {
        name if name.ends_with("here.txt") => Ok(loan.clone()),
        _ => Err(Status::ENOENT),
    };
    let lender = Lender::start(address, open).unwrap();
    let mut borrower = Borrower::connect(address).unwrap();
    for _ in 0..3 {
        let refused = borrower.borrow(&request("wKgBcFgone.txt"), LIMIT).await.unwrap_err();
        assert!(matches!(refused, CallError::Status(Status::ENOENT)), "{refused}");
        let mut lent = borrower.borrow(&request("wKgBcFhere.txt"), LIMIT).await.unwrap();
        assert_eq!(lent.place, place);
        lent.file.seek(SeekFrom::Start(place.start)).unwrap();
        let mut content = String::new();
        lent.file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }
    drop(lender);
    assert!(borrower.borrow(&request("wKgBcFhere.txt"), LIMIT).await.is_err());
    assert!(Borrower::connect(address).is_err());
}

#[tokio::test]
async fn where_nobody_lends_nothing_is_waited_for() {
    assert!(Borrower::connect(address()).is_err());
}

#[tokio::test]
async fn a_lender_that_does_not_answer_is_given_up() {
    let address = address();
    // It takes connections, and nobody serves them.
    let _listener = net::UnixListener::bind_addr(&name_of(address).unwrap()).unwrap();
    let mut borrower = Borrower::connect(address).unwrap();
    let asked = borrower.borrow(&request("wKgBcFhere.txt"), Duration::from_millis(50)).await;
    assert!(asked.is_err());
}

#[test]
fn what_is_no_request_ends_the_conversation() {
    let address = address();
    let _lender = Lender::start(address, |_| Err(Status::ENOENT)).unwrap();
    for bytes in [&[0xff; 10][..], b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 0, 0, 0, 0, 0, 1, 208, 0, 0]] {
        let mut stream = net::UnixStream::connect_addr(&name_of(address).unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // The end, or a reset where bytes were left unread.
        let ended = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() && !matches!(&ended, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        );
    }
}
