//! The tutorials' front servers, which are our front here: before the hosts of the site, with and without a cache.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use fdfs_http::front::{
    Blocks, CacheLimits, CacheSettings, CachedFiles, Clock, Front, FrontSettings, Identity, Origin,
    OriginError, Readiness,
};
use fdfs_http::{HttpServer, Limits, Settings, SourceError};
use fdfs_types::{FileId, Timestamp};
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::pair::Pair;
use crate::peer::{Answer, ask_from};
use crate::site::Cluster;

/// The front servers of the tutorials.
pub(crate) struct Fronts {
    ports: HashMap<&'static str, u16>,
    down: Down,
}

/// Hosts that do not answer.
type Down = Arc<Mutex<Vec<IpAddr>>>;

/// The hosts of the site, as a front sees them.
struct Hosts {
    cluster: Cluster,
    down: Down,
}

impl Fronts {
    /// The set-ups that were recorded at a front server.
    pub(crate) const INSTANCES: [&str; 3] = ["front", "vip", "front2"];

    /// Starts them: `tokens` are the settings of the one that asks for tokens.
    pub(crate) async fn start(
        cluster: &Cluster,
        root: &Path,
        tokens: Settings,
        clock: &Clock,
        stopped: &watch::Receiver<bool>,
    ) -> Self {
        let down = Down::default();
        let limits = CacheLimits {
            path: root.join("front-cache"),
            max_size: 1 << 26,
            memory: 1 << 20,
            inactive: CacheSettings::default().valid,
        };
        let files = |limits| {
            let hosts = Hosts { cluster: cluster.clone(), down: Arc::clone(&down) };
            let settings = CacheSettings { limits, clock: Arc::clone(clock), ..CacheSettings::default() };
            CachedFiles::new(hosts, settings).unwrap()
        };
        let cached = files(Some(limits));
        let instances = [
            ("front", &["", "/dfs"][..], cached.clone(), Settings::default()),
            ("vip", &["/dfs"], cached.clone(), Settings::default()),
            ("as", &["/as"], cached, tokens),
            ("front2", &[""], files(None), Settings::default()),
        ];
        let mut ports = HashMap::new();
        for (name, prefixes, files, native) in instances {
            let settings = FrontSettings {
                prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
                ..FrontSettings::default()
            };
            let front = Front::new(files, Arc::new(native), settings, Readiness::default());
            let server = HttpServer::bind(SocketAddr::new(FRONT, 0), Arc::new(front), Limits::default())
                .await
                .unwrap();
            ports.insert(name, server.local_addr().unwrap().port());
            tokio::spawn(server.run(stopped.clone()));
        }
        Self { ports, down }
    }

    /// The answer to a recorded request.
    pub(crate) async fn ask(&self, pair: &Pair) -> Answer {
        *self.down.lock() = down_at(&pair.name).iter().map(|host| IpAddr::from([127, 0, 0, *host])).collect();
        let instance = if pair.target().starts_with("/as/") { "as" } else { pair.word("instance") };
        if is_new_to_the_cache(&pair.name) {
            // A query is no part of the key here: what was a new key there is purged.
            let path = pair.target().split('?').next().unwrap().to_owned();
            let purge = pair.with_target(&format!("/purge{path}"));
            ask_from(LOCAL, SocketAddr::new(FRONT, self.ports["front"]), &purge).await;
        }
        let is_outside = pair.name.contains("purge-denied") || pair.name.contains("through-vip");
        let client = if is_outside { OUTSIDE } else { LOCAL };
        ask_from(client, SocketAddr::new(FRONT, self.ports[instance]), pair).await
    }
}

/// The hosts that were stopped when a pair was recorded.
fn down_at(name: &str) -> &'static [u8] {
    let Some(name) = name.strip_prefix("front-failure/") else { return &[] };
    match name {
        _ if name.starts_with("all-down") => &[2, 3, 4],
        _ if name.starts_with("one-node-down") => &[2],
        _ if name.starts_with("cascade-1") || name.starts_with("cascade-2") => &[2],
        _ => &[],
    }
}

/// Whether a pair was recorded with a query that no request had before.
fn is_new_to_the_cache(name: &str) -> bool {
    let in_failure = name.starts_with("front-failure/") && !name.ends_with("all-down-cached");
    in_failure || name.starts_with("front/pseudo-ha")
}

impl Origin for Hosts {
    fn stat(&self, id: &FileId) -> impl Future<Output = Result<Identity, OriginError>> + Send + 'static {
        let found = self.open(id).map(|content| {
            let fields = id.filename.fields().ok();
            let crc32 = fields.map_or(0, |fields| fields.crc32);
            Identity { size: content.size, modified: content.modified, crc32 }
        });
        std::future::ready(found)
    }

    fn read(&self, id: &FileId, _identity: Identity, range: Range<u64>) -> Blocks {
        let opened = self.open(id).map(|content| {
            let mut reader = content.reader;
            reader.seek(range);
            reader
        });
        let opened = match opened {
            Ok(reader) => reader,
            Err(error) => return Box::pin(stream::once(std::future::ready(Err(error)))),
        };
        Box::pin(stream::unfold(opened, |mut reader| async move {
            let block = poll_fn(|cx| reader.poll_block(cx)).await.unwrap();
            (!block.is_empty()).then_some((Ok(block), reader))
        }))
    }
}

impl Hosts {
    /// The file of the first host that has it. It is missing where everybody says so.
    fn open(&self, id: &FileId) -> Result<fdfs_http::Content, OriginError> {
        let down = self.down.lock();
        let mut is_one_away = false;
        for host in self.cluster.hosts_of(&id.group) {
            if down.contains(&host.ip) {
                is_one_away = true;
                continue;
            }
            match host.file(id) {
                Ok(content) => return Ok(content),
                Err(SourceError::NotFound | SourceError::Foreign(_)) => {}
                Err(error) => return Err(OriginError::Unavailable(error.to_string().into())),
            }
        }
        Err(if is_one_away {
            OriginError::Unavailable("a host is away".into())
        } else {
            OriginError::NotFound
        })
    }
}

/// The time that all instances go by.
pub(crate) fn shared(clock: &Arc<Mutex<Timestamp>>) -> Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || *clock.lock())
}

const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A client that may not purge.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
