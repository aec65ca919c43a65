//! Members, strangers and those with another secret, over real sockets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fdfs_proto::{
    Command, Decode, Header, Request, Status,
    ours::{Challenge, ChallengeRequest, ClusterSecret, Nonce, Proof, ProofRequest, ProofResponse},
};

use super::{SecretError, SharedSecret};
use crate::{CallError, Connection, Limits, Pool, PoolConfig, Server, Service, listen};

/// Echoes every request, and takes note of its command.
#[derive(Default)]
struct Echo {
    heard: Mutex<Vec<Command>>,
}

impl Service for Echo {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        while let Ok(Some(header)) = connection.next_request().await {
            self.heard.lock().expect("lock").push(header.command);
            let status = if header.command.is_ours() { Status::EINVAL } else { Status::OK };
            let body = connection.read_body(1 << 20).await.expect("body").to_vec();
            let answered = if status.is_ok() {
                connection.respond(&body).await
            } else {
                connection.respond_status(status).await
            };
            if answered.is_err() {
                return;
            }
        }
        connection.close().await;
    }
}

/// Accepts every proof and returns it as its own.
struct Mirror;

impl Service for Mirror {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        while let Ok(Some(header)) = connection.next_request().await {
            let body = connection.read_body(1 << 20).await.expect("body").to_vec();
            let answered = match header.command {
                Command::MEMBER_CHALLENGE => connection.respond_message(&Challenge(Nonce([1; 32]))).await,
                Command::MEMBER_PROOF => {
                    let proof = ProofRequest::decode(&body).expect("proof").proof;
                    connection.respond_message(&ProofResponse(proof)).await
                }
                _ => connection.respond(&body).await,
            };
            answered.expect("answer");
        }
    }
}

fn secret(text: &str) -> SharedSecret {
    SharedSecret::new(ClusterSecret::new(text.as_bytes()).expect("long enough"))
}

fn serve(secret: Option<SharedSecret>, service: Arc<impl Service>) -> Server {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), false).expect("listen");
    let limits = Limits { threads: 1, secret, ..Limits::new("test") };
    Server::start(limits, vec![listener], service).expect("start")
}

fn pool(secret: Option<SharedSecret>) -> Arc<Pool> {
    let timeout = Duration::from_secs(5);
    Pool::new(PoolConfig {
        connect_timeout: timeout,
        network_timeout: timeout,
        secret,
        ..PoolConfig::default()
    })
}

/// A connection that speaks in bytes.
struct Raw(TcpStream);

impl Raw {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addresses()[0]).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        Self(stream)
    }

    fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, Status> {
        self.call(R::COMMAND, &request.encode()).map(|body| R::Response::decode(&body).expect("answer"))
    }

    fn call(&mut self, command: Command, body: &[u8]) -> Result<Vec<u8>, Status> {
        let request = [&Header::request(command, body.len() as u64).encode(), body].concat();
        self.0.write_all(&request).expect("send");
        let mut head = [0; Header::LEN];
        self.0.read_exact(&mut head).expect("header");
        let header = Header::decode(&head).expect("header");
        let mut body = vec![0; header.length as usize];
        self.0.read_exact(&mut body).expect("body");
        if header.status.is_ok() { Ok(body) } else { Err(header.status) }
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }
}

#[tokio::test]
async fn members_that_share_the_secret_are_served_and_keep_their_connection() {
    let echo = Arc::new(Echo::default());
    let server = serve(Some(secret("the same for everybody")), Arc::clone(&echo));
    let (pool, address) = (pool(Some(secret("the same for everybody"))), server.addresses()[0]);
    for _ in 0..3 {
        assert_eq!(pool.call(address, Command::JOIN, b"hello", 5).await.expect("answer"), b"hello");
    }
    assert_eq!((pool.idle(address), server.connections().max), (1, 1));
    assert_eq!(*echo.heard.lock().expect("lock"), [Command::JOIN; 3], "the service sees no proofs");
}

#[test]
fn a_stranger_is_refused_the_commands_of_members_and_no_others() {
    let echo = Arc::new(Echo::default());
    let server = serve(Some(secret("the same for everybody")), Arc::clone(&echo));
    for command in Command::ALL.iter().filter(|command| command.is_for_members()) {
        let mut stranger = Raw::connect(&server);
        assert_eq!(stranger.call(Command::ACTIVE_TEST, b"still"), Ok(b"still".to_vec()));
        assert_eq!(stranger.call(*command, &[7; 100_000]), Err(Status::EACCES), "{command}");
        assert!(stranger.is_closed(), "{command}");
    }
    let mut client = Raw::connect(&server);
    for command in [Command::UPLOAD_FILE, Command::DOWNLOAD_FILE, Command::QUERY_STORE_ONE] {
        assert_eq!(client.call(command, b"content"), Ok(b"content".to_vec()));
    }
    assert!(echo.heard.lock().expect("lock").iter().all(|command| !command.is_for_members()));
}

#[tokio::test]
async fn another_secret_is_refused_with_a_word_on_what_to_do() {
    let echo = Arc::new(Echo::default());
    let server = serve(Some(secret("the same for everybody")), Arc::clone(&echo));
    let refused = pool(Some(secret("not the same at all"))).lease(server.addresses()[0]).await.map(drop);
    let Err(CallError::Secret(error @ SecretError::Refused)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("cluster_secret_file"), "{error}");
    assert!(echo.heard.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn a_peer_without_a_secret_is_not_talked_to() {
    let server = serve(None, Arc::new(Echo::default()));
    let refused = pool(Some(secret("the same for everybody"))).lease(server.addresses()[0]).await.map(drop);
    assert!(matches!(refused, Err(CallError::Secret(SecretError::Unknown(Status::EINVAL)))), "{refused:?}");
}

#[tokio::test]
async fn a_peer_that_accepts_every_proof_and_sends_it_back_is_no_member() {
    let server = serve(None, Arc::new(Mirror));
    let refused = pool(Some(secret("the same for everybody"))).lease(server.addresses()[0]).await.map(drop);
    assert!(matches!(refused, Err(CallError::Secret(SecretError::Unproved))), "{refused:?}");
}

#[tokio::test]
async fn without_a_secret_everything_is_as_it_was() {
    let echo = Arc::new(Echo::default());
    let server = serve(None, Arc::clone(&echo));
    let (pool, address) = (pool(None), server.addresses()[0]);
    assert_eq!(pool.call(address, Command::JOIN, b"hello", 5).await.expect("answer"), b"hello");
    let unknown = pool.call(address, Command::MEMBER_CHALLENGE, b"", 0).await;
    assert!(matches!(unknown, Err(CallError::Status(Status::EINVAL))), "{unknown:?}");
}

#[test]
fn a_challenge_is_for_one_proof() {
    let text = "the same for everybody";
    let server = serve(Some(secret(text)), Arc::new(Echo::default()));
    let plain = ClusterSecret::new(text.as_bytes()).expect("long enough");
    let mut member = Raw::connect(&server);
    let challenge = member.ask(&ChallengeRequest).expect("challenge");
    let (proof, expectation) = plain.prove(&challenge, Nonce([9; 32]));
    let response = member.ask(&proof).expect("the same secret");
    assert_eq!(expectation.check(&response), Ok(()));
    assert_eq!(member.call(Command::JOIN, b"hello"), Ok(b"hello".to_vec()));
    assert_eq!(member.ask(&proof), Err(Status::EACCES), "the same once more");
    assert!(member.is_closed());

    // Overheard, and tried on connections of the listener's own.
    let mut listener = Raw::connect(&server);
    assert_eq!(listener.ask(&proof), Err(Status::EACCES), "without a challenge");
    assert!(listener.is_closed());
    let mut listener = Raw::connect(&server);
    assert_ne!(listener.ask(&ChallengeRequest), Ok(challenge), "challenges do not repeat");
    assert_eq!(listener.ask(&proof), Err(Status::EACCES));
    assert!(listener.is_closed());

    let mut guesser = Raw::connect(&server);
    guesser.ask(&ChallengeRequest).expect("challenge");
    let guess = ProofRequest { nonce: Nonce([0; 32]), proof: Proof::new([0; 32]) };
    assert_eq!(guesser.ask(&guess), Err(Status::EACCES));
    assert!(guesser.is_closed());
}

#[test]
fn a_malformed_proof_ends_the_conversation() {
    let server = serve(Some(secret("the same for everybody")), Arc::new(Echo::default()));
    for (command, length) in [
        (Command::MEMBER_CHALLENGE, 1),
        (Command::MEMBER_CHALLENGE, 100_000),
        (Command::MEMBER_PROOF, 0),
        (Command::MEMBER_PROOF, 63),
        (Command::MEMBER_PROOF, 65),
    ] {
        let mut peer = Raw::connect(&server);
        assert_eq!(peer.call(command, &vec![0; length]), Err(Status::EINVAL), "{command} of {length}");
        assert!(peer.is_closed(), "{command} of {length}");
    }
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up_in_the_time_for_connecting() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let config = PoolConfig {
        connect_timeout: Duration::from_millis(200),
        secret: Some(secret("the same for everybody")),
        ..PoolConfig::default()
    };
    let begun = Instant::now();
    let refused = Pool::new(config).lease(silent.local_addr().expect("address")).await.map(drop);
    assert!(matches!(refused, Err(CallError::Connect(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_secret_is_never_shown() {
    assert_eq!(format!("{:?}", secret("the same for everybody")), "SharedSecret");
}
