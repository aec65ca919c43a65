//! What is done among a million rows touches as many of them as among a few.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{Engine, EngineError, Job, LmdbEngine, Read, Row, Txn};
use crate::testing::filler;
use crate::*;

/// Objects of the two stores. Each has four rows: entry, inode, the file's use and a change. `FDFS_TEST_KEYS` names another number for the second.
const FEW: u64 = 10_000;
const MANY: u64 = 260_000;

#[tokio::test]
async fn what_is_done_among_a_million_rows_touches_as_many_as_among_a_few() {
    let many = std::env::var("FDFS_TEST_KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(MANY);
    let few = Store::filled(FEW).await;
    let many = Store::filled(many).await;
    assert!(many.rows() > 4 * many.count, "{} rows", many.rows());

    // Each at the beginning, in the middle and at the end.
    let places = |store: &Store| [0, store.middle(), store.count - filler::DIRECTORY];
    for (few_at, many_at) in places(&few).into_iter().zip(places(&many)) {
        for offset in [0, 1_234] {
            let (few_at, many_at) = (few_at + offset, many_at + offset);
            let (less, more) = (few.page(few_at).await, many.page(many_at).await);
            assert_eq!(less, more, "a page from {few_at} and {many_at}");
            assert!(more.read < 1_100, "a row of each key, and those of the directories above: {more:?}");
            assert_eq!(few.changed(few_at).await, many.changed(many_at).await, "at {few_at} and {many_at}");
        }
        // Behind the end of a directory the next ones are read as well, as many as there is room for.
        let touched = many.page(many_at + filler::DIRECTORY - 500).await;
        assert!(touched.read < 2_200, "{touched:?}");
    }

    // A row is found in as many pages as the tree of LMDB is deep.
    assert!(many.engine.inner.depth() <= few.engine.inner.depth() + 2, "{}", many.engine.inner.depth());
    // Time says little on a busy machine: alternately, the middle one of many, and with much room.
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..40 {
        for (store, times) in [&few, &many].into_iter().zip(&mut times) {
            let begun = Instant::now();
            store.page((store.middle() + round * 97) % (store.count - 1_000)).await;
            times.push(begun.elapsed());
        }
    }
    let [less, more] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(
        more < less * 5 + Duration::from_millis(5),
        "a page takes {less:?} among few and {more:?} among many"
    );
}

/// A store with so many objects, and what is done with it.
struct Store {
    engine: Arc<Counting>,
    names: Namespace,
    root: u64,
    count: u64,
    _directory: tempfile::TempDir,
}

impl Store {
    async fn filled(count: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inner = LmdbEngine::open(directory.path()).unwrap();
        let engine = Arc::new(Counting { inner, read: AtomicU64::new(0), written: AtomicU64::new(0) });
        let names = Namespace::open(Arc::new(Counted(Arc::clone(&engine))), Defaults::default()).unwrap();
        let root = names.create_bucket("b", NewBucket::default()).await.unwrap().root;
        filler::fill(&names, root, count, &mut |_| ()).await.unwrap();
        Self { engine, names, root, count, _directory: directory }
    }

    fn rows(&self) -> u64 {
        self.engine.written.load(Ordering::Relaxed)
    }

    fn middle(&self) -> u64 {
        self.count / filler::DIRECTORY / 2 * filler::DIRECTORY
    }

    /// What a page of a thousand keys from the object `number` on touches.
    async fn page(&self, number: u64) -> Touched {
        let before = self.engine.touched();
        let query = ListQuery {
            from: ListFrom::Resume(filler::key(number).into_bytes()),
            limit: 1_000,
            ..ListQuery::default()
        };
        let page = self.names.list(self.root, query).await.unwrap();
        let wanted: Vec<Vec<u8>> =
            (number..self.count.min(number + 1_000)).map(|number| filler::key(number).into_bytes()).collect();
        let found: Vec<Vec<u8>> = page
            .items
            .into_iter()
            .map(|item| match item {
                ListItem::Key { key, .. } | ListItem::CommonPrefix(key) => key,
            })
            .collect();
        assert_eq!(found, wanted);
        self.engine.touched().since(before)
    }

    /// What it touches to put, get, replace and delete a key beside the object `number`.
    async fn changed(&self, number: u64) -> Touched {
        // A block of numbers is taken now and then, which is none of this.
        self.names.ensure_lease().await.unwrap();
        let before = self.engine.touched();
        let key = format!("{}-beside", filler::key(number));
        for content in [1, 2] {
            super::put(&self.names, self.root, &key, content).await;
            self.names.get(self.root, key.as_bytes()).await.unwrap();
        }
        self.names.delete(self.root, key.as_bytes(), Preconditions::default()).await.unwrap();
        self.engine.touched().since(before)
    }
}

/// An engine that counts rows.
struct Counting {
    inner: LmdbEngine,
    read: AtomicU64,
    written: AtomicU64,
}

/// How many rows were asked for or found, and how many written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Touched {
    read: u64,
    written: u64,
}

impl Touched {
    fn since(self, before: Self) -> Self {
        Self { read: self.read - before.read, written: self.written - before.written }
    }
}

impl Counting {
    fn touched(&self) -> Touched {
        Touched { read: self.read.load(Ordering::Relaxed), written: self.written.load(Ordering::Relaxed) }
    }
}

/// It, as a store has it.
struct Counted(Arc<Counting>);

impl Engine for Counted {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.0.inner.read(&mut |read| job(&CountingRead { read, counting: &self.0 }))
    }

    fn submit(&self, job: Box<dyn Job>) {
        self.0.inner.submit(Box::new(CountingJob { job, counting: Arc::clone(&self.0) }));
    }

    fn reads_inline(&self) -> bool {
        self.0.inner.reads_inline()
    }
}

struct CountingJob {
    job: Box<dyn Job>,
    counting: Arc<Counting>,
}

impl Job for CountingJob {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        let read = CountingRead { read: txn, counting: &self.counting };
        let mut own = Txn::new(&read);
        let keep = self.job.run(&mut own);
        let writes = own.into_writes().unwrap();
        self.counting.written.fetch_add(writes.len() as u64, Ordering::Relaxed);
        txn.absorb(writes);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        self.job.finish(outcome);
    }
}

struct CountingRead<'a> {
    read: &'a dyn Read,
    counting: &'a Counting,
}

impl CountingRead<'_> {
    fn count(&self, rows: usize) {
        self.counting.read.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

impl Read for CountingRead<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.count(1);
        self.read.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        let rows = self.read.range(from, to, limit)?;
        self.count(rows.len().max(1));
        Ok(rows)
    }
}
