//! The engine whose rows are elsewhere.

use std::net::SocketAddr;
use std::sync::{Weak, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::debug;

use super::caller::Caller;
use super::reads::{Known, Reads, Settled};
use super::{MAX_ANSWER, Secret, follow};
use crate::engine::{Engine, EngineError, Job, Read, Row, Sharing, Txn, Watcher, run_job};

/// Rows of a store that another process serves.
///
/// Reads go over the network when they are made. Writers queue as they do for LMDB: one thread takes what is queued, runs every closure over
/// what those before it wrote, and commits all in one call; where something that was read has changed meanwhile, all run again.
pub struct RemoteEngine {
    caller: Caller,
    queue: mpsc::Sender<Box<dyn Job>>,
    runtime: Option<Runtime>,
}

impl RemoteEngine {
    /// An engine over the service at `address`. It connects when it is first used, and again whenever it has to.
    pub fn new(address: SocketAddr, secret: Option<Secret>) -> Result<Self, EngineError> {
        let failed =
            |error: std::io::Error| EngineError::Store(format!("cannot start the remote engine: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("namespace-remote")
            .enable_all()
            .build()
            .map_err(failed)?;
        let caller = Caller::new(runtime.handle().clone(), address, secret)?;
        let (queue, queued) = mpsc::channel();
        let committer = Committer { caller: caller.clone(), queued };
        std::thread::Builder::new()
            .name("namespace-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(failed)?;
        Ok(Self { caller, queue, runtime: Some(runtime) })
    }
}

impl Engine for RemoteEngine {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        let mut known = Known::default();
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt);
            let reads = Reads::new(&self.caller, known);
            let result = job(&reads);
            match reads.settle(Default::default())? {
                Settled::Committed => return result,
                Settled::Conflict(fresh) => known = fresh,
            }
        }
        Err(too_busy())
    }

    fn submit(&self, job: Box<dyn Job>) {
        if let Err(mpsc::SendError(job)) = self.queue.send(job) {
            job.finish(Err(EngineError::Stopped("it is closing".to_owned())));
        }
    }

    fn snapshot(&self, take: &mut dyn FnMut(Vec<Row>) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.caller.snapshot(take)
    }

    fn reads_inline(&self) -> bool {
        false
    }

    fn sharing(&self) -> Sharing {
        Sharing::Service
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(follow::follow(self.caller.clone(), watcher));
        }
    }
}

impl Drop for RemoteEngine {
    fn drop(&mut self) {
        // Waiting is not allowed where this may be dropped. What is under way ends as a call that was lost.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// The thread that writes.
struct Committer {
    caller: Caller,
    queued: mpsc::Receiver<Box<dyn Job>>,
}

impl Committer {
    /// Takes what is queued, again and again, until the engine is gone.
    fn run(&self) {
        while let Ok(first) = self.queued.recv() {
            let mut jobs = vec![first];
            jobs.extend(self.queued.try_iter().take(MAX_BATCH - 1));
            while !jobs.is_empty() {
                jobs = self.commit(jobs);
            }
        }
    }

    /// Commits the first of the jobs, as many as one message should hold; gives back the others.
    fn commit(&self, mut jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let mut known = Known::default();
        let mut later = Vec::new();
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt);
            let reads = Reads::new(&self.caller, known);
            let mut batch = Txn::new(&reads);
            let (mut outcomes, mut bytes) = (Vec::new(), 0);
            for job in &mut jobs {
                // One that meets others again and again is met less often alone.
                if !outcomes.is_empty() && (attempt >= ALONE || bytes + reads.bytes() > MAX_ANSWER) {
                    break;
                }
                let outcome = run_job(job.as_mut(), &batch).map(|writes| {
                    let writes = writes.unwrap_or_default();
                    bytes += writes
                        .iter()
                        .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
                        .sum::<usize>();
                    batch.absorb(writes);
                });
                outcomes.push(outcome);
            }
            // Those that did not fit are the next commit's.
            let rest = jobs.split_off(outcomes.len());
            later.splice(0..0, rest);
            let settled = batch.into_writes().and_then(|writes| reads.settle(writes));
            match settled {
                Ok(Settled::Committed) => {
                    metrics::counter!("fdfs_namespace_commits_total").increment(1);
                    metrics::histogram!("fdfs_namespace_commit_jobs").record(jobs.len() as f64);
                    jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.finish(outcome));
                    return later;
                }
                Ok(Settled::Conflict(fresh)) => {
                    metrics::counter!("fdfs_namespace_remote_conflicts_total").increment(1);
                    debug!(attempt, jobs = jobs.len(), "a commit met others and runs again");
                    known = fresh;
                }
                Err(error) => {
                    jobs.into_iter().for_each(|job| job.finish(Err(error.clone())));
                    return later;
                }
            }
        }
        jobs.into_iter().for_each(|job| job.finish(Err(too_busy())));
        later
    }
}

/// Waits before an attempt that is not the first: longer each time, and not as long as others do.
fn back_off(attempt: u32) {
    if attempt > 1 {
        // The first repetition has fresh rows at hand and need not wait.
        let most = 1_u64 << attempt.min(LONGEST_PAUSE);
        std::thread::sleep(Duration::from_millis(fastrand::u64(1..=most)));
    }
}

fn too_busy() -> EngineError {
    metrics::counter!("fdfs_namespace_remote_aborts_total").increment(1);
    EngineError::Unavailable(format!("others changed the same rows {MAX_ATTEMPTS} times in a row"))
}

/// Runs of a transaction before it is given up.
const MAX_ATTEMPTS: u32 = 32;
/// From this attempt on a job is committed alone.
const ALONE: u32 = 3;
/// The longest pause between two runs is two to this many milliseconds.
const LONGEST_PAUSE: u32 = 6;
/// Jobs that are committed at once.
const MAX_BATCH: usize = 64;
