//! Calls to the service, made from threads that may block; each has a deadline.

use std::error::Error as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::wire::rows_client::RowsClient;
use super::{COMMIT_DEADLINE, MAX_MESSAGE, READ_DEADLINE, Secret, wire};
use crate::engine::{EngineError, Row};

/// A connection that comes back by itself.
#[derive(Clone)]
pub(super) struct Caller {
    runtime: Handle,
    client: RowsClient<Channel>,
    address: SocketAddr,
    secret: Option<Secret>,
}

impl Caller {
    /// Connects when the first call is made.
    pub(super) fn new(
        runtime: Handle,
        address: SocketAddr,
        secret: Option<Secret>,
    ) -> Result<Self, EngineError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| EngineError::Store(format!("{address}: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        let client = RowsClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(Self { runtime, client, address, secret })
    }

    /// Values of keys, as many as fit.
    pub(super) fn get(&self, keys: Vec<Vec<u8>>) -> Result<wire::GetReply, EngineError> {
        self.read(wire::GetRequest { keys }, async |mut client: RowsClient<_>, request| {
            client.get(request).await
        })
    }

    /// Pages of ranges, as many as fit.
    pub(super) fn range(&self, ranges: Vec<wire::RangeRequest>) -> Result<wire::RangesReply, EngineError> {
        self.read(wire::RangesRequest { ranges }, async |mut client: RowsClient<_>, request| {
            client.range(request).await
        })
    }

    /// Compares and writes. It is sent once: an answer that is lost leaves open whether it happened.
    pub(super) fn commit(&self, commit: wire::CommitRequest) -> Result<wire::CommitReply, EngineError> {
        let (mut client, request) = (self.client.clone(), self.request(commit, COMMIT_DEADLINE));
        self.wait(COMMIT_DEADLINE, async move { client.commit(request).await })
    }

    /// The stream of changes.
    pub(super) async fn changes(
        &self,
        request: wire::ChangesRequest,
    ) -> Result<tonic::Streaming<wire::ChangesReply>, Status> {
        let mut request = Request::new(request);
        self.secret.iter().for_each(|secret| secret.sign(&mut request));
        let mut client = self.client.clone();
        let opened = tokio::time::timeout(READ_DEADLINE, client.changes(request)).await;
        opened.map_or_else(|_| Err(Status::deadline_exceeded("no answer")), |opened| Ok(opened?.into_inner()))
    }

    /// All rows of one snapshot, a piece at a time.
    pub(super) fn snapshot(
        &self,
        take: &mut dyn FnMut(Vec<Row>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut request = Request::new(wire::SnapshotRequest {});
        self.secret.iter().for_each(|secret| secret.sign(&mut request));
        let mut client = self.client.clone();
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        self.runtime.spawn(async move {
            let end = async {
                let mut stream = client.snapshot(request).await?.into_inner();
                while let Some(reply) = stream.message().await? {
                    let sender = sender.clone();
                    let sent = tokio::task::spawn_blocking(move || sender.send(Ok(reply))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        break;
                    }
                }
                Ok::<_, Status>(())
            };
            if let Err(status) = end.await {
                let _ = tokio::task::spawn_blocking(move || sender.send(Err(status))).await;
            }
        });
        loop {
            let lost = || {
                EngineError::Unavailable(format!("{}: the snapshot was cut off: begin anew", self.address))
            };
            let piece = pieces.recv_timeout(PIECE_DEADLINE).map_err(|_| lost())?;
            let reply = piece.map_err(|status| self.error(&status))?;
            let done = reply.done;
            take(reply.rows.into_iter().map(|row| (row.key, row.value)).collect())?;
            if done {
                return Ok(());
            }
        }
    }

    /// Makes a call that may be made again, until it is answered or its time is over.
    fn read<Q, A, F>(
        &self,
        message: Q,
        call: impl Fn(RowsClient<Channel>, Request<Q>) -> F + Send + 'static,
    ) -> Result<A, EngineError>
    where
        Q: Clone + Send + Sync + 'static,
        A: Send + 'static,
        F: Future<Output = Result<tonic::Response<A>, Status>> + Send,
    {
        let caller = self.clone();
        self.wait(READ_DEADLINE, async move {
            let end = Instant::now() + READ_DEADLINE;
            let mut pause = FIRST_PAUSE;
            loop {
                let left = end.saturating_duration_since(Instant::now());
                match call(caller.client.clone(), caller.request(message.clone(), left)).await {
                    Err(status) if status.code() == Code::Unavailable && pause * 2 < left => {
                        metrics::counter!("fdfs_namespace_remote_retries_total").increment(1);
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LAST_PAUSE);
                    }
                    result => return result,
                }
            }
        })
    }

    /// Waits on this thread, whatever thread it is, for a call on the engine's own runtime.
    fn wait<A: Send + 'static>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<tonic::Response<A>, Status>> + Send + 'static,
    ) -> Result<A, EngineError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let result = tokio::time::timeout(deadline, call)
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            // Who gave up waiting does not want to know.
            let _ = answer.send(result);
        });
        let result = answered
            .recv_timeout(deadline + DELIVERY)
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("the engine is closing")));
        result.map(tonic::Response::into_inner).map_err(|status| {
            metrics::counter!("fdfs_namespace_remote_failures_total").increment(1);
            self.error(&status)
        })
    }

    fn request<Q>(&self, message: Q, deadline: Duration) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        self.secret.iter().for_each(|secret| secret.sign(&mut request));
        request
    }

    /// What an answer that is none means to the namespace.
    pub(super) fn error(&self, status: &Status) -> EngineError {
        let mut text = format!("{}: {}", self.address, status.message());
        let mut source = status.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => EngineError::Refused(text),
            Code::FailedPrecondition => EngineError::Stopped(text),
            Code::Internal | Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
                EngineError::Store(text)
            }
            _ => EngineError::Unavailable(text),
        }
    }
}

/// Pieces of a snapshot that wait for who takes them.
const AHEAD: usize = 4;
/// How long the next piece of a snapshot may take.
const PIECE_DEADLINE: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may be silent before it is asked whether it lives, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// Beyond a call's own deadline: so long until its end is known here.
const DELIVERY: Duration = Duration::from_secs(1);
