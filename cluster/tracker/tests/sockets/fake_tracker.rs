//! A tracker that leads by its own account, until it freezes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fdfs_proto::cluster::PingLeaderResponse;
use fdfs_proto::tracker::TrackerStatusResponse;
use fdfs_proto::{Command, Header, Status, response_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A tracker that knows nothing at first, then leads, and at last is frozen: connections are accepted
/// by its system, and nothing is ever answered.
#[derive(Clone)]
pub(crate) struct FakeTracker {
    pub(crate) address: SocketAddr,
    state: Arc<AtomicU32>,
    pings: Arc<AtomicU32>,
    refusals: Arc<AtomicU32>,
}

const NEWCOMER: u32 = 0;
const LEADER: u32 = 1;
const FROZEN: u32 = 2;
const REFUSES: u32 = 3;

impl FakeTracker {
    pub(crate) async fn start(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let fake = Self { address, state: Arc::default(), pings: Arc::default(), refusals: Arc::default() };
        let served = fake.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a listening socket");
                tokio::spawn(served.clone().serve(stream));
            }
        });
        fake
    }

    pub(crate) fn lead(&self) {
        self.state.store(LEADER, Ordering::SeqCst);
    }

    pub(crate) fn freeze(&self) {
        self.state.store(FROZEN, Ordering::SeqCst);
    }

    /// From now on it is a tracker without groups that takes no leader.
    pub(crate) fn refuse(&self) {
        self.state.store(REFUSES, Ordering::SeqCst);
    }

    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.load(Ordering::SeqCst)
    }

    pub(crate) fn pings(&self) -> u32 {
        self.pings.load(Ordering::SeqCst)
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut header = [0; Header::LEN];
        while stream.read_exact(&mut header).await.is_ok() {
            let header = Header::decode(&header).expect("a tracker sends good headers");
            let mut body = vec![0; usize::try_from(header.length).expect("a short request")];
            stream.read_exact(&mut body).await.expect("a whole request");
            let answer = match (self.state.load(Ordering::SeqCst), header.command) {
                (FROZEN, _) => std::future::pending().await,
                (REFUSES, Command::NOTIFY_NEXT_LEADER) => {
                    self.refusals.fetch_add(1, Ordering::SeqCst);
                    Header::answer(Status::ENOENT).encode().to_vec()
                }
                (NEWCOMER | REFUSES, _) => Header::answer(Status::ENOENT).encode().to_vec(),
                (_, Command::TRACKER_GET_STATUS) => response_frame(&TrackerStatusResponse {
                    is_leader: true,
                    running_time: 3000,
                    restart_interval: 0,
                }),
                (_, Command::TRACKER_PING_LEADER) => {
                    self.pings.fetch_add(1, Ordering::SeqCst);
                    response_frame(&PingLeaderResponse::default())
                }
                (_, Command::TRACKER_JOIN_LEADER) => Header::answer(Status::OK).encode().to_vec(),
                _ => Header::answer(Status::EINVAL).encode().to_vec(),
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}
