//! The thread that writes: it takes what is queued and commits it in one transaction.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::connection::{Begin, Connection, Mark};
use super::facts::Facts;
use super::failure::Failure;
use super::wait::wait;
use super::{COMMIT_DEADLINE, Pool};
use crate::engine::{EngineError, Job, Txn, Writes, run_job};

/// Commits what comes through a queue.
pub(super) struct Committer {
    pool: Arc<Pool>,
    queued: mpsc::Receiver<Box<dyn Job>>,
    writer: [u8; 16],
}

/// Jobs that were run, and what they wrote.
struct Batch {
    outcomes: Vec<Result<(), EngineError>>,
    writes: Writes,
}

/// What became of an attempt.
enum Ended {
    /// It is committed.
    Committed(Vec<Result<(), EngineError>>),
    /// The answer to the commit was lost.
    Unknown(Vec<Result<(), EngineError>>, Failure),
    /// Nothing happened.
    Failed(Failure),
}

impl Committer {
    /// A committer of this process.
    pub(super) fn new(pool: Arc<Pool>, queued: mpsc::Receiver<Box<dyn Job>>) -> Self {
        let mut writer = [0; 16];
        fastrand::fill(&mut writer);
        Self { pool, queued, writer }
    }

    /// Takes what is queued, again and again, until the engine is gone.
    pub(super) fn run(self) {
        let mut number = 0;
        let mut careful_until = Instant::now();
        while let Ok(first) = self.queued.recv() {
            let mut jobs = vec![first];
            jobs.extend(self.queued.try_iter().take(MAX_BATCH - 1));
            while !jobs.is_empty() {
                jobs = self.commit(jobs, &mut number, &mut careful_until);
            }
        }
    }

    /// Commits the first of the jobs, as many as one transaction should hold; gives back the others.
    fn commit(
        &self,
        mut jobs: Vec<Box<dyn Job>>,
        number: &mut i64,
        careful_until: &mut Instant,
    ) -> Vec<Box<dyn Job>> {
        let end = Instant::now() + COMMIT_DEADLINE;
        let (mut unknown, mut pause) = (None, FIRST_PAUSE);
        let outcomes = loop {
            let ended = if let Some(outcomes) = unknown.take() {
                self.find_out(outcomes, *number, end)
            } else {
                *number += 1;
                self.pool.attempts.fetch_add(1, Ordering::Relaxed);
                let begin = if Instant::now() < *careful_until { Begin::WriteAlone } else { Begin::Write };
                self.attempt(&mut jobs, begin, *number, end)
            };
            let failure = match ended {
                Ended::Committed(outcomes) => break outcomes,
                Ended::Unknown(outcomes, failure) => {
                    // Nothing may run again before this is known.
                    unknown = Some(outcomes);
                    failure
                }
                Ended::Failed(failure) => failure,
            };
            let is_over = Instant::now() + pause >= end;
            match failure {
                Failure::Conflict if !is_over => {
                    metrics::counter!("fdfs_namespace_database_conflicts_total").increment(1);
                    self.pool.conflicts.fetch_add(1, Ordering::Relaxed);
                    debug!(jobs = jobs.len(), "a commit met others and runs again");
                    // One that met others would meet them again: for a while each waits for its turn.
                    *careful_until = Instant::now() + CAREFUL;
                    continue;
                }
                Failure::Lost(_) | Failure::Silent if !is_over => {
                    metrics::counter!("fdfs_namespace_database_retries_total").increment(1);
                    debug!(?failure, "a commit is tried again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LAST_PAUSE);
                    continue;
                }
                failure => {
                    metrics::counter!("fdfs_namespace_database_failures_total").increment(1);
                    let error = failure.into_error();
                    // Those that were not run yet fail for the same reason, at once and not each after its time.
                    jobs.into_iter().for_each(|job| job.finish(Err(error.clone())));
                    return Vec::new();
                }
            }
        };
        metrics::counter!("fdfs_namespace_commits_total").increment(1);
        metrics::histogram!("fdfs_namespace_commit_jobs").record(outcomes.len() as f64);
        let later = jobs.split_off(outcomes.len().min(jobs.len()));
        jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.finish(outcome));
        later
    }

    fn attempt(&self, jobs: &mut [Box<dyn Job>], begin: Begin, number: i64, end: Instant) -> Ended {
        let connection = match self.pool.take(end) {
            Ok(connection) => connection,
            Err(failure) => return Ended::Failed(failure),
        };
        let ended = self.transaction(&connection, jobs, begin, number);
        let is_spared = match &ended {
            Ended::Committed(_) => true,
            Ended::Unknown(..) => false,
            Ended::Failed(failure) => failure.spares_connection(),
        };
        if is_spared && matches!(ended, Ended::Failed(_)) {
            connection.roll_back();
        }
        self.pool.give_back(is_spared.then_some(connection));
        ended
    }

    fn transaction(
        &self,
        connection: &Connection,
        jobs: &mut [Box<dyn Job>],
        begin: Begin,
        number: i64,
    ) -> Ended {
        let facts = Facts::new(&self.pool, connection, begin);
        let Batch { outcomes, writes } = match run(&facts, jobs) {
            Ok(batch) => batch,
            Err(failure) => return Ended::Failed(failure),
        };
        if writes.is_empty() {
            // What was read was one snapshot: there is nothing to be refused.
            connection.end();
            return Ended::Committed(outcomes);
        }
        let mark = Mark { writer: self.writer, number };
        let commit = connection.commit(facts.begin(), &writes, &mark);
        match wait(&self.pool.runtime, COMMIT_DEADLINE, commit) {
            Ok(()) => Ended::Committed(outcomes),
            Err(failure @ (Failure::Lost(_) | Failure::Silent)) => {
                metrics::counter!("fdfs_namespace_database_commits_unknown_total").increment(1);
                warn!(
                    jobs = outcomes.len(),
                    ?failure,
                    "a commit has no answer: the database is asked what became of it"
                );
                Ended::Unknown(outcomes, failure)
            }
            Err(failure) => Ended::Failed(failure),
        }
    }

    /// Asks what became of a commit whose answer was lost.
    fn find_out(&self, outcomes: Vec<Result<(), EngineError>>, number: i64, end: Instant) -> Ended {
        let connection = match self.pool.take(end) {
            Ok(connection) => connection,
            Err(failure) => return Ended::Unknown(outcomes, failure),
        };
        let mark = Mark { writer: self.writer, number };
        let left = end.saturating_duration_since(Instant::now());
        let found = wait(&self.pool.runtime, left, connection.has_committed(&mark));
        self.pool.give_back(found.is_ok().then_some(connection));
        match found {
            Ok(true) => Ended::Committed(outcomes),
            // It never will: whatever was under way has ended. Those who wait may run again.
            Ok(false) => Ended::Failed(Failure::Lost("the commit did not happen".to_owned())),
            Err(failure) => Ended::Unknown(outcomes, failure),
        }
    }
}

/// Runs jobs one after the other, each over what those before it wrote.
fn run(facts: &Facts<'_>, jobs: &mut [Box<dyn Job>]) -> Result<Batch, Failure> {
    let mut batch = Txn::new(facts);
    if jobs.len() > 1 {
        // What they read is fetched for all of them at once; most need the same few rounds.
        for _ in 0..MAX_ROUNDS {
            facts.note(true);
            for job in jobs.iter_mut() {
                let _ = run_job(job.as_mut(), &batch);
            }
            facts.note(false);
            if !facts.fetch_noted()? {
                break;
            }
        }
    }
    let (mut outcomes, mut bytes) = (Vec::new(), 0);
    for job in jobs {
        if bytes > MAX_BYTES {
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
        if let Some(failure) = facts.failure() {
            return Err(failure);
        }
        outcomes.push(outcome);
    }
    let writes = batch.into_writes().map_err(Failure::Final)?;
    Ok(Batch { outcomes, writes })
}

/// Jobs that are committed at once.
const MAX_BATCH: usize = 128;
/// Bytes after which a batch takes no further job.
const MAX_BYTES: usize = 8 << 20;
/// Rounds in which reads of many jobs are gathered; what is left is read when it is asked for.
const MAX_ROUNDS: usize = 8;
/// How long commits wait for their turn after one met another.
const CAREFUL: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);
