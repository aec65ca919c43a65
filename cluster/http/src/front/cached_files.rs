//! Every file of the cluster, through the cache.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use fdfs_client::Trail;
use fdfs_types::{FileId, FileKind, Timestamp};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::cache::{Cache, CacheLimits, Object};
use super::cached_reader::CachedReader;
use super::fetching::Fetching;
use super::flights::Flights;
use crate::front::{Clock, Identity, Origin, OriginError, system_clock};
use crate::{Content, Source, SourceError};

/// How the front caches.
#[derive(Clone)]
pub struct CacheSettings {
    /// Where, and how much; nothing is cached if absent, but equal requests are still asked once.
    pub limits: Option<CacheLimits>,
    /// For how long a file is served without asking a storage whether it is still there.
    pub valid: Duration,
    /// The same for slave files, whose content can be replaced.
    pub valid_slave: Duration,
    /// For how long a file that nobody has is not asked for again.
    pub valid_not_found: Duration,
    /// For how long after that a file is served while nobody can be asked.
    pub stale_if_error: Duration,
    /// Bytes that are being fetched at once; what is beyond goes past the cache.
    pub fetching: u64,
    /// Requests for what is not cached are one reading with an equal one that began no longer ago than this.
    pub joined_for: Duration,
    /// Tells the time.
    pub clock: Clock,
}

/// How a file was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was in the cache, and valid. Parts of it may still be fetched.
    Hit,
    /// It was not in the cache.
    Miss,
    /// It was in the cache, and a storage was asked whether it is still there.
    Revalidated,
    /// It was in the cache for longer than it is valid, and no storage can be asked.
    Stale,
    /// It is not cached.
    Bypass,
}

/// Every file of the cluster, through the cache. Copies share it.
pub struct CachedFiles<O>(Arc<Shared<O>>);

/// What requests share.
pub(super) struct Shared<O> {
    clock: Clock,
    times: RwLock<Times>,
    pub(super) cache: Option<Arc<Cache>>,
    pub(super) fetching: Arc<Fetching<O>>,
    questions: Flights<FileId, Result<Identity, OriginError>>,
    /// Files that nobody has, and since when.
    missing: Mutex<LruCache<FileId, Timestamp>>,
}

/// For how long files are valid.
#[derive(Clone, Copy)]
struct Times {
    valid: Duration,
    valid_slave: Duration,
    valid_not_found: Duration,
    stale_if_error: Duration,
}

/// How a file may be cached, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Normal,
    Slave,
    Appender,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            limits: None,
            valid: Duration::from_secs(12 * 3600),
            valid_slave: Duration::from_secs(60),
            valid_not_found: Duration::from_secs(2),
            stale_if_error: Duration::from_secs(30 * 24 * 3600),
            fetching: 256 << 20,
            joined_for: Duration::from_secs(1),
            clock: system_clock(),
        }
    }
}

impl Outcome {
    /// The word for it in `X-Cache`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Revalidated => "REVALIDATED",
            Self::Stale => "STALE",
            Self::Bypass => "BYPASS",
        }
    }
}

impl<O: Origin> CachedFiles<O> {
    /// Files of `origin`. Opens the cache, or makes it.
    pub fn new(origin: O, settings: CacheSettings) -> std::io::Result<Self> {
        let open = |limits| Cache::open(limits, Arc::clone(&settings.clock));
        let cache = settings.limits.clone().map(open).transpose()?;
        let fetching = Arc::new(Fetching::new(origin, cache.clone(), settings.fetching, settings.joined_for));
        let missing = Mutex::new(LruCache::new(MOST_MISSING));
        let (clock, times) = (Arc::clone(&settings.clock), RwLock::new(Times::of(&settings)));
        Ok(Self(Arc::new(Shared { clock, times, cache, fetching, questions: Flights::default(), missing })))
    }

    /// For how long files are valid from now on, also those that are cached; the other settings stay.
    pub fn set_times(&self, settings: &CacheSettings) {
        *self.0.times.write() = Times::of(settings);
    }

    /// Opens a file, and tells how it was found, and how long ago a storage was last known to have it.
    pub async fn find(&self, id: &FileId) -> Result<(Content, Outcome, Duration), SourceError> {
        let found = self.0.find(id).await?;
        metrics::counter!("fdfs_cache_requests_total", "outcome" => found.outcome.as_str()).increment(1);
        let Found { identity, object, outcome } = found;
        let age = object.as_ref().map_or(Duration::ZERO, |object| self.now().since(object.validated()));
        let reader = CachedReader::new(Arc::clone(&self.0.fetching), id.clone(), identity, object);
        let (size, modified) = (identity.size, identity.modified);
        let content = Content { size, modified, holder: None, reader: Box::new(reader) };
        Ok((content, outcome, age))
    }

    /// The time that it goes by.
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Drops what is cached of a file; whether there was anything.
    pub fn purge(&self, id: &FileId) -> bool {
        self.0.missing.lock().pop(id);
        self.0.cache.as_ref().is_some_and(|cache| cache.purge(id))
    }

    /// Drops what is cached of all files that match; how many those were.
    pub fn purge_all(&self, matches: impl Fn(&FileId) -> bool) -> usize {
        self.0.missing.lock().clear();
        self.0.cache.as_ref().map_or(0, |cache| cache.purge_all(matches))
    }

    /// Bytes and files in the cache.
    pub fn usage(&self) -> (u64, usize) {
        self.0.cache.as_ref().map_or((0, 0), |cache| cache.usage())
    }
}

impl<O> Clone for CachedFiles<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Origin> Source for CachedFiles<O> {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        Ok(self.find(id).await?.0)
    }
}

struct Found {
    identity: Identity,
    object: Option<Arc<Object>>,
    outcome: Outcome,
}

impl<O: Origin> Shared<O> {
    async fn find(&self, id: &FileId) -> Result<Found, OriginError> {
        let now = (self.clock)();
        let times = *self.times.read();
        let Some((cache, valid)) = self.cache.as_ref().zip(times.validity(id)) else {
            let identity = self.ask(id, now, times).await?;
            return Ok(Found { identity, object: None, outcome: Outcome::Bypass });
        };
        let known = cache.object(id);
        let hit =
            |object: Arc<Object>, outcome| Found { identity: object.identity, object: Some(object), outcome };
        if let Some(object) = known.as_ref().filter(|object| now.since(object.validated()) < valid) {
            return Ok(hit(Arc::clone(object), Outcome::Hit));
        }
        match self.ask(id, now, times).await {
            Ok(identity) => {
                let object = cache.admit(id, identity);
                let same = known.is_some_and(|known| known.number == object.number);
                Ok(hit(object, if same { Outcome::Revalidated } else { Outcome::Miss }))
            }
            Err(OriginError::Unavailable(reason)) => {
                let stale = |object: &Arc<Object>| {
                    now.since(object.validated()) < valid.saturating_add(times.stale_if_error)
                };
                match known.filter(stale) {
                    Some(object) => Ok(hit(object, Outcome::Stale)),
                    None => Err(OriginError::Unavailable(reason)),
                }
            }
            Err(error) => {
                if error == OriginError::NotFound {
                    cache.purge(id);
                }
                Err(error)
            }
        }
    }

    /// Asks a storage, together with everybody who asks the same.
    async fn ask(&self, id: &FileId, now: Timestamp, times: Times) -> Result<Identity, OriginError> {
        let missing_since = self.missing.lock().get(id).copied();
        if missing_since.is_some_and(|since| now.since(since) < times.valid_not_found) {
            return Err(OriginError::NotFound);
        }
        let question = || Trail::follow_if(Trail::followed(), self.fetching.origin().stat(id));
        let answer = self.questions.ask(id, question).await;
        let answer =
            answer.unwrap_or_else(|| Err(OriginError::Unavailable("the question was broken off".into())));
        let mut missing = self.missing.lock();
        match &answer {
            Err(OriginError::NotFound) if !times.valid_not_found.is_zero() => {
                missing.put(id.clone(), now);
            }
            Ok(_) => {
                missing.pop(id);
            }
            Err(_) => {}
        }
        answer
    }
}

impl Times {
    fn of(settings: &CacheSettings) -> Self {
        let &CacheSettings { valid, valid_slave, valid_not_found, stale_if_error, .. } = settings;
        Self { valid, valid_slave, valid_not_found, stale_if_error }
    }

    /// For how long a file is valid; `None` where its content may change at any time.
    fn validity(self, id: &FileId) -> Option<Duration> {
        match Kind::of(id) {
            Kind::Normal => Some(self.valid),
            Kind::Slave => Some(self.valid_slave),
            Kind::Appender => None,
        }
    }
}

impl Kind {
    fn of(id: &FileId) -> Self {
        if crate::is_immutable(&id.filename) {
            return Self::Normal;
        }
        match id.filename.kind() {
            Ok(FileKind::Appender) | Err(_) => Self::Appender,
            Ok(_) => Self::Slave,
        }
    }
}

const MOST_MISSING: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

#[cfg(test)]
mod tests;
