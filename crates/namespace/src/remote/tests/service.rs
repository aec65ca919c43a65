//! What the service promises beyond an engine's contract: several processes, faults, trust.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::Served;
use crate::changes::{Change, ChangeKind};
use crate::engine::{Engine, EngineError, Job, LmdbEngine, MemoryEngine, Read, Txn};
use crate::error::NamespaceError;
use crate::namespace::Namespace;
use crate::remote::{READ_DEADLINE, RemoteEngine, RowServer, Secret, ServeError};
use crate::transaction::Defaults;
use crate::tree::posix::{NewInode, SetAttributes};
use crate::{Bucket, NewBucket, SessionReport, Versioning};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The namespace that a gateway has for itself.
fn local() -> (tempfile::TempDir, Namespace) {
    let directory = tempfile::tempdir().unwrap();
    let namespace = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
    (directory, namespace)
}

/// The namespace of another process.
async fn remote(address: SocketAddr, secret: Option<Secret>) -> Result<Namespace, NamespaceError> {
    let open = move || Namespace::open(Arc::new(RemoteEngine::new(address, secret)?), Defaults::default());
    tokio::task::spawn_blocking(open).await.unwrap()
}

async fn bucket(namespace: &Namespace) -> Bucket {
    namespace.create_bucket("bucket", NewBucket::default()).await.unwrap()
}

/// Waits for a change that fits; what else comes is skipped.
async fn change(changes: &mut broadcast::Receiver<Change>, fits: impl Fn(&Change) -> bool) -> Change {
    let find = async {
        loop {
            match changes.recv().await {
                Ok(change) if fits(&change) => return change,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), find).await.expect("the change comes")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_see_each_others_writes_at_once() {
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let there = remote(served.address, None).await.unwrap();
    let root = bucket(&here).await.root;

    for number in 0..20_u32 {
        let (writer, reader) = if number % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let name = format!("file-{number}");
        let made = writer.make(root, name.as_bytes(), NewInode::default()).await.unwrap();
        assert_eq!(reader.lookup(root, name.as_bytes()).await.unwrap().inode, made.inode);
        let set = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
        reader.set_attributes(made.inode, set).await.unwrap();
        assert_eq!(writer.attributes(made.inode).await.unwrap().mode & 0o777, 0o600);
    }
    let (entries, _) = there.read_directory(root, None, 100).await.unwrap();
    assert_eq!(entries.len(), 20);
    assert_ne!(here.session(), there.session());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_other_processes() {
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let there = remote(served.address, None).await.unwrap();
    let third = remote(served.address, None).await.unwrap();
    let (mut at_here, mut at_there, mut at_third) = (here.changes(), there.changes(), third.changes());
    let root = bucket(&here).await.root;
    for stream in [&mut at_there, &mut at_third] {
        // A stream tells what comes once it has begun.
        loop {
            let probe = here.make(root, b"probe", NewInode::default()).await.unwrap().inode;
            here.unlink(root, b"probe").await.unwrap();
            let told = change(stream, |change| change.inode == probe);
            if tokio::time::timeout(Duration::from_millis(200), told).await.is_ok() {
                break;
            }
        }
    }
    let made = here.make(root, b"by here", NewInode::default()).await.unwrap().inode;
    let fits = |change: &Change| change.inode == made && change.kind == ChangeKind::Created;
    assert_eq!(change(&mut at_there, fits).await.name, b"by here");
    let made = there.make(root, b"by there", NewInode::default()).await.unwrap().inode;
    let fits = |change: &Change| change.inode == made && change.kind == ChangeKind::Created;
    assert_eq!(change(&mut at_here, fits).await.name, b"by there");
    assert_eq!(change(&mut at_third, fits).await.name, b"by there");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_anew_when_anybody_changes_them() {
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let there = remote(served.address, None).await.unwrap();
    let root = bucket(&here).await.root;
    assert!(here.bucket_settings(root).await.unwrap().is_empty());

    for number in 0..20_u8 {
        let (writer, reader) = if number % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let value = bytes::Bytes::from(vec![number; 3]);
        writer.set_bucket_setting(root, "cors", Some(value.clone())).await.unwrap();
        assert_eq!(writer.bucket_settings(root).await.unwrap()["cors"], value);
        let told = async {
            while reader.bucket_settings(root).await.unwrap().get("cors") != Some(&value) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the other process reads it anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_as_whoever_changed_it_last_left_it() {
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let there = remote(served.address, None).await.unwrap();
    let name = bucket(&here).await.name;

    for number in 0..20_u8 {
        let writer = if number % 2 == 0 { &there } else { &here };
        let versioning = if number % 3 == 0 { Versioning::Suspended } else { Versioning::Enabled };
        writer.set_versioning(&name, versioning).await.unwrap();
        for reader in [&here, &there] {
            assert_eq!(reader.bucket(&name).await.unwrap().versioning, versioning, "{number}");
        }
    }
    let mut root = here.bucket(&name).await.unwrap().root;
    for writer in [&there, &here] {
        writer.delete_bucket(&name).await.unwrap();
        for reader in [&here, &there] {
            assert!(matches!(reader.bucket(&name).await, Err(NamespaceError::NoSuchBucket)));
        }
        let made = writer.create_bucket(&name, NewBucket::default()).await.unwrap();
        assert_ne!(made.root, root);
        for reader in [&here, &there] {
            assert_eq!(reader.bucket(&name).await.unwrap(), made);
        }
        root = made.root;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_service_fails_calls_in_time_and_is_found_again() {
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let address = served.address;
    let there = remote(address, None).await.unwrap();
    let root = bucket(&here).await.root;
    let mut changes = there.changes();
    there.make(root, b"before", NewInode::default()).await.unwrap();

    tokio::task::block_in_place(|| served.kill());
    let started = Instant::now();
    let (read, written) = tokio::join!(
        there.lookup(root, b"before"),
        there.make(root, b"while it is gone", NewInode::default())
    );
    for error in [read.unwrap_err(), written.unwrap_err()] {
        assert!(matches!(error, NamespaceError::Engine(EngineError::Unavailable(_))), "{error}");
    }
    assert!(started.elapsed() < READ_DEADLINE * 2, "{:?}", started.elapsed());
    // What was known may be wrong from here on.
    change(&mut changes, |change| change.kind == ChangeKind::Missed).await;
    let missed = here.make(root, b"missed", NewInode::default()).await.unwrap().inode;

    let _served = tokio::task::block_in_place(|| Served::namespace(address, &here, None));
    there.lookup(root, b"before").await.unwrap();
    there.make(root, b"after", NewInode::default()).await.unwrap();
    assert!(here.lookup(root, b"while it is gone").await.is_err());
    // The stream goes on where it was cut off.
    change(&mut changes, |change| change.inode == missed && change.kind == ChangeKind::Created).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_is_given_up() {
    // It accepts and says nothing.
    let silent = TcpListener::bind(loopback()).await.unwrap();
    let started = Instant::now();
    let error = remote(silent.local_addr().unwrap(), None).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, NamespaceError::Engine(EngineError::Unavailable(_))), "{error}");
    assert!(started.elapsed() < READ_DEADLINE * 2, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_directory_on_both_sides_lose_nothing() {
    const EACH: usize = 40;
    let (_directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let (one, other) =
        (remote(served.address, None).await.unwrap(), remote(served.address, None).await.unwrap());
    let root = bucket(&here).await.root;
    let mut writers = Vec::new();
    for (side, namespace) in [("here", &here), ("one", &one), ("other", &other)] {
        for writer in 0..4 {
            let namespace = namespace.clone();
            writers.push(tokio::spawn(async move {
                for number in 0..EACH {
                    let name = format!("{side}-{writer}-{number}");
                    namespace.make(root, name.as_bytes(), NewInode::default()).await.unwrap();
                    // All of them also fight for one name now and then.
                    if number % 10 != 0 {
                        continue;
                    }
                    match namespace.make(root, b"one", NewInode::default()).await {
                        Ok(_) => namespace.unlink(root, b"one").await.unwrap(),
                        Err(NamespaceError::AlreadyExists) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (mut count, mut after) = (0, None);
    loop {
        let (entries, next) = other.read_directory(root, after, 1_000).await.unwrap();
        count += entries.len();
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(count, 3 * 4 * EACH);
}

#[test]
fn a_transaction_whose_reads_no_longer_hold_runs_again() {
    let rows: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let served = Served::engine(Arc::clone(&rows));
    let remote = RemoteEngine::new(served.address, None).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    write(&remote, move |txn| {
        let before = txn.get(b"a").unwrap();
        let empty = txn.range(b"m", b"n", 10).unwrap().is_empty();
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            // Somebody else is faster: one row read before is another, and a range read empty is not.
            let rows = Arc::clone(&rows);
            write(rows.as_ref(), |txn| {
                txn.put(b"a".to_vec(), b"theirs".to_vec());
                txn.put(b"mm".to_vec(), b"theirs".to_vec());
                true
            })
            .unwrap();
        }
        txn.put(b"seen".to_vec(), format!("{before:?} {empty}").into_bytes());
        true
    })
    .unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    let mut seen = None;
    remote
        .read(&mut |read| {
            seen = read.get(b"seen")?;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.unwrap(), format!("{:?} false", Some(b"theirs")).into_bytes());
}

#[test]
fn a_read_sees_one_state_of_all_rows() {
    let rows: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let served = Served::engine(Arc::clone(&rows));
    let remote = RemoteEngine::new(served.address, None).unwrap();
    let both = |value: &'static [u8]| {
        write(rows.as_ref(), move |txn| {
            txn.put(b"a".to_vec(), value.to_vec());
            txn.put(b"b".to_vec(), value.to_vec());
            true
        })
        .unwrap();
    };
    both(b"1");
    let (mut runs, mut seen) = (0, Vec::new());
    remote
        .read(&mut |read| {
            runs += 1;
            seen = vec![read.get(b"a")?];
            if runs == 1 {
                both(b"2");
            }
            seen.push(read.get(b"b")?);
            Ok(())
        })
        .unwrap();
    assert_eq!((runs, seen), (2, vec![Some(b"2".to_vec()), Some(b"2".to_vec())]));
}

#[test]
fn rows_larger_than_an_answer_are_read_in_pieces() {
    let rows: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let served = Served::engine(Arc::clone(&rows));
    let remote = RemoteEngine::new(served.address, None).unwrap();
    let keys: Vec<Vec<u8>> = (0..12_u8).map(|number| vec![b'k', number]).collect();
    let all = keys.clone();
    write(&remote, move |txn| {
        all.iter().for_each(|key| txn.put(key.clone(), vec![key[1]; 700_000]));
        true
    })
    .unwrap();
    remote
        .read(&mut |read| {
            let page = read.range(b"k", b"l", 10)?;
            assert_eq!(page.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys[..10]);
            let values = read.get_many(&keys)?;
            assert!(values.iter().zip(0..).all(|(value, number)| *value == Some(vec![number; 700_000])));
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_only_this_machine_is_served() {
    let (_directory, here) = local();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = RowServer::bind(everywhere, &here, None).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(error, ServeError::NoSecret(_)) && error.to_string().contains("namespace_secret"),
        "{error}"
    );
    let mapped = SocketAddr::new("::ffff:10.0.0.1".parse::<IpAddr>().unwrap(), 0);
    assert!(matches!(RowServer::bind(mapped, &here, None).await, Err(ServeError::NoSecret(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_secret_is_not_let_in() {
    let (_directory, here) = local();
    let secret = || Some(Secret::new("only-those-who-know-it").unwrap());
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, secret()));
    for wrong in [None, Some(Secret::new("somebody-who-guesses-it").unwrap())] {
        let error = remote(served.address, wrong).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, NamespaceError::Engine(EngineError::Refused(_))), "{error}");
    }
    remote(served.address, secret()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_lives_as_long_as_its_session() {
    let (directory, here) = local();
    let served = tokio::task::block_in_place(|| Served::namespace(loopback(), &here, None));
    let there = remote(served.address, None).await.unwrap();
    let root = bucket(&here).await.root;
    let orphan = async |namespace: &Namespace, name: &[u8]| {
        let inode = namespace.make(root, name, NewInode::default()).await.unwrap().inode;
        namespace.hold(inode);
        namespace.unlink(root, name).await.unwrap();
        inode
    };
    let (of_here, of_there) = (orphan(&here, b"1").await, orphan(&there, b"2").await);

    // Another process comes: nothing of those that live is touched.
    let third = remote(served.address, None).await.unwrap();
    third.attributes(of_here).await.unwrap();
    third.attributes(of_there).await.unwrap();

    // The gateway is started anew while the others live: what was its own goes, what is theirs stays.
    let address = served.address;
    tokio::task::block_in_place(|| served.kill());
    drop(here);
    let here = reopen(directory.path()).await;
    assert!(matches!(here.attributes(of_here).await, Err(NamespaceError::NotFound)));
    here.attributes(of_there).await.unwrap();

    // It goes with its session.
    let _served = tokio::task::block_in_place(|| Served::namespace(address, &here, None));
    there.end_session().await.unwrap();
    here.remove_orphans().await.unwrap();
    assert!(matches!(here.attributes(of_there).await, Err(NamespaceError::NotFound)));
    assert!(matches!(there.renew_session(SessionReport::default()).await, Err(NamespaceError::Fenced)));
}

/// Opens a store once its last user has let go of it.
async fn reopen(path: &std::path::Path) -> Namespace {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match Namespace::open_lmdb(path, Defaults::default()) {
            Ok(namespace) => return namespace,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn lmdb_behind_a_service_keeps_what_it_committed() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::engine(Arc::new(LmdbEngine::open(directory.path()).unwrap()));
    let remote = RemoteEngine::new(served.address, None).unwrap();
    write(&remote, |txn| {
        txn.put(b"a".to_vec(), b"1".to_vec());
        true
    })
    .unwrap();
    served.kill();
    let deadline = Instant::now() + Duration::from_secs(60);
    let again = loop {
        match LmdbEngine::open(directory.path()) {
            Ok(engine) => break engine,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    again
        .read(&mut |read| {
            assert_eq!(read.get(b"a")?, Some(b"1".to_vec()));
            Ok(())
        })
        .unwrap();
}

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
