//! What the database engine promises beyond the contract: several gateways, faults, plain words.

mod encrypted;

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::{PostgresEngine, READ_DEADLINE};
use crate::engine::{Engine, EngineError, Job, Txn};
use crate::testing::PostgresServer;
use crate::tree::posix::NewInode;
use crate::{ChangeKind, Defaults, Namespace, NamespaceError, NewBucket};

struct TestJob<F> {
    body: F,
    outcome: mpsc::Sender<Result<(), EngineError>>,
}

impl<F: FnMut(&mut Txn<'_>) -> bool + Send> Job for TestJob<F> {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        (self.body)(txn)
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        self.outcome.send(outcome).expect("the test waits");
    }
}

fn write(
    engine: &dyn Engine,
    body: impl FnMut(&mut Txn<'_>) -> bool + Send + 'static,
) -> Result<(), EngineError> {
    let (outcome, waiting) = mpsc::channel();
    engine.submit(Box::new(TestJob { body, outcome }));
    waiting.recv().unwrap()
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

fn count(txn: &mut Txn<'_>, key: &[u8]) -> bool {
    use crate::engine::Read as _;
    let Ok(old) = txn.get(key) else { return false };
    let old = old.map_or(0, |old| u64::from_be_bytes(old.try_into().unwrap()));
    txn.put(key.to_vec(), (old + 1).to_be_bytes().to_vec());
    true
}

fn counted(engine: &dyn Engine, key: &[u8]) -> u64 {
    get(engine, key).map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()))
}

/// Waits for something that others make true.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_row_written_by_one_gateway_is_read_by_the_other_at_once() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.new_store();
    let gateways = [PostgresEngine::open(&url).unwrap(), PostgresEngine::open(&url).unwrap()];
    for number in 1..=50_u64 {
        let (writer, reader) = (&gateways[number as usize % 2], &gateways[(number as usize + 1) % 2]);
        write(writer, |txn| count(txn, b"k")).unwrap();
        assert_eq!(counted(reader, b"k"), number);
    }
}

#[test]
fn a_snapshot_does_not_change_while_it_is_read() {
    let Some(server) = PostgresServer::shared() else { return };
    let engine = PostgresEngine::open(&server.new_store()).unwrap();
    engine
        .read(&mut |read| {
            assert_eq!(read.get(b"a")?, None);
            write(&engine, |txn| count(txn, b"a")).unwrap();
            assert_eq!(read.get(b"a")?, None);
            Ok(())
        })
        .unwrap();
    assert_eq!(counted(&engine, b"a"), 1);
}

/// Two gateways, 32 writers, one directory: everything is there, and few commits were refused.
#[test]
fn writers_of_one_directory_at_two_gateways_seldom_run_twice() {
    const WRITERS: usize = 32;
    const EACH: usize = 25;
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.new_store();
    let engines: Vec<_> = (0..2).map(|_| Arc::new(PostgresEngine::open(&url).unwrap())).collect();
    let open = |engine: &Arc<PostgresEngine>| {
        Namespace::open(Arc::clone(engine) as Arc<dyn Engine>, Defaults::default()).unwrap()
    };
    let gateways: Vec<Namespace> = engines.iter().map(open).collect();
    assert_ne!(gateways[0].session(), gateways[1].session());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let root = gateways[0].create_bucket("bucket", NewBucket::default()).await.unwrap().root;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let namespace = gateways[writer % 2].clone();
            writers.spawn(async move {
                for number in 0..EACH {
                    let name = format!("{number}-{writer}");
                    namespace.make(root, name.as_bytes(), NewInode::default()).await.unwrap();
                }
            });
        }
        writers.join_all().await;
        for namespace in &gateways {
            let (entries, next) = namespace.read_directory(root, None, 1_000).await.unwrap();
            assert_eq!((entries.len(), next), (WRITERS * EACH, None));
        }
    });
    let sum = |of: fn(&PostgresEngine) -> &AtomicU64| -> u64 {
        engines.iter().map(|engine| of(engine).load(Ordering::Relaxed)).sum()
    };
    let (attempts, conflicts) = (sum(|engine| &engine.pool.attempts), sum(|engine| &engine.pool.conflicts));
    eprintln!("{} creates in {attempts} commits, {conflicts} refused", WRITERS * EACH);
    assert!(conflicts * 4 <= attempts + 8, "{conflicts} of {attempts} commits were refused");
}

#[test]
fn changes_reach_the_other_gateway_and_those_behind_it() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.new_store();
    let gateways = [0, 1].map(|_| Namespace::open_postgres(&url, Defaults::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut changes = gateways[1].changes();
        let root = gateways[0].create_bucket("bucket", NewBucket::default()).await.unwrap().root;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        // The log is followed from the first look at it on, which is told.
        loop {
            let change = tokio::time::timeout_at(deadline, changes.recv()).await.unwrap().unwrap();
            if change.kind == ChangeKind::Missed {
                break;
            }
        }
        let made = gateways[0].make(root, b"name", NewInode::default()).await.unwrap().inode;
        loop {
            let change = tokio::time::timeout_at(deadline, changes.recv()).await.unwrap().unwrap();
            if change.inode == made && change.kind == ChangeKind::Created {
                assert_eq!(change.name, b"name");
                break;
            }
        }
    });
}

/// Killed with all its processes again and again while counters are counted up: each acknowledged step is there once.
#[test]
fn a_killed_database_loses_nothing_and_repeats_nothing() {
    const WRITERS: u8 = 8;
    let Some(server) = PostgresServer::own() else { return };
    let url = server.new_store();
    let engines = [PostgresEngine::open(&url).unwrap(), PostgresEngine::open(&url).unwrap()];
    let done = AtomicBool::new(false);
    let tally: Vec<(AtomicU64, AtomicU64)> = (0..WRITERS).map(|_| Default::default()).collect();
    let acknowledged = || tally.iter().map(|(done, _)| done.load(Ordering::Relaxed)).sum::<u64>();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (engine, done, tally) =
                (&engines[usize::from(writer % 2)], &done, &tally[usize::from(writer)]);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let all = move |txn: &mut Txn<'_>| count(txn, b"all") && count(txn, &[b'w', writer]);
                    match write(engine, all) {
                        Ok(()) => tally.0.fetch_add(1, Ordering::Relaxed),
                        // The database was away for longer than a commit waits: it may have happened or not.
                        Err(EngineError::Unavailable(_)) => tally.1.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
        for round in 1..=3 {
            eventually("writes go on", || acknowledged() >= round * 200);
            server.kill();
            server.restart();
        }
        let before = acknowledged();
        eventually("writes go on", || acknowledged() >= before + 100);
        done.store(true, Ordering::Relaxed);
    });
    let mut sum = 0;
    for (writer, (acknowledged, unknown)) in (0_u8..).zip(&tally) {
        let (acknowledged, unknown) = (acknowledged.load(Ordering::Relaxed), unknown.load(Ordering::Relaxed));
        let found = counted(&engines[0], &[b'w', writer]);
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&found),
            "writer {writer}: {found} found, {acknowledged} acknowledged, {unknown} not known"
        );
        sum += found;
    }
    assert_eq!(counted(&engines[1], b"all"), sum);
}

#[test]
fn what_is_wrong_with_a_database_is_said_in_plain_words() {
    let Some(server) = PostgresServer::shared() else { return };
    let error = |url: &str| PostgresEngine::open(url).map(|_| ()).unwrap_err();

    let nobody = error("postgres://fdfs@127.0.0.1:1/postgres");
    assert!(matches!(&nobody, EngineError::Unavailable(text) if text.contains("refused")), "{nobody}");
    let missing = error(&server.url_for("fdfs", "nowhere"));
    assert!(matches!(&missing, EngineError::Refused(text) if text.contains("nowhere")), "{missing}");

    server.run("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'the right one'");
    let wrong = error(&server.url_for("locked:guess", "postgres"));
    assert!(matches!(&wrong, EngineError::Refused(text) if text.contains("password")), "{wrong}");
    assert!(!wrong.to_string().contains("guess"), "{wrong}");
    let none = error(&server.url_for("locked", "postgres"));
    assert!(matches!(&none, EngineError::Refused(text) if text.contains("password")), "{none}");

    server.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on");
    let reader = error(&server.url_for("reader", "postgres"));
    assert!(
        matches!(&reader, EngineError::Refused(text) | EngineError::Unavailable(text) if text.contains("writes")),
        "{reader}"
    );

    for url in ["postgres://fdfs@host/db?sslmode=maybe", "postgres://fdfs@host:port/db"] {
        assert!(matches!(error(url), EngineError::Store(_)), "{url}");
    }
}

#[test]
fn a_database_that_does_not_answer_is_given_up() {
    // It accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://fdfs@{}/postgres", silent.local_addr().unwrap());
    let started = Instant::now();
    let error = PostgresEngine::open(&url).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert!(started.elapsed() < READ_DEADLINE * 4, "{:?}", started.elapsed());
}

/// A disk that is full for one table: nothing of the transaction is written, and the next one that fits is.
#[test]
fn a_full_disk_is_no_space_and_leaves_nothing() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.new_store();
    let schema = url.rsplit("%3D").next().unwrap();
    let engine = PostgresEngine::open(&url).unwrap();
    server.run(&format!(
        "CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF length(NEW.value) > 1000 THEN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END IF; RETURN NEW; END'; \
         CREATE TRIGGER full_disk BEFORE INSERT ON {schema}.fdfs_namespace FOR EACH ROW EXECUTE FUNCTION {schema}.full()"
    ));
    let outcome = write(&engine, |txn| {
        txn.put(b"small".to_vec(), vec![1]);
        txn.put(b"large".to_vec(), vec![1; 2_000]);
        true
    });
    assert!(matches!(outcome, Err(EngineError::NoSpace)), "{outcome:?}");
    assert_eq!(get(&engine, b"small"), None);
    write(&engine, |txn| count(txn, b"small")).unwrap();
}

#[test]
fn a_store_of_a_later_format_is_refused_with_a_sentence() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.new_store();
    let engine = PostgresEngine::open(&url).unwrap();
    write(&engine, |txn| {
        let key = crate::keys::stamp();
        let stamp = crate::rows::StampRow { format: 9, min_reader: 9, min_writer: 9, ..Default::default() };
        let value = crate::rows::seal(&key, &stamp);
        txn.put(key, value);
        true
    })
    .unwrap();
    let error = Namespace::open(Arc::new(engine), Defaults::default()).map(|_| ()).unwrap_err();
    assert!(matches!(&error, NamespaceError::Format(text) if text.contains("format 9")), "{error}");
}
