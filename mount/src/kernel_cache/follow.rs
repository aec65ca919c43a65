//! Takes back from the kernel what others changed, on a thread of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fdfs_objects::{Change, ChangeKind, Objects, Origin, View};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::notifier::Stale;
use super::{KernelCache, Notifier, TakeBack};

/// Follows the changes until the mount has ended. What `origin` changed the kernel knows already.
pub(crate) fn follow(
    cache: Arc<KernelCache>,
    notifier: Notifier,
    objects: Arc<Objects>,
    origin: Origin,
    ended: watch::Receiver<bool>,
) -> io::Result<()> {
    let notifier = Arc::new(notifier);
    let _ = cache.notifier.set(Arc::downgrade(&notifier)); // once for each mount
    let Some(takes_back) = cache.takes_back.lock().take() else { return Ok(()) };
    let epochs = notifier.epoch().is_ok();
    if !epochs {
        info!("this kernel cannot be told to look at all names again: it keeps them for a second at most");
    }
    // From here on nothing is missed: only now may the kernel keep anything.
    let (changes, view) = (objects.changes(), objects.view());
    cache.set_followed(!cache.limit.is_zero(), epochs);
    let mut follower = Follower { cache, notifier, objects, origin, epochs, late: VecDeque::new() };
    // Its own clock: it may outlive the runtime of those who mounted.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("fdfs-notify".to_owned()).spawn(move || {
        // What blocks in here blocks this thread alone.
        runtime.block_on(follower.run(changes, takes_back, view, ended));
        follower.cache.set_followed(false, false);
    })?;
    Ok(())
}

struct Follower {
    cache: Arc<KernelCache>,
    notifier: Arc<Notifier>,
    objects: Arc<Objects>,
    origin: Origin,
    epochs: bool,
    /// Inodes that the kernel did not know: an answer under way may have told it meanwhile.
    late: VecDeque<(Instant, u64)>,
}

/// What changes take back.
#[derive(Debug, Default)]
struct Batch {
    names: BTreeSet<(u64, Vec<u8>)>,
    inodes: BTreeMap<u64, Stale>,
    all: bool,
    /// Number of the last change.
    seen: u64,
}

impl Follower {
    async fn run(
        &mut self,
        mut changes: Receiver<Change>,
        mut takes_back: mpsc::Receiver<TakeBack>,
        view: View,
        mut ended: watch::Receiver<bool>,
    ) {
        // What the mount itself changes is no news: while that is all, the look at it waits until it is worth to be woken up for.
        let mut only_own = false;
        loop {
            let mut batch = Batch::default();
            let again = self.late.front().map(|(when, _)| *when);
            let due = async {
                match again {
                    Some(when) => tokio::time::sleep_until(when.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                change = next(&mut changes, only_own.then_some(&view)) => match change {
                    Ok(change) => batch.add(change, self.origin),
                    Err(RecvError::Lagged(_)) => batch.lagged(self.objects.namespace().announced()),
                    Err(RecvError::Closed) => return,
                },
                Some(TakeBack { inode, done }) = takes_back.recv() => {
                    if let Err(error) = self.notifier.inode(inode, Stale::Content) {
                        debug!(ino = inode, %error, "the kernel did not take a notification");
                    }
                    let _ = done.send(()); // who wanted it may have gone
                    continue;
                }
                () = due => {}
            }
            while batch.names.len() < BATCH {
                match changes.try_recv() {
                    Ok(change) => batch.add(change, self.origin),
                    Err(TryRecvError::Lagged(_)) => batch.lagged(self.objects.namespace().announced()),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let seen = batch.seen;
            only_own = seen > 0 && batch.is_empty();
            if let Err(error) = self.tell(batch) {
                if *ended.borrow() {
                    return;
                }
                metrics::counter!("fdfs_mount_failed_notifications_total").increment(1);
                debug!(%error, "the kernel did not take a notification");
            }
            view.has_seen(seen);
        }
    }

    fn tell(&mut self, batch: Batch) -> io::Result<()> {
        let mut result = Ok(());
        if batch.all {
            result = self.drop_all();
        }
        for (parent, name) in &batch.names {
            if self.cache.knows(*parent) {
                let told = self.notifier.entry(*parent, name);
                result = result.and(told.map(drop));
            }
        }
        let later = Instant::now() + LATE;
        for (inode, stale) in batch.inodes {
            let told = if self.cache.knows(inode) { self.notifier.inode(inode, stale) } else { Ok(false) };
            if !matches!(told, Ok(true)) {
                // The answer that makes the kernel know it may just be on its way.
                self.late.push_back((later, inode));
            }
            result = result.and(told.map(drop));
        }
        let now = Instant::now();
        while self.late.front().is_some_and(|(when, _)| *when <= now) || self.late.len() > MAX_LATE {
            let Some((_, inode)) = self.late.pop_front() else { break };
            if self.cache.knows(inode) {
                let told = self.notifier.inode(inode, Stale::Attributes);
                result = result.and(told.map(drop));
            }
        }
        result
    }

    /// Whatever the kernel keeps may be wrong.
    fn drop_all(&self) -> io::Result<()> {
        warn!("changes may have been missed: the kernel asks for everything again");
        metrics::counter!("fdfs_mount_dropped_caches_total").increment(1);
        let mut result = if self.epochs { self.notifier.epoch() } else { Ok(()) };
        for inode in self.cache.all() {
            let told = self.notifier.inode(inode, Stale::Attributes);
            result = result.and(told.map(drop));
        }
        result
    }
}

/// The next change; after a rest where a view is given, which ends when somebody waits for the view.
async fn next(changes: &mut Receiver<Change>, rests: Option<&View>) -> Result<Change, RecvError> {
    if let Some(view) = rests {
        // Over or wanted: both end it.
        let _ = tokio::time::timeout(REST, view.wanted()).await;
    }
    changes.recv().await
}

impl Batch {
    fn is_empty(&self) -> bool {
        !self.all && self.names.is_empty() && self.inodes.is_empty()
    }

    fn add(&mut self, change: Change, own: Origin) {
        self.seen = change.number;
        let stale = match change.kind {
            ChangeKind::Missed => {
                self.all = true;
                return;
            }
            ChangeKind::BucketSettings | ChangeKind::Unlocked => return,
            _ if change.origin == Some(own) => return,
            ChangeKind::Content => Stale::Content,
            _ => Stale::Attributes,
        };
        let places = change.from.into_iter().chain([(change.parent, change.name)]);
        for (parent, mut name) in places.filter(|(parent, _)| *parent != 0) {
            if name.ends_with(b"/") {
                name.pop();
            }
            self.inodes.entry(parent).or_insert(Stale::Attributes);
            if !name.is_empty() {
                self.names.insert((parent, name));
            }
        }
        let known = self.inodes.entry(change.inode).or_insert(stale);
        *known = stale.max(*known);
    }

    fn lagged(&mut self, announced: u64) {
        self.all = true;
        self.seen = self.seen.max(announced);
    }
}

/// How long changes of the mount itself are left alone: fewer come in that time than a listener may be behind.
const REST: Duration = Duration::from_millis(5);
/// Names that are told of at once.
const BATCH: usize = 1_024;
/// When an inode is told of again.
const LATE: Duration = Duration::from_millis(100);
/// Inodes that wait for that.
const MAX_LATE: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ChangeKind, inode: u64, parent: u64, name: &[u8]) -> Change {
        Change { kind, inode, version: 1, parent, name: name.to_vec(), from: None, origin: None, number: 9 }
    }

    #[test]
    fn a_batch_takes_back_names_their_directories_and_inodes_once_and_nothing_of_its_own() {
        let (own, mut batch) = (Origin::unique(), Batch::default());
        batch.add(change(ChangeKind::Attributes, 7, 0, b""), own);
        batch.add(change(ChangeKind::Content, 7, 0, b""), own);
        batch.add(change(ChangeKind::Attributes, 7, 0, b""), own);
        batch.add(Change { origin: Some(own), ..change(ChangeKind::Content, 8, 0, b"") }, own);
        let from = Some((20, b"old/".to_vec()));
        batch.add(Change { from, ..change(ChangeKind::Renamed, 9, 30, b"new/") }, own);
        let names: Vec<_> = batch.names.into_iter().collect();
        assert_eq!(names, [(20, b"old".to_vec()), (30, b"new".to_vec())]);
        let (attributes, content) = (Stale::Attributes, Stale::Content);
        let inodes: Vec<_> = batch.inodes.into_iter().collect();
        assert_eq!(inodes, [(7, content), (9, attributes), (20, attributes), (30, attributes)]);
        assert!(!batch.all && batch.seen == 9);
    }

    #[test]
    fn what_was_missed_takes_back_everything() {
        let mut batch = Batch::default();
        batch.add(change(ChangeKind::Missed, 0, 0, b""), Origin::unique());
        assert!(batch.all);
        let mut batch = Batch::default();
        batch.lagged(12);
        assert!(batch.all && batch.seen == 12);
    }
}
