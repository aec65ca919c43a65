//! Rows in PostgreSQL: durable, for several gateways at once.
//!
//! One table of byte keys and values, compared byte by byte. A read has a snapshot of its own. Writers queue as they do for LMDB: one thread takes
//! what is queued and commits it in one transaction, so one sync serves many writers. What many closures want to read is fetched in as many rounds as
//! one of them would need alone, and what they write goes out together with the commit.
//!
//! Gateways commit at the same time as long as they do not meet (serializable transactions). One that met another takes its turn for a
//! while: it waits until nobody else writes, and then cannot be refused. So a transaction runs twice at most, whatever others do.

mod batch;
mod connection;
mod facts;
mod failure;
mod follow;
mod pool;
mod tls;
mod wait;

#[cfg(test)]
pub(crate) mod tests;

use std::cell::RefCell;
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use self::batch::Committer;
use self::connection::Connection;
use self::failure::Failure;
use self::pool::Pool;
use self::wait::wait;
use super::{Engine, EngineError, Job, PAGE, Range, Read, Row, Sharing, Watcher};

/// Rows in a PostgreSQL database that other gateways may use, too.
pub struct PostgresEngine {
    pool: Arc<Pool>,
    queue: mpsc::Sender<Box<dyn Job>>,
    runtime: Option<Runtime>,
}

impl PostgresEngine {
    /// Opens the store at `url`, `postgres://USER:PASSWORD@HOST/DATABASE`; its tables are made if they are missing. It may block.
    pub fn open(url: &str) -> Result<Self, EngineError> {
        let failed =
            |error: std::io::Error| EngineError::Store(format!("cannot start the database engine: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("namespace-postgres")
            .enable_all()
            .build()
            .map_err(failed)?;
        let pool = Arc::new(Pool::new(url, runtime.handle().clone())?);
        let opened = pool.until(Instant::now() + READ_DEADLINE, |connection| {
            wait(&pool.runtime, READ_DEADLINE, connection.tidy())
        });
        opened.map_err(Failure::into_error)?;
        let (queue, queued) = mpsc::channel();
        let committer = Committer::new(Arc::clone(&pool), queued);
        std::thread::Builder::new()
            .name("namespace-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(failed)?;
        Ok(Self { pool, queue, runtime: Some(runtime) })
    }

    /// True for a text that names such a store.
    pub fn is_url(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }
}

impl Engine for PostgresEngine {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        let read = |connection: &Connection| {
            let snapshot = Snapshot { pool: &self.pool, connection, state: RefCell::default() };
            let result = job(&snapshot);
            let State { begun, failed } = snapshot.state.into_inner();
            match failed {
                Some(failure) => Err(failure),
                None => {
                    if begun {
                        connection.end();
                    }
                    Ok(result)
                }
            }
        };
        self.pool.until(Instant::now() + READ_DEADLINE, read).map_err(Failure::into_error)?
    }

    fn submit(&self, job: Box<dyn Job>) {
        if let Err(mpsc::SendError(job)) = self.queue.send(job) {
            job.finish(Err(EngineError::Stopped("it is closing".to_owned())));
        }
    }

    fn reads_inline(&self) -> bool {
        false
    }

    fn sharing(&self) -> Sharing {
        Sharing::Database
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) {
        follow::start(Arc::clone(&self.pool), watcher);
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        // Waiting is not allowed where this may be dropped.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Reads in one transaction, which begins with the first of them.
struct Snapshot<'a> {
    pool: &'a Pool,
    connection: &'a Connection,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    begun: bool,
    failed: Option<Failure>,
}

impl Snapshot<'_> {
    fn fetch(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<connection::Fetched, EngineError> {
        let mut state = self.state.borrow_mut();
        if let Some(failure) = &state.failed {
            return Err(failure.clone().into_error());
        }
        let begin = if state.begun { connection::Begin::No } else { connection::Begin::Read };
        let fetch = self.connection.fetch(begin, keys, ranges);
        let fetched = wait(&self.pool.runtime, READ_DEADLINE, fetch);
        state.begun = true;
        fetched.map_err(|failure| {
            state.failed = Some(failure.clone());
            failure.into_error()
        })
    }
}

impl Read for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.get_many(&[key.to_vec()])?.pop().flatten())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.fetch(keys, &[])?.values)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let range = (from.to_vec(), to.to_vec(), limit.min(PAGE));
        Ok(self.fetch(&[], &[range])?.pages.pop().unwrap_or_default())
    }
}

/// How long reading may take, connecting included.
const READ_DEADLINE: Duration = Duration::from_secs(5);
/// How long a commit may take, until it is known what became of it.
const COMMIT_DEADLINE: Duration = Duration::from_secs(15);
