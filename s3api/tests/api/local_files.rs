//! Objects whose files lie on this machine: they go out unread where nothing is encrypted.

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::support::{Gateway, Signed, assert_ok, get, put};

fn noise(length: usize) -> Vec<u8> {
    let mut block = Sha256::digest(b"local").to_vec();
    while block.len() < length {
        let next = Sha256::digest(&block[block.len() - 32..]);
        block.extend_from_slice(&next);
    }
    block.truncate(length);
    block
}

/// A gateway that is lent its files in pieces of at most `most` bytes.
async fn gateway(most: usize) -> Gateway {
    let gateway = Gateway::start_with_small_parts().await;
    gateway.files.state(|state| state.lent_piece = Some(most));
    gateway
}

#[tokio::test]
async fn lent_files_arrive_whole_and_in_part_on_one_connection() {
    for most in [2 << 20, 100_000, 40_000, 1000] {
        let gateway = gateway(most).await;
        let mut wire = gateway.connect().await;
        for size in [65_537, 300_000, 3 << 20] {
            let body = noise(size);
            assert_ok(&wire.send(put("/pets/k", body.clone())).await);
            for _ in 0..2 {
                let answer = wire.send(get("/pets/k")).await;
                assert!(answer.status == 200 && answer.body == body, "{size} bytes in pieces of {most}");
                let part = wire.send(get("/pets/k").header("range", "bytes=7-65599")).await;
                assert!(
                    part.status == 206 && part.body == body[7..size.min(65_600)],
                    "a part of {size} bytes in pieces of {most}"
                );
            }
            let same = wire.send(get("/pets/k").header("if-none-match", "*")).await;
            assert_eq!((same.status, same.body.len()), (304, 0));
            let beyond = wire.send(get("/pets/k").header("range", "bytes=99999999-")).await;
            assert_eq!(beyond.status, 416);
        }
    }
}

#[tokio::test]
async fn requests_that_wait_behind_each_other_get_the_pieces_of_their_own_files() {
    let gateway = gateway(2 << 20).await;
    let mut wire = gateway.connect().await;
    let bodies: Vec<Vec<u8>> = (1..5).map(|part| noise(part * 100_000 + part)).collect();
    for (index, body) in bodies.iter().enumerate() {
        assert_ok(&wire.send(put(&format!("/pets/{index}"), body.clone())).await);
    }
    let order = [3, 0, 2, 1, 1, 3];
    let host = wire.host.clone();
    let requests = order.map(|index| get(&format!("/pets/{index}")).to_bytes(&host)).concat();
    wire.write(&requests).await;
    for index in order {
        assert!(wire.answer(false).await.body == bodies[index], "the answer about {index}");
    }
}

#[tokio::test]
async fn an_object_of_several_files_and_gaps_is_sent_in_order() {
    let gateway = gateway(2 << 20).await;
    let mut wire = gateway.connect().await;
    let parts = [noise(200_000), noise(70_001), noise(33)];
    let started = wire.send(Signed::new("POST", "/pets/k?uploads=")).await;
    let id = started.element("UploadId").unwrap();
    let mut listed = String::new();
    for (index, part) in parts.iter().enumerate() {
        let number = index + 1;
        let target = format!("/pets/k?partNumber={number}&uploadId={id}");
        let answer = wire.send(put(&target, part.clone())).await;
        assert_ok(&answer);
        let etag = answer.header("etag").unwrap();
        listed += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
    let completed = wire.send(Signed::new("POST", &format!("/pets/k?uploadId={id}")).body(document)).await;
    assert_ok(&completed);
    let whole = parts.concat();
    assert!(wire.send(get("/pets/k")).await.body == whole);
    let part = wire.send(get("/pets/k").header("range", "bytes=199990-270010")).await;
    assert!(part.status == 206 && part.body == whole[199_990..=270_010]);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_troubles_nobody() {
    let gateway = gateway(2 << 20).await;
    let body = noise(8 << 20);
    let mut wire = gateway.connect().await;
    assert_ok(&wire.send(put("/pets/k", body.clone())).await);
    for _ in 0..4 {
        let mut leaving = gateway.connect().await;
        let host = leaving.host.clone();
        leaving.write(&get("/pets/k").to_bytes(&host)).await;
        leaving.stream.read_exact(&mut [0; 1000]).await.unwrap();
    }
    assert!(wire.send(get("/pets/k")).await.body == body);
}
