//! A snapshot at the service: all rows, as fast as they are taken.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tonic::Status;

use super::service::status;
use super::{MAX_ANSWER, wire};
use crate::engine::{Engine, EngineError};

/// What a call for a snapshot is answered with.
pub(super) type SnapshotStream = Pin<Box<dyn Stream<Item = Result<wire::SnapshotReply, Status>> + Send>>;

/// Reads all rows of one snapshot on a thread that may. Who does not take them in time loses it: a snapshot that is held keeps space from being reused.
pub(super) fn stream(engine: Arc<dyn Engine>) -> SnapshotStream {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let send = |reply| {
            let sent = runtime.block_on(tokio::time::timeout(PATIENCE, sender.send(reply)));
            matches!(sent, Ok(Ok(())))
                .then_some(())
                .ok_or_else(|| EngineError::Stopped("nobody takes it".to_owned()))
        };
        let result = engine.snapshot(&mut |rows| {
            let mut reply = wire::SnapshotReply::default();
            let mut bytes = 0;
            for (key, value) in rows {
                bytes += key.len() + value.len();
                reply.rows.push(wire::Row { key, value });
                if bytes > MAX_ANSWER {
                    send(Ok(std::mem::take(&mut reply)))?;
                    bytes = 0;
                }
            }
            send(Ok(reply))
        });
        let end = match result {
            Ok(()) => Ok(wire::SnapshotReply { rows: Vec::new(), done: true }),
            Err(error) => Err(status(&error)),
        };
        // Who is gone does not want to know.
        let _ = send(end);
    });
    Box::pin(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
}

/// Messages that wait for a slow reader.
const AHEAD: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
