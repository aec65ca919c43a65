//! Changes that other gateways committed: the log is looked at several times a second.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Pool;
use super::connection::{Begin, Connection};
use super::failure::Failure;
use super::wait::wait;
use crate::engine::{PAGE, Range, Row, Watcher, prefix_end};
use crate::keys;

/// Tells `watcher` of changes for as long as it lives, on a thread of its own.
pub(super) fn start(pool: Arc<Pool>, watcher: Weak<dyn Watcher>) {
    let started = std::thread::Builder::new().name("namespace-changes".to_owned()).spawn(move || {
        let mut log = Log::default();
        while let Some(watcher) = watcher.upgrade() {
            log.look(&pool, watcher.as_ref());
            drop(watcher);
            std::thread::sleep(INTERVAL);
        }
    });
    if let Err(error) = started {
        warn!(%error, "changes of other gateways are not followed");
    }
}

/// How far the log was seen.
#[derive(Default)]
struct Log {
    /// The last sequence of each writer; none before the first look.
    cursors: Option<BTreeMap<u64, u64>>,
    stamp: Option<Vec<u8>>,
    looked: Option<Instant>,
}

impl Log {
    fn look(&mut self, pool: &Pool, watcher: &dyn Watcher) {
        // Rows are trimmed after an hour; nobody knows what was in the log meanwhile.
        let is_behind = self.looked.is_some_and(|looked| looked.elapsed() > LOG_KEPT);
        if is_behind || self.cursors.as_ref().is_some_and(|cursors| cursors.len() > WRITERS) {
            self.cursors = None;
        }
        let looked = Instant::now();
        let end = looked + LIMIT;
        let found = pool.until(end, |connection| match &self.cursors {
            Some(cursors) => news(pool, connection, cursors),
            None => Ok((present(pool, connection)?, None)),
        });
        let (rows, stamp) = match found {
            Ok(found) => found,
            Err(failure) => {
                // Those who wait for news learn that there are none for a while.
                if self.looked.is_some_and(|looked| looked.elapsed() > SILENCE) {
                    info!(?failure, "changes of other gateways cannot be followed: what is known is dropped");
                    watcher.follows(false);
                    watcher.missed();
                }
                return;
            }
        };
        self.looked = Some(looked);
        let is_first = self.cursors.is_none();
        let cursors = self.cursors.get_or_insert_default();
        for (key, _) in &rows {
            cursors.insert(keys::number_at(key, 1), keys::number_at(key, 9));
        }
        if is_first {
            watcher.missed();
            watcher.follows(true);
            return;
        }
        if stamp.is_some() && self.stamp.is_some() && stamp != self.stamp {
            warn!("the namespace was restored: what is known is dropped");
            self.cursors = None;
            watcher.missed();
        } else if !rows.is_empty() {
            watcher.committed(&rows);
        }
        self.stamp = stamp.or(self.stamp.take());
        watcher.follows(true);
    }
}

/// Rows beyond the cursors, and the stamp.
fn news(
    pool: &Pool,
    connection: &Connection,
    cursors: &BTreeMap<u64, u64>,
) -> Result<(Vec<Row>, Option<Vec<u8>>), Failure> {
    // What lies between what was seen of one writer and the first row of the next is new, whoever wrote it.
    let mut from = vec![keys::CHANGE];
    let mut ranges: Vec<Range> = Vec::new();
    for (writer, sequence) in cursors {
        ranges.push((from, keys::changes(*writer), PAGE));
        from = keys::change(*writer, sequence.saturating_add(1));
    }
    ranges.push((from, prefix_end(&[keys::CHANGE]), PAGE));
    let stamp = [keys::stamp()];
    let fetch = connection.fetch(Begin::Read, &stamp, &ranges);
    let fetched = wait(&pool.runtime, LIMIT, fetch)?;
    connection.end();
    let rows = fetched.pages.into_iter().flatten().collect();
    Ok((rows, fetched.values.into_iter().next().flatten()))
}

/// The last row of each writer.
fn present(pool: &Pool, connection: &Connection) -> Result<Vec<Row>, Failure> {
    wait(&pool.runtime, LIMIT, connection.last_of_each(keys::CHANGE))
}

/// How often the log is looked at: mounts are promised to learn of changes within a second.
const INTERVAL: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(5);
/// So long without a look, and what is known may be wrong.
const SILENCE: Duration = Duration::from_secs(5);
/// Writers that are remembered: most of them have been gone for long.
const WRITERS: usize = 1_000;
const LOG_KEPT: Duration = Duration::from_secs(3_000);
