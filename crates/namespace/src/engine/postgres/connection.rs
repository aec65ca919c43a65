//! One connection: the few statements that are ever sent.

use std::sync::Once;

use futures_util::FutureExt as _;
use futures_util::future::{join, join3, try_join_all};
use tokio_postgres::{Client, Config, Statement};
use tracing::{debug, warn};

use super::failure::Failure;
use super::tls::Tls;
use crate::engine::{MAX_KEY, Range, Row, Writes, prefix_end};

/// A connection with its statements prepared.
pub(super) struct Connection {
    client: Client,
    get: Statement,
    range: Statement,
    put: Statement,
    delete: Statement,
    mark: Statement,
}

/// How a transaction begins, in the same message as its first question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begin {
    /// It has begun.
    No,
    /// A snapshot.
    Read,
    /// Beside other writers; refused where that matters.
    Write,
    /// Alone: when no other writer is left.
    WriteAlone,
}

/// Answers in the order of what was asked.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) values: Vec<Option<Vec<u8>>>,
    pub(super) pages: Vec<Vec<Row>>,
}

/// Whose commit it is: a number that the writer counts up.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) writer: [u8; 16],
    pub(super) number: i64,
}

impl Connection {
    /// Connects; the connection is driven by a task of the current runtime.
    pub(super) async fn open(config: &Config, tls: Tls) -> Result<Self, Failure> {
        let (client, driven) = config.connect(tls).await?;
        tokio::spawn(async move {
            if let Err(error) = driven.await {
                debug!(%error, "a connection to the database ended");
            }
        });
        client.batch_execute(SETTINGS).await?;
        let durable = client.query_opt(SYNCED, &[]).await?;
        static WARNED: Once = Once::new();
        if durable.is_none_or(|row| row.get::<_, String>(0) == "off") {
            WARNED.call_once(|| {
                warn!("the database runs with fsync = off: a power cut may lose or damage names");
            });
        }
        // Who may not make tables can use those that somebody else has made.
        if client.query_opt(HAS_TABLES, &[]).await?.is_none() {
            client.batch_execute(TABLES).await?;
        }
        let prepare = |text| client.prepare(text);
        let (get, range, put) = (prepare(GET).await?, prepare(RANGE).await?, prepare(PUT).await?);
        let (delete, mark) = (prepare(DELETE).await?, prepare(MARK).await?);
        Ok(Self { client, get, range, put, delete, mark })
    }

    /// Forgets the marks of writers that are long gone.
    pub(super) async fn tidy(&self) -> Result<(), Failure> {
        Ok(self.client.batch_execute(TIDY).await?)
    }

    /// True where it can still be used.
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Reads keys and ranges; all is asked at once and answered by one snapshot.
    pub(super) async fn fetch(
        &self,
        begin: Begin,
        keys: &[Vec<u8>],
        ranges: &[Range],
    ) -> Result<Fetched, Failure> {
        let begun = async {
            match begin.statement() {
                Some(statement) => self.client.batch_execute(statement).await,
                None => Ok(()),
            }
        };
        let values = async { if keys.is_empty() { Ok(Vec::new()) } else { self.values(keys).await } };
        let pages = try_join_all(ranges.iter().map(|range| self.page(range)));
        let (begun, values, pages) = join3(begun, values, pages).await;
        begun?;
        Ok(Fetched { values: values?, pages: pages? })
    }

    /// Writes, and commits. All goes out at once.
    pub(super) async fn commit(&self, begin: Begin, writes: &Writes, mark: &Mark) -> Result<(), Failure> {
        let (mut keys, mut values, mut gone) =
            (Vec::<&[u8]>::new(), Vec::<&[u8]>::new(), Vec::<&[u8]>::new());
        for (key, value) in writes {
            match value {
                Some(value) => {
                    keys.push(key);
                    values.push(value);
                }
                None => gone.push(key),
            }
        }
        let begun = async {
            match begin.statement() {
                Some(statement) => self.client.batch_execute(statement).await,
                None => Ok(()),
            }
        };
        let put = async {
            if keys.is_empty() { Ok(0) } else { self.client.execute(&self.put, &[&keys, &values]).await }
        };
        let deleted =
            async { if gone.is_empty() { Ok(0) } else { self.client.execute(&self.delete, &[&gone]).await } };
        let marked =
            async { self.client.execute(&self.mark, &[&mark.writer.as_slice(), &mark.number]).await };
        // A commit after a statement that failed is a rollback.
        let committed = self.client.batch_execute("COMMIT");
        let (before, (put, (deleted, (marked, committed)))) =
            join(begun, join(put, join(deleted, join(marked, committed)))).await;
        before?;
        put?;
        deleted?;
        marked?;
        Ok(committed?)
    }

    /// Whether the commit of that number happened. It waits until no transaction of before is under way any more.
    pub(super) async fn has_committed(&self, mark: &Mark) -> Result<bool, Failure> {
        self.client.batch_execute(Begin::WriteAlone.statement().unwrap_or_default()).await?;
        let found = self.client.query_opt(MARKED, &[&mark.writer.as_slice()]).await?;
        self.client.batch_execute("COMMIT").await?;
        Ok(found.is_some_and(|row| row.get::<_, i64>(0) == mark.number))
    }

    /// The last row of each writer among the changes: rows of `family` by number, without their values.
    pub(super) async fn last_of_each(&self, family: u8) -> Result<Vec<Row>, Failure> {
        let (from, to) = (vec![family], prefix_end(&[family]));
        let rows = self.client.query(LAST_OF_EACH, &[&from, &to]).await?;
        Ok(rows.iter().map(|row| (row.get(0), Vec::new())).collect())
    }

    /// Ends a transaction that only read. Nobody waits for it: what comes next on this connection comes after it.
    pub(super) fn end(&self) {
        let _ = self.client.batch_execute("COMMIT").now_or_never();
    }

    /// Ends a transaction that is to leave nothing.
    pub(super) fn roll_back(&self) {
        let _ = self.client.batch_execute("ROLLBACK").now_or_never();
    }

    async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, tokio_postgres::Error> {
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).filter(|key| key.len() <= MAX_KEY).collect();
        let rows = self.client.query(&self.get, &[&asked]).await?;
        let found: std::collections::BTreeMap<Vec<u8>, Vec<u8>> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn page(&self, (from, to, limit): &Range) -> Result<Vec<Row>, tokio_postgres::Error> {
        let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
        let rows = self.client.query(&self.range, &[from, to, &limit]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

impl Begin {
    fn statement(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Read => Some("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
            // The lock comes before the snapshot, which is taken by the first question.
            Self::Write => Some(
                "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE fdfs_namespace_commits IN ROW EXCLUSIVE MODE",
            ),
            // Nobody else has the lock, so nobody writes: there is nothing left to be refused for.
            Self::WriteAlone => Some(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE fdfs_namespace_commits IN EXCLUSIVE MODE",
            ),
        }
    }
}

/// Deadlines of the server, shorter than ours, so that what was given up here does not go on there; and plans that use the index, as those that
/// read whole pages meet transactions that they have nothing to do with.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '8s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET enable_seqscan = off; SET enable_bitmapscan = off; \
    SET plan_cache_mode = force_generic_plan; SET jit = off; SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
const SYNCED: &str = "SELECT current_setting('fsync')";
const HAS_TABLES: &str = "SELECT 1 WHERE to_regclass('fdfs_namespace') IS NOT NULL AND to_regclass('fdfs_namespace_commits') IS NOT NULL";
const TIDY: &str = "DELETE FROM fdfs_namespace_commits WHERE at < now() - interval '1 day'";
const TABLES: &str = "CREATE TABLE IF NOT EXISTS fdfs_namespace (key bytea PRIMARY KEY, value bytea NOT NULL); \
    CREATE TABLE IF NOT EXISTS fdfs_namespace_commits \
    (writer bytea PRIMARY KEY, number bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())";
const GET: &str = "SELECT key, value FROM fdfs_namespace WHERE key = ANY($1::bytea[])";
const RANGE: &str = "SELECT key, value FROM fdfs_namespace WHERE key >= $1::bytea AND key < $2::bytea ORDER BY key LIMIT $3::bigint";
const PUT: &str = "INSERT INTO fdfs_namespace (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM fdfs_namespace WHERE key = ANY($1::bytea[])";
const MARK: &str = "INSERT INTO fdfs_namespace_commits (writer, number) VALUES ($1::bytea, $2::bigint) \
    ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = now()";
/// From the last row back, from writer to writer.
const LAST_OF_EACH: &str = "WITH RECURSIVE last AS ( \
    (SELECT key FROM fdfs_namespace WHERE key >= $1::bytea AND key < $2::bytea ORDER BY key DESC LIMIT 1) \
    UNION ALL SELECT (SELECT n.key FROM fdfs_namespace n WHERE n.key >= $1::bytea AND n.key < substring(last.key for 9) \
    ORDER BY n.key DESC LIMIT 1) FROM last WHERE last.key IS NOT NULL) SELECT key FROM last WHERE key IS NOT NULL";
const MARKED: &str = "SELECT number FROM fdfs_namespace_commits WHERE writer = $1::bytea";
