//! Settings of buckets: texts that S3 keeps with a bucket, by name.
//!
//! They are asked for by every request and hardly ever change, so what was read is kept until a change of them is announced. So is the bucket itself, in a store
//! that nobody else has: there a change is announced before it is answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::buckets::Bucket;
use crate::changes::{Change, ChangeKind};
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, BlobRow};
use crate::transaction::Transaction;
use crate::tree;

/// All settings of a bucket by name.
pub type BucketSettings = BTreeMap<String, Bytes>;

/// All settings of the bucket whose topmost directory is `root`.
pub(crate) fn load(read: &dyn Read, root: u64) -> Result<BucketSettings, NamespaceError> {
    let prefix = keys::settings(root);
    let corrupt = |_| NamespaceError::Corrupt { family: 'B', what: "a setting's name" };
    let mut settings = BucketSettings::new();
    for (key, value) in rows::scan(read, &prefix, &prefix, PAGE)? {
        let row: BlobRow = rows::unseal(&key, &value)?;
        let name = String::from_utf8(key.get(prefix.len()..).unwrap_or_default().to_vec());
        settings.insert(name.map_err(corrupt)?, row.data);
    }
    Ok(settings)
}

/// Keeps a setting, or forgets it.
pub(crate) fn set(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    name: &str,
    value: Option<&Bytes>,
) -> Result<(), NamespaceError> {
    let row = tree::inode(tx, root).map_err(|error| match error {
        NamespaceError::NotFound => NamespaceError::NoSuchBucket,
        error => error,
    })?;
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.contains('\0');
    if row.parent != root || !fits || value.is_some_and(|value| value.len() > MAX_VALUE) {
        return Err(NamespaceError::InvalidName);
    }
    let key = keys::setting(root, name);
    match value {
        Some(value) => tx.put(key, &BlobRow { data: value.clone() }),
        None => tx.delete(&key),
    }
    changed(tx, root, name);
    Ok(())
}

/// Has everybody read the bucket's settings anew.
pub(crate) fn changed(tx: &mut Transaction<'_, '_>, root: u64, name: &str) {
    tx.change(ChangeKind::BucketSettings, root, 0, keys::ROOT, name.as_bytes());
}

/// Removes all settings of a bucket that goes.
pub(crate) fn purge(tx: &mut Transaction<'_, '_>, root: u64) -> Result<(), NamespaceError> {
    let prefix = keys::settings(root);
    for (key, _) in tx.range(&prefix, &prefix_end(&prefix), PAGE)? {
        tx.delete(&key);
    }
    Ok(())
}

/// Settings and buckets as they were read last.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the bucket's root.
    settings: HashMap<u64, Arc<BucketSettings>>,
    /// By name.
    buckets: HashMap<String, Arc<Bucket>>,
    /// Grows with every change: what was read before one is not kept after it.
    changes: u64,
}

impl Cache {
    /// What is known, or the mark to keep with what is read now.
    pub(crate) fn get(&self, root: u64) -> Result<Arc<BucketSettings>, u64> {
        let known = self.0.lock();
        known.settings.get(&root).cloned().ok_or(known.changes)
    }

    /// Keeps what was read, unless something changed since the mark.
    pub(crate) fn keep(&self, mark: u64, root: u64, settings: Arc<BucketSettings>) {
        let mut known = self.0.lock();
        if known.changes == mark {
            if known.settings.len() >= MAX_BUCKETS {
                known.settings.clear();
            }
            known.settings.insert(root, settings);
        }
    }

    /// The bucket that is known, or the mark to keep with the one that is read now.
    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, u64> {
        let known = self.0.lock();
        known.buckets.get(name).cloned().ok_or(known.changes)
    }

    /// Keeps a bucket that was read, unless something changed since the mark.
    pub(crate) fn keep_bucket(&self, mark: u64, bucket: &Bucket) {
        let mut known = self.0.lock();
        if known.changes == mark {
            if known.buckets.len() >= MAX_BUCKETS {
                known.buckets.clear();
            }
            known.buckets.insert(bucket.name.clone(), Arc::new(bucket.clone()));
        }
    }

    fn learn(&self, change: &Change) {
        let forget = |known: &mut Known| match change.kind {
            ChangeKind::Missed => {
                known.settings.clear();
                known.buckets.clear();
            }
            _ => {
                known.settings.remove(&change.inode);
                known.buckets.retain(|_, bucket| bucket.root != change.inode);
            }
        };
        if matches!(change.kind, ChangeKind::BucketSettings | ChangeKind::BucketRemoved | ChangeKind::Missed)
        {
            let mut known = self.0.lock();
            known.changes = known.changes.wrapping_add(1);
            forget(&mut known);
        }
    }
}

/// Tells of committed changes: first what this process keeps, then who listens.
#[derive(Clone)]
pub(crate) struct Announcer {
    listeners: broadcast::Sender<Change>,
    pub(crate) settings: Arc<Cache>,
    /// How many were told.
    told: Arc<Mutex<u64>>,
}

impl Announcer {
    /// One whose listeners may be `capacity` changes behind.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { listeners: broadcast::channel(capacity).0, settings: Arc::default(), told: Arc::default() }
    }

    /// Tells of a change.
    pub(crate) fn send(&self, change: Change) {
        self.settings.learn(&change);
        // They arrive in the order of their numbers.
        let mut told = self.told.lock();
        *told += 1;
        let change = Change { number: *told, ..change };
        // Nobody listening is no fault.
        let _ = self.listeners.send(change);
    }

    /// The number of the change that was told last.
    pub(crate) fn told(&self) -> u64 {
        *self.told.lock()
    }

    /// Listens.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.listeners.subscribe()
    }
}

const MAX_NAME: usize = 255;
/// Room for every document that S3 takes, and few enough bytes for one message of the namespace service.
const MAX_VALUE: usize = 1024 * 1024;
/// Buckets whose settings are kept at once.
const MAX_BUCKETS: usize = 10_000;
