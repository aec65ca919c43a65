//! Bytes that nobody should send.

use std::io::{Read, Write};
use std::net::TcpStream;

use fdfs_proto::{ActiveTestRequest, Command, Header, Status};

use crate::support::{DEADLINE, Storage, World};

#[tokio::test]
async fn a_wrong_length_is_invalid_and_the_connection_goes_on() {
    let world = World::start("127.0.26.1").await;
    let _storage = Storage::bring_up(&world, "127.0.27.4").await;
    let mut client = world.client("127.0.0.1").await;
    for (command, lengths) in [
        (Command::QUERY_STORE_ONE, &[1, 16, 9000][..]),
        (Command::QUERY_STORE_ALL, &[1]),
        (Command::QUERY_STORE_IN_GROUP_ONE, &[0, 15]),
        (Command::QUERY_STORE_IN_GROUP_ALL, &[0, 15]),
        (Command::QUERY_FETCH_ONE, &[0, 16]),
        (Command::QUERY_FETCH_ALL, &[0, 15]),
        (Command::QUERY_UPDATE, &[0, 15]),
        (Command::LIST_ONE_GROUP, &[0, 15]),
        (Command::LIST_ALL_GROUPS, &[1]),
        (Command::LIST_STORAGES, &[0, 6]),
        (Command::DELETE_STORAGE, &[0, 6]),
        (Command::DELETE_GROUP, &[0, 1]),
        (Command::SET_TRUNK_SERVER, &[0, 1]),
        (Command::GET_LEADER, &[1]),
        (Command::TRACKER_CLUSTER_STAT, &[0, 2, 4]),
        (Command::STORAGE_CLUSTER_STAT, &[0, 3, 5]),
        (Command::STORAGE_VOLUME_STAT, &[0, 3, 5]),
        (Command::TRACKER_GET_STATUS, &[1]),
        (Command::PARAMETER_REQ, &[1]),
        (Command::STORAGE_GET_MY_IP, &[0, 1]),
        (Command::FETCH_STORAGE_IDS, &[0, 4, 6]),
        (Command::GET_SERVER_ID, &[0]),
        (Command::STORAGE_GET_STATUS, &[0]),
        (Command::JOIN, &[0, 1, 144, 145]),
        (Command::ACTIVE_TEST, &[1, 100_000, 262_134]),
        (Command::TRACKER_JOIN_LEADER, &[0, 23]),
        (Command::TRACKER_PING_LEADER, &[0, 11]),
        (Command(0), &[0, 5]),
        (Command(99), &[0]),
        (Command::RESPONSE, &[0]),
        (Command(110), &[0]),
        (Command(200), &[0]),
        (Command(255), &[0]),
    ] {
        for length in lengths {
            let status = client.status_of(command, &vec![b'x'; *length]).await;
            assert_eq!(status, Status::EINVAL, "{command} with {length} bytes");
        }
    }
    client.ask(&ActiveTestRequest).await;
}

/// What a connection brings until its end, after these bytes.
fn answer_to(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).expect("the tracker listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    stream.write_all(bytes).expect("room in the socket");
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_negative_or_too_large_ends_the_connection_without_an_answer() {
    let world = World::start("127.0.26.2").await;
    for length in [-1_i64, i64::MIN, 262_135, i64::MAX] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([Command::QUERY_STORE_ONE.0, 0]);
        assert_eq!(answer_to(&world, &bytes), b"", "{length}");
    }
    assert_eq!(answer_to(&world, &Header::request(Command::QUIT, 0).encode()), b"");
    world.client("127.0.0.1").await.ask(&ActiveTestRequest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_are_answered_in_order() {
    let world = World::start("127.0.26.3").await;
    let mut bytes = Vec::new();
    for command in [Command::ACTIVE_TEST, Command::GET_LEADER, Command(200), Command::QUIT] {
        bytes.extend(Header::request(command, 0).encode());
    }
    let expected: Vec<u8> = [Status::OK, Status::ENOENT, Status::EINVAL]
        .iter()
        .flat_map(|status| Header::answer(*status).encode())
        .collect();
    assert_eq!(answer_to(&world, &bytes), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_end_the_tracker() {
    let world = World::start("127.0.26.4").await;
    let storage = Storage::bring_up(&world, "127.0.27.4").await;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut member = world.client("127.0.27.4").await;
    member.ask(&storage.request).await;
    for _ in 0..3000 {
        let length = (next() % 200) as usize;
        let mut body: Vec<u8> = (0..length).map(|_| (next() >> 32) as u8).collect();
        if next() % 2 == 0 && length >= 16 {
            body[..16].copy_from_slice(b"group1\0\0\0\0\0\0\0\0\0\0");
        }
        let command = Command((next() % 256) as u8);
        if command != Command::QUIT {
            member.status_of(command, &body).await;
        }
    }
    member.ask(&ActiveTestRequest).await;
}
