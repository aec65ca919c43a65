//! Rows in LMDB: durable, one process, one committer.
//!
//! Writers queue; whoever holds the writer's lock takes the whole queue, runs every closure against one LMDB transaction, each over
//! an overlay of its own, commits once and then answers all. So one sync serves many writers, and the sync itself is the time in which the next batch
//! gathers. A writer that may block, or whose disk takes no longer than it takes to wake up another thread, commits on its own thread where it finds nobody else;
//! where the disk is that quick, what comes meanwhile is committed by the same thread in its next batch, so that nobody is woken up for it. Reads never queue: each has a snapshot of what is committed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, MdbError, RoTxn};
use parking_lot::{Condvar, Mutex};
use tracing::error;

use super::{Engine, EngineError, Job, MAX_KEY, PAGE, Read, Row, run_job};

/// The default engine.
pub struct LmdbEngine {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<()>>,
}

impl LmdbEngine {
    /// Opens the store in the directory `path`, which is made if it is missing. A second opening, by whomever, is refused.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            EngineError::Store(format!("{what} {}: {error}", path.display()))
        };
        std::fs::create_dir_all(path).map_err(|error| failed("cannot make", &error))?;
        let lock = File::create(path.join("owner.lock")).map_err(|error| failed("cannot lock", &error))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                EngineError::InUse(format!("another process uses {}", path.display()))
            }
            error => failed("cannot lock", &error),
        })?;

        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_SIZE).max_readers(MAX_READERS);
        #[expect(
            unsafe_code,
            reason = "LMDB maps its file; heed leaves it to the caller that nothing else changes it"
        )]
        // SAFETY: the lock above is held for as long as the environment lives, so no other process of ours has the map; the
        // directory is the namespace's own, and no flags that weaken LMDB's guarantees are set.
        let env = unsafe { options.open(path) }.map_err(|error| failed("cannot open", &error))?;
        if env.max_key_size() < MAX_KEY {
            return Err(EngineError::KeyTooLong(env.max_key_size()));
        }
        let txn = env.write_txn().map_err(|error| failed("cannot write", &error))?;
        let rows: Rows = env
            .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                Ok(CommitOrAbort::<_, ()>::Commit(opener.create_database(txn, None)?))
            })
            .map_err(|error| failed("cannot write", &error))?
            .unwrap_commit();

        let shared = Arc::new(Shared {
            env,
            rows,
            queue: Mutex::new(Queue::default()),
            arrived: Condvar::new(),
            writer: Mutex::new(()),
            pace: Pace::default(),
            stopped: AtomicBool::new(false),
            _lock: OwnerLock(lock),
        });
        let run = Arc::clone(&shared);
        let committer = std::thread::Builder::new()
            .name("namespace-commit".to_owned())
            .spawn(move || run.commit_until_closed())
            .map_err(|error| failed("cannot start the committer of", &error))?;
        Ok(Self { shared, committer: Some(committer) })
    }
}

#[cfg(test)]
impl LmdbEngine {
    /// Keeps the committer from committing while `work` runs.
    pub(crate) fn while_busy(&self, work: impl FnOnce()) {
        let writer = self.shared.writer.lock();
        work();
        drop(writer);
        self.shared.arrived.notify_one();
    }

    /// Its disk is taken for a quick one.
    pub(crate) fn seems_quick(&self) {
        self.shared.pace.note(Duration::from_micros(QUICK / 4));
    }

    /// How many pages are read to find a row.
    pub(crate) fn depth(&self) -> usize {
        let txn = self.shared.env.read_txn().expect("a read");
        self.shared.rows.stat(&txn).expect("figures").depth as usize
    }

    /// How many transactions were committed ever.
    pub(crate) fn commits(&self) -> usize {
        self.shared.env.info().last_txn_id
    }
}

impl Engine for LmdbEngine {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        let txn = self.shared.env.read_txn().map_err(|error| store_error(&error))?;
        job(&Snapshot { txn: &txn, rows: self.shared.rows })
    }

    fn submit(&self, job: Box<dyn Job>) {
        if self.shared.pace.is_quick() { self.submit_inline(job) } else { self.shared.enqueue(job) }
    }

    fn submit_inline(&self, job: Box<dyn Job>) {
        let shared = &self.shared;
        let found = shared.writer.try_lock();
        if found.is_none() && !shared.pace.is_quick() {
            return shared.enqueue(job);
        }
        if let Err(job) = shared.push(job) {
            return shared.refuse(job);
        }
        // Who has the lock now looks at the queue when it has given it up.
        let Some(mut writer) = found.or_else(|| shared.writer.try_lock()) else { return };
        for _ in 0..ROUNDS {
            let jobs = shared.take(MOST_OF_OTHERS);
            shared.commit(jobs);
            drop(writer);
            // Who came meanwhile and found the lock taken relies on this look.
            if shared.queue.lock().jobs.is_empty() {
                return;
            }
            match shared.writer.try_lock().filter(|_| shared.pace.is_quick()) {
                Some(again) => writer = again,
                None => break,
            }
        }
        shared.arrived.notify_one();
    }

    fn reads_inline(&self) -> bool {
        true
    }
}

impl Drop for LmdbEngine {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.arrived.notify_one();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            error!("the committer of the namespace panicked");
        }
    }
}

type Rows = Database<'static, Bytes, Bytes>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

struct Shared {
    env: Env,
    rows: Rows,
    queue: Mutex<Queue>,
    arrived: Condvar,
    writer: Mutex<()>,
    pace: Pace,
    stopped: AtomicBool,
    // The last to go: until then the environment is open.
    _lock: OwnerLock,
}

/// How long commits took lately.
#[derive(Debug, Default)]
struct Pace {
    /// Microseconds, each commit an eighth of it; 0 before the first.
    micros: AtomicU64,
}

impl Pace {
    /// A commit took so long. The writer's lock is held: nobody else notes anything.
    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, SLOWEST);
        let before = self.micros.load(Ordering::Relaxed);
        // One that was slow counts at once.
        let now = if took >= before { took } else { (before * 7 + took) / 8 };
        self.micros.store(now, Ordering::Relaxed);
    }

    /// Whether a thread of a runtime may do a commit on its own.
    fn is_quick(&self) -> bool {
        (1..QUICK).contains(&self.micros.load(Ordering::Relaxed))
    }
}

/// Keeps others from the store. It is given up aloud: a child that was forked at the wrong moment would keep it for longer.
struct OwnerLock(File);

impl Drop for OwnerLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Shared {
    /// Leaves a job to the committer.
    fn enqueue(&self, job: Box<dyn Job>) {
        match self.push(job) {
            Ok(()) => {
                self.arrived.notify_one();
            }
            Err(job) => self.refuse(job),
        }
    }

    fn push(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(job);
        }
        queue.jobs.push_back(job);
        Ok(())
    }

    fn refuse(&self, job: Box<dyn Job>) {
        job.finish(Err(EngineError::Stopped("it is closing".to_owned())));
    }

    /// Up to so many jobs, in the order of their coming.
    fn take(&self, most: usize) -> VecDeque<Box<dyn Job>> {
        let mut queue = self.queue.lock();
        let most = most.min(queue.jobs.len());
        queue.jobs.drain(..most).collect()
    }

    /// Takes what is queued, again and again; returns once the queue is closed and empty.
    fn commit_until_closed(&self) {
        loop {
            {
                let mut queue = self.queue.lock();
                while queue.jobs.is_empty() {
                    if queue.closed {
                        return;
                    }
                    self.arrived.wait(&mut queue);
                }
            }
            let _writer = self.writer.lock();
            let jobs = self.take(usize::MAX);
            self.commit(jobs);
        }
    }

    /// Commits `jobs` in as many batches as the bounds of one ask for. The writer's lock is held.
    fn commit(&self, mut jobs: VecDeque<Box<dyn Job>>) {
        while !jobs.is_empty() {
            if self.stopped.load(Ordering::Acquire) {
                let outcome = EngineError::Stopped("a commit failed".to_owned());
                return jobs.drain(..).for_each(|job| job.finish(Err(outcome.clone())));
            }
            let mut done = Vec::new();
            let committed = self.commit_batch(&mut jobs, &mut done);
            metrics::counter!("fdfs_namespace_commits_total").increment(1);
            metrics::histogram!("fdfs_namespace_commit_jobs").record(done.len() as f64);
            for (job, outcome) in done {
                job.finish(committed.clone().and(outcome));
            }
        }
    }

    fn commit_batch(
        &self,
        jobs: &mut VecDeque<Box<dyn Job>>,
        done: &mut Vec<Done>,
    ) -> Result<(), EngineError> {
        let started = Instant::now();
        let begun = self.env.write_txn().map_err(|error| self.failure(&error));
        let mut txn = match begun {
            Ok(txn) => txn,
            Err(error) => {
                done.extend(jobs.drain(..).map(|job| (job, Ok(()))));
                return Err(error);
            }
        };
        while done.len() < MAX_BATCH && (done.is_empty() || started.elapsed() < MAX_BATCH_TIME) {
            let Some(mut job) = jobs.pop_front() else { break };
            match run_job(job.as_mut(), &Snapshot { txn: &txn, rows: self.rows }) {
                Ok(writes) => {
                    done.push((job, Ok(())));
                    for (key, value) in writes.into_iter().flatten() {
                        let written = match value {
                            Some(value) => self.rows.put(&mut txn, &key, &value),
                            None => self.rows.delete(&mut txn, &key).map(|_| ()),
                        };
                        written.map_err(|error| store_error(&error))?;
                    }
                }
                Err(error) => done.push((job, Err(error))),
            }
        }
        let syncing = Instant::now();
        let committed = txn.commit().map_err(|error| self.failure(&error));
        self.pace.note(syncing.elapsed());
        committed
    }

    /// After a commit that failed nobody knows what the disk holds: nothing more is written, unless the disk was merely full.
    fn failure(&self, error: &heed::Error) -> EngineError {
        let available = || {
            let disk = rustix::fs::statvfs(self.env.path()).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        };
        let outcome =
            if is_short_write(error, available) { EngineError::NoSpace } else { store_error(error) };
        if !matches!(outcome, EngineError::NoSpace) {
            error!(%error, "a commit failed: the namespace takes no more writes until it is opened anew");
            self.stopped.store(true, Ordering::Release);
        }
        outcome
    }
}

type Done = (Box<dyn Job>, Result<(), EngineError>);

struct Snapshot<'a> {
    txn: &'a RoTxn<'a>,
    rows: Rows,
}

impl Read for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Ok(None);
        }
        Ok(self.rows.get(self.txn, key).map_err(|error| store_error(&error))?.map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let cut = |key: &[u8]| key[..key.len().min(MAX_KEY)].to_vec();
        let (from, to) = (cut(from), cut(to));
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(&from), Bound::Excluded(&to));
        let rows = self.rows.range(self.txn, &bounds).map_err(|error| store_error(&error))?;
        rows.take(limit.min(PAGE))
            .map(|row| match row {
                Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
                Err(error) => Err(store_error(&error)),
            })
            .collect()
    }
}

/// Whether a commit failed because a full disk took a part of its pages: LMDB has only the word `EIO` for it. Such pages belong
/// to the transaction that failed alone; where the root could not be written, LMDB itself refuses all further ones.
fn is_short_write(error: &heed::Error, available: impl FnOnce() -> Option<u64>) -> bool {
    let heed::Error::Io(error) = error else { return false };
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
        && available().is_some_and(|bytes| bytes < ONE_WRITE)
}

fn store_error(error: &heed::Error) -> EngineError {
    match error {
        heed::Error::Mdb(MdbError::MapFull) => EngineError::NoSpace,
        heed::Error::Io(error)
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            EngineError::NoSpace
        }
        error => EngineError::Store(error.to_string()),
    }
}

/// Address space, not disk: the file grows as rows come.
const MAP_SIZE: usize = 1 << 40;
/// Threads that may read at once.
const MAX_READERS: u32 = 1_024;
/// More than LMDB hands to the disk in one call.
const ONE_WRITE: u64 = 1 << 20;
/// Microseconds in which another thread is woken up, and wakes up this one again.
const QUICK: u64 = 250;
/// More microseconds are all the same.
const SLOWEST: u64 = 1_000_000;
/// Batches that a writer commits on its own thread before the committer takes over.
const ROUNDS: usize = 4;
/// Jobs that it commits in each.
const MOST_OF_OTHERS: usize = 16;
const MAX_BATCH: usize = 256;
const MAX_BATCH_TIME: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_were_quick_for_a_while_are_done_at_once_until_one_is_slow() {
        let pace = Pace::default();
        assert!(!pace.is_quick(), "nothing is known");
        pace.note(Duration::from_micros(80));
        assert!(pace.is_quick());
        pace.note(Duration::from_millis(3));
        assert!(!pace.is_quick(), "one was slow");
        for _ in 0..40 {
            pace.note(Duration::from_micros(80));
        }
        assert!(pace.is_quick());
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let of = |errno: rustix::io::Errno| heed::Error::Io(errno.into());
        let (io, full) = (of(rustix::io::Errno::IO), of(rustix::io::Errno::NOSPC));
        assert!(is_short_write(&io, || Some(0)), "a write that was cut short");
        assert!(!is_short_write(&io, || Some(1 << 30)), "a disk with space that fails is broken");
        assert!(!is_short_write(&io, || None), "nobody knows");
        assert!(matches!(store_error(&full), EngineError::NoSpace));
        assert!(matches!(store_error(&of(rustix::io::Errno::DQUOT)), EngineError::NoSpace));
        assert!(matches!(store_error(&io), EngineError::Store(_)));
    }
}
