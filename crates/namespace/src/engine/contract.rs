//! What every engine must hold: one suite, run for each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{
    Engine, EngineError, Job, LmdbEngine, MAX_KEY, MemoryEngine, PAGE, PostgresEngine, Read, Row, Txn,
};
use crate::remote::tests::Loopback;
use crate::testing::PostgresServer;

type Body = Box<dyn FnMut(&mut Txn<'_>) -> bool + Send>;

struct TestJob {
    body: Body,
    outcome: mpsc::Sender<Result<(), EngineError>>,
}

impl Job for TestJob {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        (self.body)(txn)
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        self.outcome.send(outcome).expect("the test waits");
    }
}

/// An engine that runs every write twice, as one that retries after a conflict does.
struct Twice(MemoryEngine);

struct TwiceJob(Box<dyn Job>);

impl Job for TwiceJob {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        let base: &dyn Read = txn;
        let mut first = Txn::new(base);
        self.0.run(&mut first);
        drop(first);
        self.0.run(txn)
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        self.0.finish(outcome);
    }
}

impl Engine for Twice {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.0.read(job)
    }

    fn submit(&self, job: Box<dyn Job>) {
        self.0.submit(Box::new(TwiceJob(job)));
    }

    fn reads_inline(&self) -> bool {
        true
    }
}

/// An engine and what it is called.
pub(crate) type NamedEngine = (&'static str, Arc<dyn Engine>);

/// What engines stand on; it lives as long as they are used.
pub(crate) type Grounds = (tempfile::TempDir, Option<Arc<PostgresServer>>);

/// Engines to run a suite on.
pub(crate) fn engines() -> (Grounds, Vec<NamedEngine>) {
    let directory = tempfile::tempdir().unwrap();
    let lmdb = LmdbEngine::open(directory.path()).unwrap();
    let served = LmdbEngine::open(&directory.path().join("served")).unwrap();
    let mut engines: Vec<NamedEngine> = vec![
        ("memory", Arc::new(MemoryEngine::default())),
        ("memory, every write twice", Arc::new(Twice(MemoryEngine::default()))),
        ("lmdb", Arc::new(lmdb)),
        ("memory behind a service", Arc::new(Loopback::over_memory())),
        ("lmdb behind a service", Arc::new(Loopback::over(Arc::new(served)))),
    ];
    let server = PostgresServer::shared();
    if let Some(server) = &server {
        let open = || Arc::new(PostgresEngine::open(&server.new_store()).unwrap());
        engines.push(("postgres", open()));
        engines.push(("postgres behind a service", Arc::new(Loopback::over(open()))));
    }
    ((directory, server), engines)
}

fn write(
    engine: &dyn Engine,
    body: impl FnMut(&mut Txn<'_>) -> bool + Send + 'static,
) -> Result<(), EngineError> {
    let (outcome, waiting) = mpsc::channel();
    engine.submit(Box::new(TestJob { body: Box::new(body), outcome }));
    waiting.recv().unwrap()
}

fn rows(engine: &dyn Engine, from: &[u8], to: &[u8], limit: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    engine
        .read(&mut |read| {
            rows = read.range(from, to, limit)?;
            Ok(())
        })
        .unwrap();
    rows
}

fn get(engine: &dyn Engine, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = None;
    engine
        .read(&mut |read| {
            value = read.get(key)?;
            Ok(())
        })
        .unwrap();
    value
}

fn for_every_engine(suite: impl Fn(&dyn Engine)) {
    let (_grounds, engines) = engines();
    for (name, engine) in engines {
        eprintln!("engine: {name}");
        suite(engine.as_ref());
    }
}

#[test]
fn a_committed_write_is_read_and_a_refused_one_leaves_nothing() {
    for_every_engine(|engine| {
        write(engine, |txn| {
            txn.put(b"a".to_vec(), b"1".to_vec());
            true
        })
        .unwrap();
        write(engine, |txn| {
            txn.put(b"a".to_vec(), b"2".to_vec());
            txn.put(b"b".to_vec(), b"2".to_vec());
            false
        })
        .unwrap();
        assert_eq!((get(engine, b"a"), get(engine, b"b")), (Some(b"1".to_vec()), None));
    });
}

#[test]
fn a_transaction_sees_its_own_writes_in_gets_and_ranges() {
    for_every_engine(|engine| {
        write(engine, |txn| {
            [b"b", b"d", b"f"].into_iter().for_each(|key| txn.put(key.to_vec(), b"old".to_vec()));
            true
        })
        .unwrap();
        write(engine, |txn| {
            txn.put(b"a".to_vec(), b"new".to_vec());
            txn.put(b"d".to_vec(), b"new".to_vec());
            txn.put(b"g".to_vec(), b"new".to_vec());
            txn.delete(b"b");
            let keys = |limit| -> Vec<Vec<u8>> {
                txn.range(b"a", b"z", limit).unwrap().into_iter().map(|(key, _)| key).collect()
            };
            assert_eq!(keys(9), [b"a", b"d", b"f", b"g"]);
            assert_eq!(keys(2), [b"a", b"d"]);
            assert_eq!(txn.get(b"b").unwrap(), None);
            assert_eq!(txn.get(b"d").unwrap(), Some(b"new".to_vec()));
            true
        })
        .unwrap();
        let keys: Vec<Vec<u8>> = rows(engine, b"a", b"z", 9).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"a", b"d", b"f", b"g"]);
    });
}

#[test]
fn a_range_gives_a_page_at_most_in_order_of_bytes() {
    for_every_engine(|engine| {
        write(engine, |txn| {
            (0..1_500_u32).for_each(|number| txn.put(number.to_be_bytes().to_vec(), Vec::new()));
            true
        })
        .unwrap();
        let page = rows(engine, &[0], &[0xFF], usize::MAX);
        assert_eq!(page.len(), PAGE);
        assert!(page.is_sorted());
        assert_eq!(rows(engine, &1_400_u32.to_be_bytes(), &[0xFF], PAGE).len(), 100);
        assert_eq!(rows(engine, b"z", b"a", PAGE), []);
        // Own deletions do not shorten a page that has more behind it.
        write(engine, |txn| {
            (0..1_200_u32).for_each(|number| txn.delete(&number.to_be_bytes()));
            assert_eq!(txn.range(&[0], &[0xFF], 200).unwrap().len(), 200);
            false
        })
        .unwrap();
    });
}

#[test]
fn keys_up_to_the_limit_work_and_longer_ones_fail_the_transaction() {
    for_every_engine(|engine| {
        let long = vec![b'k'; MAX_KEY];
        let key = long.clone();
        write(engine, move |txn| {
            txn.put(key.clone(), vec![7; 100_000]);
            true
        })
        .unwrap();
        assert_eq!(get(engine, &long), Some(vec![7; 100_000]));
        let outcome = write(engine, |txn| {
            txn.put(b"beside".to_vec(), Vec::new());
            txn.put(vec![b'k'; MAX_KEY + 1], Vec::new());
            true
        });
        assert!(matches!(outcome, Err(EngineError::KeyTooLong(length)) if length == MAX_KEY + 1));
        assert_eq!(get(engine, b"beside"), None);
        assert_eq!(get(engine, &vec![b'k'; MAX_KEY + 1]), None);
    });
}

#[test]
fn a_panic_in_a_transaction_costs_only_that_transaction() {
    for_every_engine(|engine| {
        let outcome = write(engine, |txn| {
            txn.put(b"a".to_vec(), b"half".to_vec());
            panic!("as tests do");
        });
        assert!(matches!(outcome, Err(EngineError::Panicked(text)) if text == "as tests do"));
        assert_eq!(get(engine, b"a"), None);
        write(engine, |txn| {
            txn.put(b"a".to_vec(), b"whole".to_vec());
            true
        })
        .unwrap();
        assert_eq!(get(engine, b"a"), Some(b"whole".to_vec()));
    });
}

#[test]
fn counters_of_many_writers_add_up() {
    const WRITERS: usize = 16;
    const EACH: usize = 25;
    for_every_engine(|engine| {
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let failed = &failed;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let outcome = write(engine, move |txn| {
                            // An engine may run it before it knows all that is read.
                            let Ok(old) = txn.get(b"counter") else { return false };
                            let old = old.unwrap_or_else(|| vec![0; 8]);
                            let old = u64::from_be_bytes(old.try_into().unwrap());
                            txn.put(b"counter".to_vec(), (old + 1).to_be_bytes().to_vec());
                            // Every fifth is refused: what it wrote must not be seen by those in its batch.
                            (writer + number) % 5 != 0
                        });
                        failed.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(failed.into_inner(), 0);
        let refused: usize =
            (0..WRITERS).map(|writer| (0..EACH).filter(|number| (writer + number) % 5 == 0).count()).sum();
        let counted = u64::from_be_bytes(get(engine, b"counter").unwrap().try_into().unwrap());
        assert_eq!(counted, (WRITERS * EACH - refused) as u64);
    });
}

#[test]
fn a_snapshot_does_not_change_while_it_is_read() {
    // The in-memory engine locks writers out instead, so this is LMDB's alone.
    let directory = tempfile::tempdir().unwrap();
    let engine = LmdbEngine::open(directory.path()).unwrap();
    let engine = &engine;
    std::thread::scope(|scope| {
        engine
            .read(&mut |read| {
                assert_eq!(read.get(b"a")?, None);
                scope
                    .spawn(|| {
                        write(engine, |txn| {
                            txn.put(b"a".to_vec(), b"1".to_vec());
                            true
                        })
                    })
                    .join()
                    .unwrap()
                    .unwrap();
                assert_eq!(read.get(b"a")?, None);
                Ok(())
            })
            .unwrap();
    });
    assert_eq!(get(engine, b"a"), Some(b"1".to_vec()));
}

#[test]
fn a_second_opening_of_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = LmdbEngine::open(directory.path()).unwrap();
    assert!(matches!(LmdbEngine::open(directory.path()), Err(EngineError::InUse(_))));
    drop(first);
    LmdbEngine::open(directory.path()).unwrap();
}

#[test]
fn a_lone_writer_commits_on_its_own_thread() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LmdbEngine::open(directory.path()).unwrap();
    let (outcome, waiting) = mpsc::channel();
    let (thread, ran_on) = mpsc::channel();
    let body = move |txn: &mut Txn<'_>| {
        txn.put(b"a".to_vec(), b"1".to_vec());
        thread.send(std::thread::current().id()).unwrap();
        true
    };
    engine.submit_inline(Box::new(TestJob { body: Box::new(body), outcome }));
    waiting.recv().unwrap().unwrap();
    assert_eq!(ran_on.recv().unwrap(), std::thread::current().id());
}

#[test]
fn one_commit_answers_all_who_wait() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LmdbEngine::open(directory.path()).unwrap();
    let before = engine.commits();
    let (outcome, waiting) = mpsc::channel();
    engine.while_busy(|| {
        for number in 0..100_u8 {
            let body = move |txn: &mut Txn<'_>| {
                txn.put(vec![b'k', number], vec![number]);
                true
            };
            engine.submit(Box::new(TestJob { body: Box::new(body), outcome: outcome.clone() }));
        }
    });
    (0..100).for_each(|_| waiting.recv().unwrap().unwrap());
    assert_eq!(rows(&engine, b"k", b"l", PAGE).len(), 100);
    // The bound on a batch's time may cut it, the number of jobs alone would not.
    assert!(engine.commits() - before <= 10, "{} commits", engine.commits() - before);
}

#[test]
fn what_comes_while_others_commit_is_committed_whoever_does_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LmdbEngine::open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let engine = &engine;
            scope.spawn(move || {
                let (outcome, waiting) = mpsc::channel();
                for number in 0..50_u8 {
                    let body = move |txn: &mut Txn<'_>| {
                        txn.put(vec![b'k', thread, number], vec![number]);
                        true
                    };
                    engine.seems_quick();
                    engine
                        .submit_inline(Box::new(TestJob { body: Box::new(body), outcome: outcome.clone() }));
                    waiting.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
                }
            });
        }
    });
    assert_eq!(rows(&engine, b"k", b"l", PAGE).len(), 200);
}
