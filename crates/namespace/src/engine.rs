//! What the namespace needs of a key-value store, and the stores that give it.
//!
//! An engine knows bytes and order, nothing of names. A transaction is a synchronous closure over a snapshot; what it
//! writes is buffered in a [`Txn`] and reaches the store at commit, with that of others. It may run more than once, so it
//! must not do anything but read and write rows.

mod lmdb;
mod memory;
mod postgres;
mod txn;

#[cfg(test)]
pub(crate) mod contract;

use std::any::Any;
use std::sync::Weak;

use thiserror::Error;

pub use lmdb::LmdbEngine;
pub use memory::MemoryEngine;
pub use postgres::PostgresEngine;
pub use txn::Txn;
pub(crate) use txn::Writes;

/// The most rows that one range may return: a transaction lives no longer than a page.
pub const PAGE: usize = 1_000;

/// The longest key in bytes; FORMAT.md.
pub const MAX_KEY: usize = 1_100;

/// A range and its limit, as [`Read::range`] takes them.
pub type Range = (Vec<u8>, Vec<u8>, usize);

/// A row's key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// An ordered, transactional store of byte keys.
pub trait Engine: Send + Sync + 'static {
    /// Runs `job` on a snapshot. It may block for as long as a page takes to read.
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError>;

    /// Queues `job`; it is run, committed with others, and told the outcome, on a thread of the engine's choice.
    fn submit(&self, job: Box<dyn Job>);

    /// As [`Engine::submit`], but may run and commit on the calling thread when nobody else is writing.
    fn submit_inline(&self, job: Box<dyn Job>) {
        self.submit(job);
    }

    /// True where a read costs microseconds and may be made on a thread that serves others.
    fn reads_inline(&self) -> bool;

    /// Who else may use the store at the same time.
    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    /// Gives all rows of one snapshot in the order of their keys, a page at a time. The snapshot lives for as long as that takes: for backups.
    fn snapshot(&self, take: &mut dyn FnMut(Vec<Row>) -> Result<(), EngineError>) -> Result<(), EngineError> {
        let (mut begun, mut result) = (false, Ok(()));
        self.read(&mut |read| {
            // An engine may run it again; what was taken cannot be taken back.
            result = match std::mem::replace(&mut begun, true) {
                false => all_rows(read, take),
                true => Err(EngineError::Unavailable("the snapshot was lost: begin anew".to_owned())),
            };
            Ok(())
        })?;
        result
    }

    /// Has `watcher` told of what other processes commit, for as long as it lives. Nothing comes of an engine that is not shared.
    fn watch(&self, _watcher: Weak<dyn Watcher>) {}
}

/// Who uses a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sharing {
    /// This process alone; through its service others may.
    Alone,
    /// Gateways beside each other.
    Database,
    /// This process, through the service of one that has it.
    Service,
}

/// Learns of changes that other processes committed.
pub trait Watcher: Send + Sync {
    /// Change rows were committed.
    fn committed(&self, rows: &[Row]);

    /// Some may have been missed: what is known must be dropped.
    fn missed(&self);

    /// Whether changes are told as they come from now on.
    fn follows(&self, _follows: bool) {}
}

/// Reading rows of a snapshot.
pub trait Read {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The values under `keys`, in their order.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Says what will be read soon, so that an engine whose rows are far away can fetch all of it at once.
    fn expect(&self, _keys: &[Vec<u8>], _ranges: &[Range]) -> Result<(), EngineError> {
        Ok(())
    }

    /// Up to `limit` rows (at most [`PAGE`]) with `from <= key < to`, in order of their keys.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError>;
}

/// A write that waits to be committed.
pub trait Job: Send {
    /// Reads and writes; true keeps what was written. It may be called again.
    fn run(&mut self, txn: &mut Txn<'_>) -> bool;

    /// What became of it: committed (or refused by itself), or failed in the engine.
    fn finish(self: Box<Self>, outcome: Result<(), EngineError>);
}

/// Why an engine could not do what was asked.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The disk or the map is full; nothing was written.
    #[error("the namespace has no space left")]
    NoSpace,
    /// A key is longer than the format allows.
    #[error("a key of {0} bytes is longer than {MAX_KEY}")]
    KeyTooLong(usize),
    /// The closure panicked; nothing of it was written.
    #[error("a transaction panicked: {0}")]
    Panicked(String),
    /// A commit failed earlier, or the engine is closing; nothing is written any more.
    #[error("the namespace has stopped: {0}")]
    Stopped(String),
    /// The store cannot be reached, or has too much to do; it may work later. Whether a write happened may not be known.
    #[error("the namespace is unavailable: {0}")]
    Unavailable(String),
    /// The store does not let this process in.
    #[error("the namespace refuses access: {0}")]
    Refused(String),
    /// Another process has the store for itself.
    #[error("the namespace is in use: {0}")]
    InUse(String),
    /// The store failed.
    #[error("namespace store: {0}")]
    Store(String),
}

fn all_rows(
    read: &dyn Read,
    take: &mut dyn FnMut(Vec<Row>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut from = vec![0];
    loop {
        let page = read.range(&from, &[u8::MAX], PAGE)?;
        let is_last = page.len() < PAGE;
        if let Some((last, _)) = page.last() {
            from = [last.as_slice(), &[0]].concat();
            take(page)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The first key after every key that begins with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The text of a caught panic.
fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// Runs a job on `base`; gives what is to be written, or why nothing is.
pub(crate) fn run_job(job: &mut dyn Job, base: &dyn Read) -> Result<Option<Writes>, EngineError> {
    let mut txn = Txn::new(base);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(&mut txn)));
    match caught {
        Ok(true) => txn.into_writes().map(Some),
        Ok(false) => Ok(None),
        Err(payload) => Err(EngineError::Panicked(panic_text(payload.as_ref()))),
    }
}
