//! The namespace as other crates see it: asynchronous operations over an engine.

mod access;
mod buckets;
mod files;
mod inodes;
mod keyed;
mod locks;
mod may_block;
mod running;
mod sessions;
mod settings;
mod tasks;
mod uploads;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

pub use self::may_block::may_block;

use crate::engine::{Engine, LmdbEngine, MemoryEngine, PostgresEngine, Sharing, Watcher};
use crate::error::NamespaceError;
use crate::rows::{self, LeaseRow};
use crate::sessions as session_rows;
use crate::settings::Announcer;
use crate::transaction::{Defaults, Shared, Transaction};
use crate::{keys, stamp};

/// Names and attributes of everything that has a name. Cheap to clone.
#[derive(Clone)]
pub struct Namespace {
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
}

impl Namespace {
    /// Opens the namespace in LMDB under the directory `path`.
    pub fn open_lmdb(path: &Path, defaults: Defaults) -> Result<Self, NamespaceError> {
        Self::open(Arc::new(LmdbEngine::open(path)?), defaults)
    }

    /// Opens the namespace in the database at `url`, beside other gateways. It may block.
    pub fn open_postgres(url: &str, defaults: Defaults) -> Result<Self, NamespaceError> {
        Self::open(Arc::new(PostgresEngine::open(url)?), defaults)
    }

    /// A namespace that is gone when it is dropped.
    pub fn in_memory(defaults: Defaults) -> Result<Self, NamespaceError> {
        Self::open(Arc::new(MemoryEngine::default()), defaults)
    }

    /// Opens the namespace of an engine: checks or writes its stamp, begins a session, removes orphans of sessions that are gone. It may block.
    pub fn open(engine: Arc<dyn Engine>, defaults: Defaults) -> Result<Self, NamespaceError> {
        let shared = Shared {
            session: 0,
            owner: 0,
            slot: 0,
            inodes: Mutex::new(0..0),
            sequence: AtomicU64::new(1),
            holds: Mutex::new(BTreeMap::new()),
            kept: Mutex::new(BTreeSet::new()),
            announce: Announcer::new(ANNOUNCED),
            follows: AtomicBool::new(true),
            defaults,
        };
        let namespace = Self { engine, shared: Arc::new(shared) };
        let store = namespace.write_blocking(stamp::check_or_write)?;
        let sharing = namespace.engine.sharing();
        let session = namespace.write_blocking(move |tx| session_rows::begin(tx, sharing))?;
        let shared = Shared {
            session,
            owner: session_rows::owner(&store, session),
            slot: session_rows::slot(session, sharing),
            inodes: Mutex::new(0..0),
            sequence: AtomicU64::new(1),
            holds: Mutex::new(BTreeMap::new()),
            kept: Mutex::new(BTreeSet::new()),
            announce: Announcer::new(ANNOUNCED),
            follows: AtomicBool::new(true),
            defaults,
        };
        // What others do is told from the first word of the one who tells it on.
        let shared = Shared { follows: AtomicBool::new(sharing == Sharing::Alone), ..shared };
        let namespace = Self { engine: namespace.engine, shared: Arc::new(shared) };
        let alone = sharing == Sharing::Alone;
        let mut after = Some(0);
        while let Some(inode) = after {
            after = namespace.write_blocking(move |tx| session_rows::remove_orphans(tx, inode, alone))?;
        }
        let shared: Arc<dyn Watcher> = namespace.shared.clone();
        namespace.engine.watch(Arc::downgrade(&shared));
        Ok(namespace)
    }
}

/// Takes the next `count` numbers of a counter.
pub(crate) fn lease(
    tx: &mut Transaction<'_, '_>,
    counter: &str,
    first: u64,
    count: u64,
) -> Result<std::ops::Range<u64>, NamespaceError> {
    let key = keys::lease(counter);
    let start = rows::load::<LeaseRow>(tx, &key)?.map_or(first, |row| row.next);
    tx.put(key, &LeaseRow { next: start + count });
    Ok(start..start + count)
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

fn now_ms() -> u64 {
    u64::try_from(now() / 1_000_000).unwrap_or_default()
}

fn after(duration: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The first inode number given out; FORMAT.md.
const FIRST_INODE: u64 = 1_024;
/// Inode numbers of a block.
const LEASE: u64 = 4_096;
/// Fewer than this, and a new block is taken: one key of 1,024 slashes needs 1,024 directories.
const LEASE_LOW: u64 = 1_100;
/// Blocks taken for one write before it is given up.
const MAX_LEASES: usize = 8;
/// Changes that a slow listener may be behind.
const ANNOUNCED: usize = 4_096;
/// How long a write may take, sync included.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
