//! `[front]`: how native paths of all groups are served, cached and purged.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use fdfs_client::ClientOptions;
use fdfs_conf::{Configuration as _, NativeHttpConfig};
use fdfs_http::front::{BearerToken, CacheLimits, CacheSettings, FrontSettings};
use fdfs_http::{ClientLimitSettings, ClientLimits, Settings};
use fdfs_net::TlsFiles;
use fdfs_proto::ServerAddress;
use fdfs_types::{GroupName, Network};
use serde::{Deserialize, Deserializer};
use tracing::{info, warn};

/// `[front]`. Times are whole seconds, sizes bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontConfig {
    /// Segments in front of paths that are taken off.
    pub prefixes: Vec<String>,
    /// The group of paths that begin with `M00`.
    #[serde(deserialize_with = "group")]
    pub default_group: Option<GroupName>,
    /// `mod_fastdfs.conf` or `http.conf`: tokens, media types, films.
    pub http_conf: Option<PathBuf>,
    /// For how long clients may keep a file.
    pub expires: u64,
    /// Where files are cached; they are not if absent.
    pub cache: Option<PathBuf>,
    /// Most bytes there.
    pub cache_max_size: u64,
    /// Most bytes of small files that are kept in memory, too.
    pub cache_memory: u64,
    /// What nobody asks for is dropped after this time.
    pub cache_inactive: u64,
    /// For how long a file is served without asking whether it is still there.
    pub cache_valid: u64,
    /// The same for slave files.
    pub cache_valid_slave: u64,
    /// The same for files that nobody has.
    pub cache_valid_not_found: u64,
    /// For how long after that a file is served while no storage can be asked.
    pub stale_if_error: u64,
    /// Whether answers say in `X-Cache` where they come from.
    pub show_cache: bool,
    /// Networks that may purge.
    #[serde(deserialize_with = "networks")]
    pub purge_from: Vec<Network>,
    /// What those show who may purge from anywhere.
    #[serde(deserialize_with = "bearer")]
    pub purge_token: Option<BearerToken>,
    /// Other fronts that are told of purges.
    pub purge_peers: Vec<String>,
    /// Proxies whose connections begin with a header of the PROXY protocol.
    #[serde(deserialize_with = "networks")]
    pub proxy_protocol_from: Vec<Network>,
    /// Certificate and those behind it, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// For a connection to a storage.
    pub connect_timeout: u64,
    /// For the first byte of a storage's answer.
    pub first_byte_timeout: u64,
    /// For a request until content flows, with all its retries.
    pub request_deadline: u64,
    /// Whether a second storage is asked when the first one takes longer than usual.
    pub hedging: bool,
    /// Where groups and storages are kept, for a start while every tracker is away.
    pub topology: Option<PathBuf>,
    /// Where each request leaves a line.
    pub access_log: Option<PathBuf>,
    /// Whether pages of other sites may read what is answered.
    pub cors: bool,
    /// Further addresses to listen on.
    pub listen_also: Vec<SocketAddr>,
    /// Whether `/BUCKET/key` is answered with what anybody may read by S3.
    pub named_paths: bool,
    /// Most connections of one client; 0 for any number.
    pub client_connections: u32,
    /// Most requests of one client in a second; 0 for any number.
    pub client_requests: u32,
    /// Most requests of one client at once; 0 for as many as in a second.
    pub client_burst: u32,
    /// How often every storage is looked at.
    pub probe_interval: u64,
    /// Threads that serve; 0 for one a processor.
    pub threads: usize,
    /// For how long `/readyz` says that the front is about to end, before it ends.
    pub drain: u64,
}

impl Default for FrontConfig {
    fn default() -> Self {
        let answers = FrontSettings::default();
        Self {
            prefixes: answers.prefixes,
            default_group: None,
            http_conf: None,
            expires: 30 * DAY,
            cache: None,
            cache_max_size: 1 << 30,
            cache_memory: 64 << 20,
            cache_inactive: 30 * DAY,
            cache_valid: DAY / 2,
            cache_valid_slave: 60,
            cache_valid_not_found: 2,
            stale_if_error: 30 * DAY,
            show_cache: false,
            purge_from: answers.purge_from,
            purge_token: None,
            purge_peers: Vec::new(),
            proxy_protocol_from: Vec::new(),
            tls_cert: None,
            tls_key: None,
            connect_timeout: 1,
            first_byte_timeout: 5,
            request_deadline: 10,
            hedging: true,
            topology: None,
            access_log: None,
            cors: false,
            listen_also: Vec::new(),
            named_paths: false,
            client_connections: 0,
            client_requests: 0,
            client_burst: 0,
            probe_interval: 2,
            threads: 0,
            drain: 0,
        }
    }
}

impl FrontConfig {
    /// How requests are answered.
    pub fn settings(&self, trusted_proxies: Vec<Network>) -> FrontSettings {
        FrontSettings {
            prefixes: self.prefixes.clone(),
            default_group: self.default_group,
            expires: Duration::from_secs(self.expires),
            purge_from: self.purge_from.clone(),
            purge_token: self.purge_token.clone(),
            purge_peers: self.purge_peers.clone(),
            clients: ClientLimits::new(self.clients(trusted_proxies.clone())),
            trusted_proxies,
            show_cache: self.show_cache,
            cors: self.cors,
            access_log: None,
            named: None,
        }
    }

    /// What one client may take.
    pub fn clients(&self, proxies: Vec<Network>) -> ClientLimitSettings {
        ClientLimitSettings {
            connections: self.client_connections,
            requests: self.client_requests,
            burst: self.client_burst,
            proxies,
        }
    }

    /// How files are cached.
    pub fn cache(&self) -> CacheSettings {
        let limits = self.cache.clone().map(|path| CacheLimits {
            path,
            max_size: self.cache_max_size,
            memory: self.cache_memory,
            inactive: Duration::from_secs(self.cache_inactive),
        });
        CacheSettings {
            limits,
            valid: Duration::from_secs(self.cache_valid),
            valid_slave: Duration::from_secs(self.cache_valid_slave),
            valid_not_found: Duration::from_secs(self.cache_valid_not_found),
            stale_if_error: Duration::from_secs(self.stale_if_error),
            ..CacheSettings::default()
        }
    }

    /// Tokens, media types and the like.
    pub fn native(&self) -> anyhow::Result<Settings> {
        let Some(path) = &self.http_conf else { return Ok(Settings::default()) };
        let loaded = NativeHttpConfig::read(path, &mut |path: &Path| std::fs::read(path))?;
        for warning in &loaded.warnings {
            if warning.is_harmless() { info!("{warning}") } else { warn!("{warning}") }
        }
        Ok(Settings::load(&loaded.config)?)
    }

    /// How long storages are waited for: shorter than by writers, since others have the same files.
    pub fn client(&self, trackers: Vec<ServerAddress>) -> ClientOptions {
        let mut options = ClientOptions::new(trackers);
        let seconds = |number: u64| Duration::from_secs(number.max(1));
        options.pool.connect_timeout = seconds(self.connect_timeout);
        options.answer_timeout = seconds(self.first_byte_timeout);
        options.deadline = seconds(self.request_deadline);
        options.topology_max_age = TOPOLOGY_AGE;
        options.ask_everybody = true;
        options.hedging = self.hedging;
        options
    }

    /// Where groups and storages are kept: where that is said, or beside what is cached.
    pub fn topology(&self) -> Option<PathBuf> {
        self.topology.clone().or_else(|| Some(self.cache.as_ref()?.join("topology")))
    }

    /// Certificate and key.
    pub fn tls(&self) -> anyhow::Result<Option<TlsFiles>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }))
            }
            (None, None) => Ok(None),
            _ => anyhow::bail!("front.tls_cert and front.tls_key belong together: one of them is missing"),
        }
    }

    /// What a server may take.
    pub fn limits(&self) -> fdfs_http::Limits {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if self.threads == 0 { processors } else { self.threads };
        fdfs_http::Limits { threads, ..fdfs_http::Limits::default() }
    }

    /// Looks at what can only be wrong together.
    pub fn check(&self, listen: SocketAddr) -> anyhow::Result<()> {
        for prefix in &self.prefixes {
            let good = prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/'));
            anyhow::ensure!(good, "front.prefixes: {prefix:?} does not begin with a slash, or ends with one");
        }
        self.tls().with_context(|| format!("the front on {listen}")).map(drop)
    }
}

fn group<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GroupName>, D::Error> {
    use serde::de::Error as _;
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

fn bearer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BearerToken>, D::Error> {
    use serde::de::Error as _;
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    super::networks(deserializer)
}

const DAY: u64 = 24 * 3600;
/// New storages and groups are known after this time.
const TOPOLOGY_AGE: Duration = Duration::from_secs(5);
