//! The pool's promises, against the server of this crate.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use fdfs_proto::{Command, Header, Status};

use super::{Pool, PoolConfig};
use crate::{CallError, Connection, Limits, NetError, Server, Service, listen};

/// Echoes; refuses command 12 with an error, and 11 before its body is read.
struct Echo;

impl Service for Echo {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        while let Ok(Some(header)) = connection.next_request().await {
            let done = match header.command {
                Command::UPLOAD_FILE => {
                    let _ = connection.respond_status(Status::ENOSPC).await;
                    break;
                }
                Command::DELETE_FILE => connection.respond_status(Status::ENOENT).await,
                Command::APPEND_FILE => {
                    let mut sum = 0_u64;
                    while let Ok(Some(chunk)) = connection.next_chunk().await {
                        sum += chunk.len() as u64;
                    }
                    connection.respond(&sum.to_be_bytes()).await
                }
                Command::UPLOAD_FRAMED => match sum_of_frames(&mut connection).await {
                    Ok(sum) => connection.respond(&sum.to_be_bytes()).await,
                    Err(error) => Err(error),
                },
                _ => match connection.read_body(1 << 20).await.map(<[u8]>::to_vec) {
                    Ok(body) => connection.respond(&body).await,
                    Err(error) => Err(error),
                },
            };
            if done.is_err() {
                return;
            }
        }
        connection.close().await;
    }
}

/// Reads frames, each a length byte and so many bytes, up to one without any.
async fn sum_of_frames(connection: &mut Connection) -> Result<u64, NetError> {
    let mut sum = 0;
    loop {
        connection.extend_body(1);
        let length = u64::from(connection.read_prefix(1).await?[0]);
        if length == 0 {
            return Ok(sum);
        }
        connection.extend_body(length);
        while let Some(chunk) = connection.next_chunk().await? {
            sum += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }
}

fn start(port: u16) -> Server {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], port)), false).expect("listen");
    Server::start(Limits { threads: 1, ..Limits::new("test") }, vec![listener], Arc::new(Echo))
        .expect("start")
}

fn pool() -> Arc<Pool> {
    Pool::new(PoolConfig { network_timeout: Duration::from_secs(5), ..PoolConfig::default() })
}

#[tokio::test]
async fn a_connection_is_kept_after_success_and_dropped_after_an_error() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    for _ in 0..3 {
        assert_eq!(pool.call(address, Command(111), b"hello", 5).await.expect("answer"), b"hello");
    }
    assert_eq!((pool.idle(address), server.connections().max), (1, 1));
    let refused = pool.call(address, Command::DELETE_FILE, b"", 0).await;
    assert!(matches!(refused, Err(CallError::Status(Status::ENOENT))), "{refused:?}");
    assert_eq!(pool.idle(address), 0);
}

#[tokio::test]
async fn an_answer_above_the_limit_is_an_error() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    let refused = pool.call(address, Command(111), b"hello", 4).await;
    assert!(matches!(refused, Err(CallError::Net(NetError::TooLong { length: 5, limit: 4 }))), "{refused:?}");
    assert_eq!(pool.idle(address), 0);
}

#[tokio::test]
async fn a_kept_connection_to_a_restarted_server_is_replaced() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    assert_eq!(pool.call(address, Command(111), b"a", 1).await.expect("answer"), b"a");
    server.shutdown(Duration::from_secs(5)).await;
    let _server = start(address.port());
    assert_eq!(pool.call(address, Command(111), b"b", 1).await.expect("answer"), b"b");
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let server = start(0);
    let address = server.addresses()[0];
    server.shutdown(Duration::from_secs(5)).await;
    let refused = pool().call(address, Command(111), b"", 0).await;
    assert!(matches!(refused, Err(CallError::Connect(_))), "{refused:?}");
}

#[tokio::test]
async fn a_body_goes_out_in_pieces_and_from_a_file() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(&[9; 100_000]).expect("content");
    let mut lease = pool.lease(address).await.expect("connection");
    lease.send(Header::request(Command::APPEND_FILE, 100_110), &[1; 10]).await.expect("head");
    lease.send_body(&[2; 100]).await.expect("piece");
    lease.send_file(&file, 0, 100_000).await.expect("file");
    assert_eq!(lease.receive().await.expect("header").length, 8);
    assert_eq!(lease.next_chunk().await.expect("body"), Some(&100_110_u64.to_be_bytes()[..]));
    drop(lease);
    assert_eq!(pool.idle(address), 1);
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_is_seen() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    let mut lease = pool.lease(address).await.expect("connection");
    lease.send(Header::request(Command::UPLOAD_FILE, 1 << 40), b"").await.expect("head");
    let refused = loop {
        if let Err(error) = lease.send_body(&[0; 65_536]).await {
            break error;
        }
    };
    assert!(matches!(refused, CallError::Status(Status::ENOSPC)), "{refused:?}");
    drop(lease);
    assert_eq!(pool.idle(address), 0);
}

#[tokio::test]
async fn outgoing_connections_leave_from_the_bound_address() {
    let server = start(0);
    let bind = Some([127, 0, 0, 9].into());
    let pool = Pool::new(PoolConfig { bind, ..PoolConfig::default() });
    let lease = pool.lease(server.addresses()[0]).await.expect("connection");
    assert_eq!(lease.local().expect("address").ip(), std::net::IpAddr::from([127, 0, 0, 9]));
}

#[tokio::test]
async fn frames_behind_the_body_are_sent_and_read_without_a_length() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    for _ in 0..2 {
        let mut lease = pool.lease(address).await.expect("connection");
        lease.send(Header::request(Command::UPLOAD_FRAMED, 0), b"").await.expect("head");
        for frame in [&[2, 3, 4][..], &[1], &[9, 0]] {
            lease.send_uncounted(frame).await.expect("frame");
        }
        let header = lease.receive().await.expect("answer");
        assert_eq!(lease.read_body(header.length as usize).await.expect("body"), 16_u64.to_be_bytes());
    }
    assert_eq!(server.connections().max, 1);
}

#[tokio::test]
async fn a_closed_lease_does_not_come_back() {
    let server = start(0);
    let (pool, address) = (pool(), server.addresses()[0]);
    let mut lease = pool.lease(address).await.expect("connection");
    assert_eq!(lease.call(Command(111), b"a", 1).await.expect("answer"), b"a");
    lease.close();
    assert_eq!(pool.idle(address), 0);
}
