//! The server's promises, over real sockets.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use fdfs_proto::{Command, Header, Status};

use super::{Limits, Server, Service, listen};
use crate::{Connection, FileError, NetError};

/// Answers every request with its own body; 14 with a file, 12 with an error before the body is read.
struct Echo {
    file: std::fs::File,
}

impl Service for Echo {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        if let Ok(true) = self.talk(&mut connection).await {
            connection.close().await;
        }
    }
}

impl Echo {
    async fn talk(&self, connection: &mut Connection) -> Result<bool, NetError> {
        while let Some(header) = connection.next_request().await? {
            match header.command {
                Command::DOWNLOAD_FILE => {
                    let length = self.file.metadata().expect("length").len();
                    connection.respond_file(&self.file, 0, length).await.expect("file is sent");
                }
                Command::DELETE_FILE => connection.respond_status(Status::ENOSPC).await?,
                Command::UPLOAD_FILE => {
                    let mut sum = 0_u64;
                    while let Some(chunk) = connection.next_chunk().await? {
                        sum += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    }
                    connection.respond(&sum.to_be_bytes()).await?;
                }
                Command::SET_METADATA => {
                    let body = connection.read_body(100_000).await?.to_vec();
                    connection.respond(&body).await?;
                }
                // Whether the peer leaves, for which it has some time if the body says so.
                Command::TRUNCATE_FILE => {
                    let patience = Duration::from_secs(u64::from(connection.read_body(1).await?[0]));
                    let begun = Instant::now();
                    while !connection.has_peer_left() && begun.elapsed() < patience {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    connection.respond(&[u8::from(connection.has_peer_left())]).await?;
                }
                Command::CREATE_LINK => {
                    connection.respond_status(Status::EINVAL).await?;
                    return Ok(true);
                }
                _ => {
                    let body = connection.read_body(8 * 1024).await?.to_vec();
                    connection.respond(&body).await?;
                }
            }
        }
        Ok(true)
    }
}

fn start(change: impl FnOnce(&mut Limits)) -> Server {
    start_with_file(&[], change)
}

fn start_with_file(content: &[u8], change: impl FnOnce(&mut Limits)) -> Server {
    let mut file = tempfile::tempfile().expect("temporary file");
    file.write_all(content).expect("content");
    start_with(file, change)
}

fn start_with(file: std::fs::File, change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits { threads: 2, ..Limits::new("test") };
    change(&mut limits);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = listen(any, false).expect("listen");
    Server::start(limits, vec![listener], Arc::new(Echo { file })).expect("start")
}

fn connect(server: &Server) -> TcpStream {
    let client = TcpStream::connect(server.addresses()[0]).expect("connect");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    client
}

fn request(command: Command, body: &[u8]) -> Vec<u8> {
    [&Header::request(command, body.len() as u64).encode(), body].concat()
}

fn answer(client: &mut TcpStream) -> (Header, Vec<u8>) {
    let mut head = [0; Header::LEN];
    client.read_exact(&mut head).expect("header of the answer");
    let header = Header::decode(&head).expect("header");
    let mut body = vec![0; header.length as usize];
    client.read_exact(&mut body).expect("body of the answer");
    (header, body)
}

fn is_closed(client: &mut TcpStream) -> bool {
    match client.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_peer_that_has_left_is_known_before_it_is_answered() {
    let server = start(|_| {});
    let ask = |patience| request(Command::TRUNCATE_FILE, &[patience]);
    let mut client = connect(&server);
    client.write_all(&ask(0)).expect("request");
    assert_eq!(answer(&mut client).1, [0], "it waits");
    // Another request behind it is no farewell.
    client.write_all(&[ask(0), ask(0)].concat()).expect("requests");
    assert_eq!([answer(&mut client).1, answer(&mut client).1], [[0], [0]]);
    client.write_all(&[ask(20), request(Command::QUIT, &[])].concat()).expect("requests");
    assert_eq!(answer(&mut client).1, [1], "it has said so");
    let mut client = connect(&server);
    client.write_all(&ask(20)).expect("request");
    client.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(answer(&mut client).1, [1], "it has closed");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start(|_| {});
    let mut client = connect(&server);
    let bodies: Vec<Vec<u8>> = (0..200).map(|number| vec![number; usize::from(number) * 40]).collect();
    let mut other = client.try_clone().expect("clone");
    let all: Vec<u8> = bodies.iter().flat_map(|body| request(Command(111), body)).collect();
    let writer = std::thread::spawn(move || other.write_all(&all).expect("requests"));
    for body in &bodies {
        assert_eq!(answer(&mut client), (Header::response(body.len() as u64), body.clone()));
    }
    writer.join().expect("writer");
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let server = start(|_| {});
    let mut client = connect(&server);
    for byte in request(Command(111), b"slowly") {
        client.write_all(&[byte]).expect("byte");
    }
    assert_eq!(answer(&mut client).1, b"slowly");
}

#[test]
fn a_body_of_any_length_is_streamed() {
    let server = start(|_| {});
    let mut client = connect(&server);
    for length in [0, 1, 16 * 1024 - 10, 16 * 1024, 300_000, 9_000_000] {
        client.write_all(&request(Command::UPLOAD_FILE, &vec![3; length])).expect("request");
        assert_eq!(answer(&mut client).1, (3 * length as u64).to_be_bytes());
    }
}

#[test]
fn a_body_larger_than_the_small_buffer_is_read_in_one_piece() {
    let server = start(|_| {});
    let mut client = connect(&server);
    let body: Vec<u8> = (0..100_000).map(|number| number as u8).collect();
    client.write_all(&request(Command::SET_METADATA, &body)).expect("request");
    assert_eq!(answer(&mut client).1, body);
    // It is refused by its head; the rest would meet a connection that is closed.
    client.write_all(&Header::request(Command::SET_METADATA, 100_001).encode()).expect("head");
    assert!(is_closed(&mut client));
}

#[test]
fn a_file_is_sent_whatever_its_size() {
    for length in [0, 1, 16 * 1024 - 10, 16 * 1024 - 9, 64 * 1024, 5_000_000] {
        let content: Vec<u8> = (0..length).map(|number| (number / 7) as u8).collect();
        let server = start_with_file(&content, |_| {});
        let mut client = connect(&server);
        for _ in 0..2 {
            client.write_all(&request(Command::DOWNLOAD_FILE, b"")).expect("request");
            assert_eq!(answer(&mut client), (Header::response(length), content.clone()));
        }
    }
}

#[test]
fn a_file_that_is_not_in_memory_is_sent_too() {
    for length in [100_usize, 16_000, 3_000_000] {
        let content: Vec<u8> = (0..length).map(|number| (number % 249) as u8).collect();
        let mut file = tempfile::tempfile().expect("temporary file");
        file.write_all(&content).expect("content");
        file.sync_all().expect("sync");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("eviction");
        let server = start_with(file, |_| {});
        let mut client = connect(&server);
        client.write_all(&request(Command::DOWNLOAD_FILE, b"")).expect("request");
        assert_eq!(answer(&mut client).1, content);
    }
}

#[test]
fn a_file_that_is_shorter_than_promised_breaks_no_other_request() {
    struct Promise(std::fs::File);

    impl Service for Promise {
        async fn serve(self: Arc<Self>, mut connection: Connection) {
            while let Ok(Some(header)) = connection.next_request().await {
                let sent = connection.respond_file(&self.0, 0, header.length).await;
                if let Err(FileError::Unread(_)) = sent {
                    connection.respond_status(Status::EIO).await.expect("answer");
                } else if sent.is_err() {
                    return;
                }
            }
        }
    }

    let file = tempfile::tempfile().expect("temporary file");
    file.set_len(50).expect("length");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let limits = Limits { threads: 1, ..Limits::new("test") };
    let service = Arc::new(Promise(file));
    let server = Server::start(limits, vec![listen(any, false).expect("listen")], service).expect("start");
    let mut client = connect(&server);
    // A short one has not been begun when that is noticed.
    client.write_all(&request(Command(111), &[0; 60])).expect("request");
    assert_eq!(answer(&mut client).0.status, Status::EIO);
    client.write_all(&request(Command(111), &[0; 40])).expect("request");
    assert_eq!(answer(&mut client).1, [0; 40]);
    // A long one has: the connection ends in the middle of the answer.
    client.write_all(&Header::request(Command(111), 100_000).encode()).expect("head");
    let mut rest = Vec::new();
    if let Err(error) = client.read_to_end(&mut rest) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert!(rest.len() < 100_010, "{}", rest.len());
}

#[test]
fn an_unread_short_body_is_skipped_and_a_long_one_ends_the_connection() {
    let server = start(|limits| limits.skip_body = 50_000);
    let mut client = connect(&server);
    client.write_all(&request(Command::DELETE_FILE, &[1; 50_000])).expect("request");
    client.write_all(&request(Command(111), b"next")).expect("request");
    assert_eq!(answer(&mut client).0.status, Status::ENOSPC);
    assert_eq!(answer(&mut client).1, b"next");

    client.write_all(&request(Command::DELETE_FILE, &[1; 50_001])).expect("request");
    assert_eq!(answer(&mut client).0.status, Status::ENOSPC);
    assert!(is_closed(&mut client));
}

#[test]
fn the_last_answer_arrives_although_more_was_sent() {
    let server = start(|_| {});
    let mut client = connect(&server);
    let mut requests = request(Command::CREATE_LINK, b"");
    requests.extend(request(Command(111), &[7; 8_000]).repeat(20));
    client.write_all(&requests).expect("requests");
    assert_eq!(answer(&mut client).0, Header::answer(Status::EINVAL));
    assert!(is_closed(&mut client));
}

#[test]
fn a_negative_length_closes_without_an_answer() {
    let server = start(|_| {});
    let mut client = connect(&server);
    client.write_all(&[0xff; 10]).expect("header");
    assert!(is_closed(&mut client));
}

#[test]
fn a_body_above_the_packet_limit_closes_without_an_answer() {
    let server = start(|limits| limits.max_body = 10);
    let mut client = connect(&server);
    client.write_all(&request(Command(111), &[1; 10])).expect("request");
    assert_eq!(answer(&mut client).1, [1; 10]);
    client.write_all(&request(Command(111), &[1; 11])).expect("request");
    assert!(is_closed(&mut client));
}

#[test]
fn quit_closes_without_an_answer() {
    let server = start(|_| {});
    let mut client = connect(&server);
    client.write_all(&request(Command::QUIT, b"")).expect("request");
    assert!(is_closed(&mut client));
}

#[test]
fn a_silent_client_is_closed_before_its_first_request_and_kept_after_it() {
    // Long enough for a busy machine to send the first request in.
    let server = start(|limits| limits.network_timeout = Duration::from_secs(1));
    let mut first = connect(&server);
    first.write_all(&request(Command(111), b"a")).expect("request");
    assert_eq!(answer(&mut first).1, b"a");
    let begin = Instant::now();
    let mut silent = connect(&server);
    assert!(is_closed(&mut silent));
    assert!(begin.elapsed() >= Duration::from_millis(990));
    // More than the time limit has passed for the first client too.
    first.write_all(&request(Command(111), b"b")).expect("request");
    assert_eq!(answer(&mut first).1, b"b");
}

#[test]
fn a_client_that_stops_inside_a_message_is_closed() {
    let server = start(|limits| limits.network_timeout = Duration::from_secs(1));
    let mut clients = [5, 12].map(|part| {
        let mut client = connect(&server);
        client.write_all(&request(Command(111), b"a")).expect("request");
        assert_eq!(answer(&mut client).1, b"a");
        client.write_all(&request(Command(111), b"abcdef")[..part]).expect("part");
        client
    });
    assert!(clients.iter_mut().all(is_closed));
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let content = vec![0; 64 * 1024 * 1024];
    let server = start_with_file(&content, |limits| limits.network_timeout = Duration::from_millis(200));
    let begin = Instant::now();
    let mut client = connect(&server);
    client.write_all(&request(Command::DOWNLOAD_FILE, b"")).expect("request");
    while server.connections().current > 0 || server.connections().max == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the slow client is still served");
        std::thread::yield_now();
    }
    assert!(begin.elapsed() >= Duration::from_millis(190));
}

#[test]
fn a_connection_too_many_is_closed_at_once() {
    let server = start(|limits| limits.max_connections = 1);
    let mut first = connect(&server);
    first.write_all(&request(Command(111), b"a")).expect("request");
    assert_eq!(answer(&mut first).1, b"a");
    assert!(is_closed(&mut connect(&server)));
    first.write_all(&request(Command(111), b"b")).expect("request");
    assert_eq!(answer(&mut first).1, b"b");
    assert_eq!(server.connections().max, 1);
}

#[test]
fn a_peer_that_is_not_allowed_is_closed_without_a_byte() {
    let server = start(|limits| limits.allow = Arc::new(|ip| !ip.is_loopback()));
    assert!(is_closed(&mut connect(&server)));
}

#[test]
fn a_peer_with_nagles_algorithm_does_not_wait_for_acknowledgements() {
    let server = start(|_| {});
    let mut stream = connect(&server);
    stream.set_nodelay(false).expect("Nagle");
    let mut times = [Duration::ZERO; 100];
    for time in &mut times {
        let begun = Instant::now();
        stream.write_all(&Header::request(Command::UPLOAD_FILE, 4).encode()).expect("head");
        stream.write_all(&[1; 4]).expect("content");
        let mut answer = [0; Header::LEN + 8];
        stream.read_exact(&mut answer).expect("answer");
        assert_eq!(answer[Header::LEN + 7], 4);
        *time = begun.elapsed();
    }
    // Each would take 40 ms; a busy machine lets some of them wait.
    times.sort();
    assert!(times[50] < Duration::from_millis(38), "{times:?}");
}

#[tokio::test]
async fn shutdown_ends_idle_clients_and_lets_a_request_finish() {
    let server = start(|_| {});
    let mut idle = connect(&server);
    idle.write_all(&request(Command(111), b"a")).expect("request");
    answer(&mut idle);
    let mut busy = connect(&server);
    let whole = request(Command::UPLOAD_FILE, &[1; 40_000]);
    busy.write_all(&whole[..20_000]).expect("half");
    while server.connections().current < 2 {
        tokio::task::yield_now().await;
    }
    let client = std::thread::spawn(move || {
        assert!(is_closed(&mut idle));
        busy.write_all(&whole[20_000..]).expect("other half");
        let sum = answer(&mut busy).1;
        assert!(is_closed(&mut busy));
        sum
    });
    let begin = Instant::now();
    server.shutdown(Duration::from_secs(20)).await;
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(client.join().expect("client"), 40_000_u64.to_be_bytes());
}

#[tokio::test]
async fn shutdown_cuts_what_does_not_finish() {
    let server = start(|_| {});
    let mut stuck = connect(&server);
    stuck.write_all(&request(Command(111), b"abc")[..11]).expect("part");
    while server.connections().current < 1 {
        tokio::task::yield_now().await;
    }
    server.shutdown(Duration::from_millis(100)).await;
    assert!(is_closed(&mut stuck));
}

#[test]
fn a_client_that_closes_in_the_middle_leaves_the_server_well() {
    let server = start(|_| {});
    let mut client = connect(&server);
    client.write_all(&request(Command::UPLOAD_FILE, &[1; 1000])[..500]).expect("part");
    client.shutdown(Shutdown::Both).expect("shutdown");
    let mut next = connect(&server);
    next.write_all(&request(Command(111), b"a")).expect("request");
    assert_eq!(answer(&mut next).1, b"a");
}
