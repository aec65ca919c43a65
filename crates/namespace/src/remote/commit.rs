//! A commit at the service: compare, then write, in one transaction of the engine.

use tokio::sync::oneshot;

use super::{MAX_ANSWER, digest, service, wire};
use crate::changes;
use crate::engine::{EngineError, Job, Read, Txn};
use crate::keys;
use crate::settings::Announcer;

/// A commit on its way through the engine.
pub(super) struct CommitJob {
    /// What was read and is to be written.
    pub(super) request: wire::CommitRequest,
    /// What became of it.
    pub(super) reply: Result<wire::CommitReply, EngineError>,
    /// Where what was committed is told.
    pub(super) announce: Announcer,
    /// Who waits.
    pub(super) answer: oneshot::Sender<Result<wire::CommitReply, EngineError>>,
}

impl CommitJob {
    /// Compares what was read with what is there; tells what is there where they differ.
    fn compare(&self, read: &dyn Read) -> Result<wire::CommitReply, EngineError> {
        let mut fresh = wire::CommitReply::default();
        let (mut same, mut bytes) = (true, 0);
        for asked in &self.request.keys {
            let value = read.get(&asked.key)?;
            same &= value.as_deref().map(digest::of_value) == asked.digest;
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes <= MAX_ANSWER {
                fresh.values.push(wire::Value { value });
            }
        }
        for asked in &self.request.ranges {
            let page = service::page(read, &asked.range.clone().unwrap_or_default())?;
            same &= digest::of_page(&page) == asked.digest;
            bytes += service::size(&page);
            if bytes <= MAX_ANSWER {
                fresh.ranges.push(page);
            }
        }
        let outcome = wire::commit_reply::Outcome::Committed;
        if same {
            return Ok(wire::CommitReply { outcome: outcome.into(), ..Default::default() });
        }
        if bytes > MAX_ANSWER {
            fresh = wire::CommitReply::default();
        }
        fresh.set_outcome(wire::commit_reply::Outcome::Conflict);
        Ok(fresh)
    }
}

impl Job for CommitJob {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        self.reply = self.compare(txn);
        let same =
            matches!(&self.reply, Ok(reply) if reply.outcome() == wire::commit_reply::Outcome::Committed);
        if same {
            for write in &self.request.writes {
                match &write.value {
                    Some(value) => txn.put(write.key.clone(), value.clone()),
                    None => txn.delete(&write.key),
                }
            }
        }
        same
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        let reply = match outcome {
            Ok(()) => self.reply,
            Err(EngineError::NoSpace) => {
                let outcome = wire::commit_reply::Outcome::NoSpace.into();
                Ok(wire::CommitReply { outcome, ..Default::default() })
            }
            Err(error) => Err(error),
        };
        if matches!(&reply, Ok(reply) if reply.outcome() == wire::commit_reply::Outcome::Committed) {
            announce(&self.announce, &self.request.writes);
        }
        // Who gave up waiting does not want to know; what was committed is announced all the same.
        let _ = self.answer.send(reply);
    }
}

/// Tells this process, and through it every stream of changes, what another one committed.
fn announce(announce: &Announcer, writes: &[wire::Write]) {
    let rows = writes.iter().filter(|write| write.key.first() == Some(&keys::CHANGE));
    for (key, value) in rows.filter_map(|write| Some((&write.key, write.value.as_ref()?))) {
        if let Ok(Some(change)) = changes::of_row(key, value) {
            announce.send(change);
        }
    }
}
