//! Sending the changes of this storage to the other members of its group.
//!
//! Each peer has a thread of its own, so that neither a slow peer nor much to send holds up clients or other peers:
//!
//! ```text
//! Replication ─► Peer (one thread): state of the peer, from where on ─► Stream: binlog ─► window ─► lines ─► mark
//! ```

mod delivery;
mod gauges;
mod letters;
mod line;
mod mark_keeper;
mod peer;
mod start;
mod stream;

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, thread, time::Duration};

use fdfs_conf::StorageConfig;
use fdfs_net::PoolConfig;
use fdfs_rules::replication::SyncHours;
use fdfs_store::{DeadLetter, DeadLetters};
use fdfs_types::{StorageId, StorageStatus};
use parking_lot::Mutex;
use tokio::{
    runtime::{self, Handle},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::{error, info_span};

use self::peer::Peer;
pub(crate) use self::{
    delivery::{Deliveries, Outcome},
    line::Line,
};
use crate::shared::Shared;

/// What the configuration says about sending to peers.
#[derive(Clone, Debug)]
pub(crate) struct SyncSettings {
    /// Records on their way at once.
    connections: usize,
    /// Pause behind each record.
    interval: Duration,
    hours: SyncHours,
    /// Records after which the mark is written.
    mark_frequency: u64,
    heart_beat_interval: Duration,
    skips_invalid: bool,
    pool: PoolConfig,
}

impl SyncSettings {
    pub(crate) fn new(config: &StorageConfig, pool: PoolConfig) -> Self {
        Self {
            connections: config.sync_max_threads.max(1) as usize,
            interval: config.sync_interval,
            hours: SyncHours::new(config.sync_start_time, config.sync_end_time),
            mark_frequency: config.write_mark_file_freq.max(1).into(),
            heart_beat_interval: config.heart_beat_interval,
            skips_invalid: config.file_sync_skip_invalid_record,
            pool,
        }
    }
}

/// What a member did not take.
pub(crate) fn dead_letters(shared: &Shared, member: StorageId) -> io::Result<Vec<DeadLetter>> {
    DeadLetters::read(&letters_path(shared, member))
}

/// The name of the marks of a peer, without its end.
pub(crate) fn mark_name(shared: &Shared, member: StorageId) -> String {
    let path = start::mark_path(&shared.store, &shared.identity, member);
    path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn letters_path(shared: &Shared, member: StorageId) -> PathBuf {
    start::mark_path(&shared.store, &shared.identity, member).with_extension("failed")
}

/// Everything that is sent to peers.
///
/// Dropping it cuts it off, as `kill -9` would; [`Replication::shutdown`] writes the marks.
#[derive(Debug)]
pub(crate) struct Replication {
    /// True: end in order. Dropped: end at once.
    stop: watch::Sender<bool>,
    manager: JoinHandle<()>,
    threads: Threads,
}

type Threads = Arc<Mutex<HashMap<StorageId, thread::JoinHandle<()>>>>;

impl Replication {
    /// Sends to every other member, now and when one comes.
    pub(crate) fn start(shared: &Arc<Shared>, settings: SyncSettings) -> Self {
        let (stop, stopped) = watch::channel(false);
        let threads = Threads::default();
        let manager = tokio::spawn(manage(Arc::clone(shared), settings, stopped, Arc::clone(&threads)));
        Self { stop, manager, threads }
    }

    /// Ends in order: what is on its way is cut off, what was acknowledged is written into the marks.
    pub(crate) async fn shutdown(self) {
        self.manager.abort();
        let _ = self.stop.send(true);
        let threads: Vec<_> = self.threads.lock().drain().map(|(_, thread)| thread).collect();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A thread that panicked has told so.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        self.manager.abort();
    }
}

/// Gives each member a thread, and a new one if it comes back after its thread has ended.
async fn manage(
    shared: Arc<Shared>,
    settings: SyncSettings,
    stopped: watch::Receiver<bool>,
    threads: Threads,
) {
    let mut members = shared.members();
    let (ended, mut ends) = mpsc::unbounded_channel();
    loop {
        let list = members.borrow_and_update().clone();
        let me = shared.identity.id;
        let gone = [StorageStatus::Deleted, StorageStatus::IpChanged, StorageStatus::None];
        let others = list.all.iter().filter(|member| !gone.contains(&member.status));
        for id in others.filter_map(|member| member.id).filter(|id| *id != me) {
            let mut threads = threads.lock();
            if threads.contains_key(&id) {
                continue;
            }
            let peer =
                Peer::new(id, Arc::clone(&shared), settings.clone(), Handle::current(), stopped.clone());
            match spawn(peer, ended.clone()) {
                Ok(thread) => drop(threads.insert(id, thread)),
                Err(error) => {
                    error!(peer = %id, %error, "no thread to replicate to a peer, trying again later");
                }
            }
        }
        tokio::select! {
            changed = members.changed() => if changed.is_err() { return },
            Some(id) = ends.recv() => drop(threads.lock().remove(&id)),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

fn spawn(peer: Peer, ended: mpsc::UnboundedSender<StorageId>) -> io::Result<thread::JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let span = info_span!("sync", peer = %peer.id());
    thread::Builder::new().name(String::from("sync")).spawn(move || {
        let _entered = span.entered();
        let id = peer.id();
        runtime.block_on(peer.run());
        runtime.shutdown_background();
        // The storage may have ended.
        let _ = ended.send(id);
    })
}

/// So often the list is looked at in any case, should a thread have been refused by the system.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
