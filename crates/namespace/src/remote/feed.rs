//! The stream of changes at the service.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, stream};
use tokio::sync::{broadcast, mpsc, watch};
use tonic::Status;

use super::service::{read_rows, status};
use super::{HEARTBEAT, wire};
use crate::changes::{self, Change};
use crate::engine::{Engine, EngineError, PAGE, Read, Row};
use crate::{keys, rows};

/// What a call for changes is answered with.
pub(super) type FeedStream = Pin<Box<dyn Stream<Item = Result<wire::ChangesReply, Status>> + Send>>;

/// One reader of the log.
pub(super) struct Feed {
    engine: Arc<dyn Engine>,
    request: wire::ChangesRequest,
    cursors: BTreeMap<u64, u64>,
}

impl Feed {
    /// A reader that saw what `request` says.
    pub(super) fn new(engine: Arc<dyn Engine>, request: wire::ChangesRequest) -> Self {
        let cursors = request.cursors.iter().map(|cursor| (cursor.writer, cursor.sequence)).collect();
        Self { engine, request, cursors }
    }

    /// Sends until the reader is gone or the service ends. A reader that is slow holds up nobody but itself.
    pub(super) fn stream(
        mut self,
        hints: broadcast::Receiver<Change>,
        stopped: watch::Receiver<bool>,
    ) -> FeedStream {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            if let Err(error) = self.run(&sender, hints, stopped).await {
                let _ = sender.send(Err(status(&error))).await;
            }
        });
        Box::pin(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
    }

    async fn run(
        &mut self,
        sender: &mpsc::Sender<Result<wire::ChangesReply, Status>>,
        mut hints: broadcast::Receiver<Change>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), EngineError> {
        let mut reply = self.begin().await?;
        loop {
            let more = reply.rows.len() == PAGE;
            if sender.send(Ok(reply)).await.is_err() {
                return Ok(());
            }
            if !more {
                tokio::select! {
                    // Lagging behind the hints is no fault: the rows tell.
                    _ = hints.recv() => {}
                    () = tokio::time::sleep(HEARTBEAT) => {}
                    () = sender.closed() => return Ok(()),
                    _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
                }
            }
            reply = self.next().await?;
        }
    }

    /// The first answer: where the stream begins, and whether the reader missed something.
    async fn begin(&mut self) -> Result<wire::ChangesReply, EngineError> {
        let request = self.request.clone();
        let read = move |read: &dyn Read| {
            let store = read.get(&keys::stamp())?.unwrap_or_default();
            let reset = store != request.store || is_old(request.time) || is_trimmed(read, &request.cursors)?;
            let mut cursors = request.cursors.clone();
            if reset {
                cursors.clear();
                for writer in changes::writers(read)? {
                    let sequence = changes::last_sequence(read, writer)?;
                    cursors.push(wire::Cursor { writer, sequence });
                }
            }
            Ok(wire::ChangesReply { rows: Vec::new(), time: now_ms(), store, reset, cursors })
        };
        let reply = read_rows(Arc::clone(&self.engine), read).await?;
        self.cursors = reply.cursors.iter().map(|cursor| (cursor.writer, cursor.sequence)).collect();
        if reply.reset {
            metrics::counter!("fdfs_namespace_service_resets_total").increment(1);
        }
        Ok(reply)
    }

    /// What came since.
    async fn next(&mut self) -> Result<wire::ChangesReply, EngineError> {
        let cursors = self.cursors.clone();
        let read = move |read: &dyn Read| {
            let store = read.get(&keys::stamp())?.unwrap_or_default();
            let mut found: Vec<Row> = Vec::new();
            for writer in changes::writers(read)? {
                let seen = cursors.get(&writer).copied().unwrap_or_default();
                let from = keys::change(writer, seen.saturating_add(1));
                found.extend(rows::scan(read, &keys::changes(writer), &from, PAGE - found.len())?);
            }
            Ok((store, found))
        };
        // The time is taken before the rows: a reader that was told it has seen all that came before it.
        let time = now_ms();
        let (store, found) = read_rows(Arc::clone(&self.engine), read).await?;
        for (key, _) in &found {
            self.cursors.insert(keys::number_at(key, 1), keys::number_at(key, 9));
        }
        let rows = found.into_iter().map(|(key, value)| wire::Row { key, value }).collect();
        Ok(wire::ChangesReply { rows, time, store, reset: false, cursors: Vec::new() })
    }
}

/// True where rows may have been trimmed since.
fn is_old(time: u64) -> bool {
    now_ms().saturating_sub(time) > u64::try_from(LOG_KEPT.as_millis()).unwrap_or(u64::MAX)
}

/// True where the row of a cursor is gone: those after it may be, too.
fn is_trimmed(read: &dyn Read, cursors: &[wire::Cursor]) -> Result<bool, EngineError> {
    for cursor in cursors.iter().filter(|cursor| cursor.sequence > 0) {
        if read.get(&keys::change(cursor.writer, cursor.sequence))?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Answers that wait for a slow reader.
const AHEAD: usize = 4;
/// Rows are trimmed after an hour; a reader that was away nearly as long begins anew.
const LOG_KEPT: Duration = Duration::from_secs(3_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, Namespace, NewBucket};

    #[tokio::test]
    async fn a_reader_goes_on_at_its_cursors_or_is_told_that_it_missed_something() {
        let namespace = Namespace::in_memory(Defaults::default()).unwrap();
        let (engine, _) = namespace.engine_and_announcements();
        let feed = |request: &wire::ChangesRequest| Feed::new(Arc::clone(&engine), request.clone());
        namespace.create_bucket("one", NewBucket::default()).await.unwrap();

        let begun = feed(&wire::ChangesRequest::default()).begin().await.unwrap();
        assert!(begun.reset && begun.cursors.iter().any(|cursor| cursor.writer == namespace.session()));
        let seen = wire::ChangesRequest { cursors: begun.cursors, time: begun.time, store: begun.store };
        let nothing = feed(&seen).next().await.unwrap();
        assert!(nothing.rows.is_empty());

        namespace.create_bucket("two", NewBucket::default()).await.unwrap();
        let mut resumed = feed(&seen);
        assert!(!resumed.begin().await.unwrap().reset);
        assert!(!resumed.next().await.unwrap().rows.is_empty());
        assert!(resumed.next().await.unwrap().rows.is_empty());

        let elsewhere = wire::ChangesRequest { store: b"another".to_vec(), ..seen.clone() };
        assert!(feed(&elsewhere).begin().await.unwrap().reset);
        let long_ago = wire::ChangesRequest { time: seen.time - 3_100_000, ..seen.clone() };
        assert!(feed(&long_ago).begin().await.unwrap().reset);
        while !namespace.changes_after(namespace.session(), 0, 1).await.unwrap().is_empty() {
            namespace.trim_changes(Duration::ZERO).await.unwrap();
        }
        assert!(feed(&seen).begin().await.unwrap().reset);
    }
}
