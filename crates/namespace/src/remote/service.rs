//! The calls as the service answers them.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status};

use super::commit::CommitJob;
use super::feed::{Feed, FeedStream};
use super::snapshot::{self, SnapshotStream};
use super::wire::rows_server::Rows;
use super::{COMMIT_DEADLINE, MAX_ANSWER, MAX_RANGES, MAX_READS, READ_DEADLINE, Secret, wire};
use crate::engine::{Engine, EngineError, PAGE, Read};
use crate::settings::Announcer;

/// The rows of an engine for others.
pub(super) struct RowService {
    pub(super) engine: Arc<dyn Engine>,
    /// Where changes of all processes are announced to those of this one.
    pub(super) announce: Announcer,
    pub(super) secret: Option<Secret>,
    /// True when the service ends.
    pub(super) stopped: watch::Receiver<bool>,
}

impl RowService {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.secret.as_ref().map_or(Ok(()), |secret| secret.verify(request.metadata()))
    }

    /// Reads on a thread that may.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&dyn Read) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let answered = tokio::time::timeout(READ_DEADLINE, read_rows(Arc::clone(&self.engine), read)).await;
        let result = answered.map_err(|_| Status::deadline_exceeded("the store gives no answer"))?;
        result.map(Response::new).map_err(|error| status(&error))
    }
}

#[tonic::async_trait]
impl Rows for RowService {
    type ChangesStream = FeedStream;
    type SnapshotStream = SnapshotStream;

    async fn snapshot(
        &self,
        request: Request<wire::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        self.check(&request)?;
        Ok(Response::new(snapshot::stream(Arc::clone(&self.engine))))
    }

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetReply>, Status> {
        self.check(&request)?;
        let keys = request.into_inner().keys;
        if keys.is_empty() || keys.len() > PAGE {
            return Err(Status::invalid_argument("1 to 1,000 keys are read at once"));
        }
        self.read(move |read| {
            let (mut values, mut bytes) = (Vec::new(), 0);
            for key in &keys {
                let value = read.get(key)?;
                bytes += ROW_COST + value.as_ref().map_or(0, Vec::len);
                if bytes > MAX_ANSWER && !values.is_empty() {
                    break;
                }
                values.push(wire::Value { value });
            }
            Ok(wire::GetReply { values })
        })
        .await
    }

    async fn range(
        &self,
        request: Request<wire::RangesRequest>,
    ) -> Result<Response<wire::RangesReply>, Status> {
        self.check(&request)?;
        let asked = request.into_inner().ranges;
        if asked.is_empty() || asked.len() > PAGE {
            return Err(Status::invalid_argument("1 to 1,000 ranges are read at once"));
        }
        self.read(move |read| {
            let (mut ranges, mut bytes) = (Vec::new(), 0);
            for range in &asked {
                let page = page(read, range)?;
                bytes += ROW_COST + size(&page);
                if bytes > MAX_ANSWER && !ranges.is_empty() {
                    break;
                }
                ranges.push(page);
            }
            Ok(wire::RangesReply { ranges })
        })
        .await
    }

    async fn commit(
        &self,
        request: Request<wire::CommitRequest>,
    ) -> Result<Response<wire::CommitReply>, Status> {
        self.check(&request)?;
        let request = request.into_inner();
        let too_many =
            request.keys.len().max(request.writes.len()) > MAX_READS || request.ranges.len() > MAX_RANGES;
        if too_many {
            return Err(Status::invalid_argument("the transaction is too large"));
        }
        let (answer, answered) = oneshot::channel();
        let reply = Err(EngineError::Stopped("it did not run".to_owned()));
        let announce = self.announce.clone();
        self.engine.submit(Box::new(CommitJob { request, reply, announce, answer }));
        let answered = tokio::time::timeout(COMMIT_DEADLINE, answered).await;
        let reply = answered
            .map_err(|_| Status::deadline_exceeded("the store gives no answer"))?
            .map_err(|_| Status::unavailable("the store is closing"))?;
        let reply = reply.map_err(|error| status(&error))?;
        if reply.outcome() != wire::commit_reply::Outcome::Committed {
            metrics::counter!("fdfs_namespace_service_conflicts_total").increment(1);
        }
        Ok(Response::new(reply))
    }

    async fn changes(
        &self,
        request: Request<wire::ChangesRequest>,
    ) -> Result<Response<Self::ChangesStream>, Status> {
        self.check(&request)?;
        let feed = Feed::new(Arc::clone(&self.engine), request.into_inner());
        Ok(Response::new(feed.stream(self.announce.subscribe(), self.stopped.clone())))
    }
}

/// Reads on a snapshot, on a thread that may.
pub(super) async fn read_rows<T: Send + 'static>(
    engine: Arc<dyn Engine>,
    read: impl Fn(&dyn Read) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let inline = engine.reads_inline();
    let run = move || {
        let mut result = Err(EngineError::Stopped("it did not run".to_owned()));
        engine.read(&mut |rows| {
            result = read(rows);
            Ok(())
        })?;
        result
    };
    if inline {
        return run();
    }
    tokio::task::spawn_blocking(run)
        .await
        .unwrap_or_else(|error| Err(EngineError::Panicked(error.to_string())))
}

/// One page of a range, cut where it does not fit into an answer.
pub(super) fn page(read: &dyn Read, range: &wire::RangeRequest) -> Result<wire::RangeReply, EngineError> {
    let limit = usize::try_from(range.limit).unwrap_or(PAGE).min(PAGE);
    let mut reply = wire::RangeReply::default();
    let mut bytes = 0;
    for (key, value) in read.range(&range.from, &range.to, limit)? {
        bytes += ROW_COST + key.len() + value.len();
        if bytes > MAX_ANSWER && !reply.rows.is_empty() {
            reply.cut = true;
            break;
        }
        reply.rows.push(wire::Row { key, value });
    }
    Ok(reply)
}

/// Bytes of a page's rows.
pub(super) fn size(page: &wire::RangeReply) -> usize {
    page.rows.iter().map(|row| ROW_COST + row.key.len() + row.value.len()).sum()
}

/// What a fault of the engine is on the wire.
pub(super) fn status(error: &EngineError) -> Status {
    let text = error.to_string();
    match error {
        EngineError::Stopped(_) | EngineError::InUse(_) => Status::failed_precondition(text),
        EngineError::Unavailable(_) => Status::unavailable(text),
        EngineError::Refused(_) => Status::permission_denied(text),
        EngineError::KeyTooLong(_) => Status::invalid_argument(text),
        EngineError::NoSpace | EngineError::Panicked(_) | EngineError::Store(_) => Status::internal(text),
    }
}

/// Bytes that a row takes in a message beside its own, rounded up.
const ROW_COST: usize = 16;
