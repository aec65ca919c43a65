//! What the kernel keeps of names, attributes and content, and for how long it may.
//!
//! While changes are told as they come, the kernel keeps what it was told until [`follow`] takes it away again. Where they are not, it asks
//! every time.

mod follow;
mod notifier;

pub(crate) use follow::follow;
pub(crate) use notifier::Notifier;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::Duration;

use fdfs_objects::{Attributes, Kind, ROOT};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use self::notifier::Stale;

/// What the kernel keeps.
#[derive(Debug)]
pub(crate) struct KernelCache {
    limit: Duration,
    /// Somebody takes back what is no longer true.
    followed: AtomicBool,
    /// The kernel can be told to look at every name again.
    epochs: AtomicBool,
    known: [Mutex<HashMap<u64, Known>>; SHARDS],
    /// Content that has to go before an answer is given, for who tells the kernel.
    wanted: mpsc::Sender<TakeBack>,
    takes_back: Mutex<Option<mpsc::Receiver<TakeBack>>>,
    /// Tells the kernel, while it can be told.
    notifier: OnceLock<Weak<Notifier>>,
}

/// An inode whose content the kernel is to forget, and who waits for that.
#[derive(Debug)]
struct TakeBack {
    inode: u64,
    done: oneshot::Sender<()>,
}

/// An inode that the kernel knows.
#[derive(Debug, Default)]
struct Known {
    lookups: u64,
    /// Which content its pages are of.
    pages: Option<Stamp>,
    told: Told,
}

/// What the kernel was told of an inode's attributes since it last had to forget them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// These and no others.
    Only(Looks),
    /// Several: which of them it kept is not known.
    Several,
}

/// What a program sees of a file's content without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Looks {
    size: u64,
    mtime: i64,
    ctime: i64,
}

/// Tells one content of an inode from all others that it ever had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    digest: [u8; 16],
    size: u64,
}

/// For how long the kernel may keep what an answer tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keep {
    /// That the name stands for this inode.
    pub(crate) name: Duration,
    /// The attributes.
    pub(crate) attributes: Duration,
}

impl KernelCache {
    /// A kernel that knows nothing yet and may keep things for `limit` at most.
    pub(crate) fn new(limit: Duration) -> Self {
        let (wanted, takes_back) = mpsc::channel(WAITING);
        Self {
            wanted,
            takes_back: Mutex::new(Some(takes_back)),
            notifier: OnceLock::new(),
            limit,
            followed: AtomicBool::new(false),
            epochs: AtomicBool::new(false),
            known: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Whether what is no longer true is taken back from now on, and whether the kernel knows epochs.
    pub(crate) fn set_followed(&self, followed: bool, epochs: bool) {
        self.epochs.store(epochs, Ordering::Release);
        self.followed.store(followed, Ordering::Release);
    }

    /// For how long what is told of an inode may be kept; `follows` is whether changes are told now.
    pub(crate) fn keep(&self, follows: bool) -> Keep {
        if self.limit.is_zero() || !follows || !self.followed.load(Ordering::Acquire) {
            return Keep::NOTHING;
        }
        let name = if self.epochs.load(Ordering::Acquire) { self.limit } else { self.limit.min(SHORT) };
        Keep { name, attributes: self.limit }
    }

    /// For how long what is told of a raw file may be kept: nobody tells of one that goes.
    pub(crate) fn keep_raw(&self) -> Keep {
        Keep { name: SHORT, attributes: SHORT }
    }

    /// The kernel is told of an inode by its name.
    pub(crate) fn looked_up(&self, attributes: &Attributes) {
        let mut shard = self.shard(attributes.inode).lock();
        let known = shard.entry(attributes.inode).or_default();
        known.lookups += 1;
        known.told = known.told.and(Looks::of(attributes));
    }

    /// The kernel is told of the attributes of an inode that it knows.
    pub(crate) fn tells(&self, attributes: &Attributes) {
        if let Some(known) = self.shard(attributes.inode).lock().get_mut(&attributes.inode) {
            known.told = known.told.and(Looks::of(attributes));
        }
    }

    /// An open finds these attributes: the kernel has no others when this returns. For who answers a request that holds the inode only.
    pub(crate) fn revalidate(&self, attributes: &Attributes) {
        let (mut shard, now) = (self.shard(attributes.inode).lock(), Told::Only(Looks::of(attributes)));
        let Some(known) = shard.get_mut(&attributes.inode).filter(|known| known.told != now) else { return };
        if std::mem::take(&mut known.told) == Told::Nothing {
            return;
        }
        drop(shard);
        let kernel = self.notifier.get().and_then(Weak::upgrade);
        if let Some(Err(error)) = kernel.map(|kernel| kernel.inode(attributes.inode, Stale::Attributes)) {
            metrics::counter!("fdfs_mount_failed_notifications_total").increment(1);
            debug!(ino = attributes.inode, %error, "the kernel did not take a notification");
        }
    }

    /// The kernel forgets so many of them.
    pub(crate) fn forget(&self, inode: u64, lookups: u64) {
        let mut shard = self.shard(inode).lock();
        if let Some(known) = shard.get_mut(&inode) {
            known.lookups = known.lookups.saturating_sub(lookups);
            if known.lookups == 0 {
                shard.remove(&inode);
            }
        }
    }

    /// True for an inode that the kernel knows.
    pub(crate) fn knows(&self, inode: u64) -> bool {
        inode == ROOT || self.shard(inode).lock().contains_key(&inode)
    }

    /// Says which content is read from now on; true if the pages that the kernel has are of it.
    pub(crate) fn opens(&self, inode: u64, stamp: Stamp) -> bool {
        match self.shard(inode).lock().get_mut(&inode) {
            Some(known) => known.pages.replace(stamp) == Some(stamp),
            None => false,
        }
    }

    /// The kernel's pages are of this content, or of nobody knows which.
    pub(crate) fn set_pages(&self, inode: u64, stamp: Option<Stamp>) {
        if let Some(known) = self.shard(inode).lock().get_mut(&inode) {
            known.pages = stamp;
        }
    }

    /// Which content the kernel's pages are of.
    pub(crate) fn pages(&self, inode: u64) -> Option<Stamp> {
        self.shard(inode).lock().get(&inode).and_then(|known| known.pages)
    }

    /// Has the kernel forget what it has of a content; returns when it has, at once where nobody tells it anything.
    pub(crate) async fn take_back(&self, inode: u64) {
        if let Some(done) = self.want_back(inode)
            && tokio::time::timeout(TAKEN_BACK, done).await.is_err()
        {
            metrics::counter!("fdfs_mount_failed_notifications_total").increment(1);
        }
    }

    /// Has the kernel forget it soon: for who answers a request that the kernel holds pages for.
    pub(crate) fn take_back_soon(&self, inode: u64) {
        self.set_pages(inode, None);
        drop(self.want_back(inode));
    }

    fn want_back(&self, inode: u64) -> Option<oneshot::Receiver<()>> {
        if self.takes_back.lock().is_some() {
            return None;
        }
        let (done, waits) = oneshot::channel();
        self.wanted.try_send(TakeBack { inode, done }).ok().map(|()| waits)
    }

    /// All inodes that the kernel knows.
    fn all(&self) -> Vec<u64> {
        self.known.iter().flat_map(|shard| shard.lock().keys().copied().collect::<Vec<_>>()).collect()
    }

    fn shard(&self, inode: u64) -> &Mutex<HashMap<u64, Known>> {
        &self.known[inode as usize % SHARDS]
    }
}

impl Keep {
    /// It is asked for again every time.
    pub(crate) const NOTHING: Self = Self { name: Duration::ZERO, attributes: Duration::ZERO };
}

impl Told {
    fn and(self, looks: Looks) -> Self {
        match self {
            Self::Nothing => Self::Only(looks),
            Self::Only(before) if before == looks => self,
            Self::Only(_) | Self::Several => Self::Several,
        }
    }
}

impl Looks {
    fn of(attributes: &Attributes) -> Self {
        Self { size: attributes.size, mtime: attributes.mtime, ctime: attributes.ctime }
    }
}

impl Stamp {
    /// That of the content which a file has according to its attributes; only files have any.
    pub(crate) fn of(attributes: &Attributes) -> Option<Self> {
        let digest = attributes.etag.map(|etag| etag.digest).unwrap_or_default();
        (attributes.kind == Kind::File).then_some(Self { digest, size: attributes.size })
    }

    /// True for no bytes at all.
    pub(crate) fn is_empty(self) -> bool {
        self.size == 0
    }
}

const SHARDS: usize = 16;
/// Contents that may wait to be taken back.
const WAITING: usize = 1_024;
/// How long that may take: the kernel waits for pages that are being read.
const TAKEN_BACK: Duration = Duration::from_secs(30);
/// For how long may be kept what nobody takes back.
const SHORT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(size: u64) -> Stamp {
        Stamp { digest: [7; 16], size }
    }

    #[test]
    fn nothing_is_kept_while_nobody_tells_of_changes() {
        let cache = KernelCache::new(Duration::from_secs(60));
        assert_eq!(cache.keep(true), Keep::NOTHING);
        cache.set_followed(true, true);
        assert_eq!(cache.keep(false), Keep::NOTHING);
        let long = Duration::from_secs(60);
        assert_eq!(cache.keep(true), Keep { name: long, attributes: long });
        cache.set_followed(true, false);
        assert_eq!(cache.keep(true), Keep { name: Duration::from_secs(1), attributes: long });
        let none = KernelCache::new(Duration::ZERO);
        none.set_followed(true, true);
        assert_eq!(none.keep(true), Keep::NOTHING);
    }

    #[test]
    fn pages_are_kept_for_the_content_that_they_are_of_until_the_inode_is_forgotten() {
        let cache = KernelCache::new(Duration::from_secs(60));
        let five = Attributes { inode: 5, ..Attributes::default() };
        assert!(!cache.opens(5, stamp(1)), "an inode that the kernel does not know");
        cache.looked_up(&five);
        cache.looked_up(&five);
        assert!(!cache.opens(5, stamp(1)));
        assert!(cache.opens(5, stamp(1)));
        assert!(!cache.opens(5, stamp(2)));
        cache.set_pages(5, None);
        assert!(!cache.opens(5, stamp(2)));
        cache.forget(5, 1);
        assert!(cache.knows(5) && cache.opens(5, stamp(2)));
        cache.forget(5, 1);
        assert!(!cache.knows(5) && cache.pages(5).is_none() && cache.all().is_empty());
    }

    #[test]
    fn what_the_kernel_may_have_kept_is_known_or_several_things() {
        let looks = |size| Looks { size, mtime: 1, ctime: 1 };
        assert_eq!(Told::Nothing.and(looks(1)), Told::Only(looks(1)));
        assert_eq!(Told::Only(looks(1)).and(looks(1)), Told::Only(looks(1)));
        assert_eq!(Told::Only(looks(1)).and(looks(2)), Told::Several);
        assert_eq!(Told::Several.and(looks(2)), Told::Several);
    }
}
