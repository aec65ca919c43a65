//! `gateway.toml`; `GATEWAY.md` tells of every key.

mod concern;
mod front;
mod patience;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fdfs_client::ClientOptions;
use fdfs_conf::TrackerAddress;
use fdfs_namespace::StoreUrl;
use fdfs_namespace::remote::Secret;
use fdfs_net::SharedSecret;
use fdfs_objects::access::Network;
use fdfs_proto::ServerAddress;
use fdfs_proto::ours::ClusterSecret;
use fdfs_s3::TlsFiles;
use serde::{Deserialize, Deserializer};

pub use self::{concern::Concern, front::FrontConfig, patience::Patience};

/// The settings of a gateway. Unknown keys are errors that name file and line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// The trackers, `HOST:PORT` each.
    #[serde(deserialize_with = "trackers")]
    pub trackers: Vec<ServerAddress>,
    /// Where names are kept.
    #[serde(deserialize_with = "store")]
    pub namespace: StoreUrl,
    /// Who may use S3, in the AWS shared-credentials format; made with one key pair where it is missing.
    pub credentials: PathBuf,
    /// Where S3 listens.
    #[serde(default = "s3_listen")]
    pub s3_listen: SocketAddr,
    /// Where the front for native paths listens.
    #[serde(default = "front_listen")]
    pub front_listen: SocketAddr,
    /// Where the console, metrics and health listen.
    #[serde(default = "console_listen")]
    pub console_listen: SocketAddr,
    /// Where the namespace service listens, for mounts on other machines; on other addresses than loopback only with a secret.
    #[serde(default = "namespace_listen")]
    pub namespace_listen: SocketAddr,
    /// What peers of the namespace service must know.
    #[serde(default, deserialize_with = "secret")]
    pub namespace_secret: Option<Secret>,
    /// The region that buckets are said to be in.
    #[serde(default = "region")]
    pub region: String,
    /// The certificate of S3 and those behind it, PEM; with `s3_tls_key` connections are encrypted.
    pub s3_tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub s3_tls_key: Option<PathBuf>,
    /// The name under which `BUCKET.suffix` reaches a bucket by S3, beside paths.
    pub virtual_host_suffix: Option<String>,
    /// The name under which `BUCKET.suffix` shows a bucket as a website.
    pub website_suffix: Option<String>,
    /// Networks of proxies that say for whom they ask, `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[serde(default, deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
    /// Seconds after which content that no name refers to any more is deleted.
    #[serde(default = "free_after")]
    pub free_after: u64,
    /// Seconds after which a gateway or mount that has said nothing is taken for dead, so that what it left can be deleted.
    #[serde(default = "fence_after")]
    pub fence_after: u64,
    /// Seconds after which a multipart upload that nobody completed or aborted is ended; 0 is never.
    #[serde(default = "abandoned_uploads_after")]
    pub abandoned_uploads_after: u64,
    /// A file that holds the secret of the cluster, where its members share one: then there can be buckets of private files.
    pub cluster_secret_file: Option<PathBuf>,
    /// Deletions by lifecycle rules in a second.
    #[serde(default = "lifecycle_rate")]
    pub lifecycle_rate: NonZeroU32,
    /// Seconds after which it is looked again which lifecycle rules are due; 0 is never, by this gateway.
    #[serde(default = "lifecycle_interval")]
    pub lifecycle_interval: u64,
    /// What storages are asked for before content counts as stored.
    #[serde(default)]
    pub write_concern: Concern,
    /// The same for single buckets.
    #[serde(default)]
    pub write_concern_of: BTreeMap<String, Concern>,
    /// How long trackers and storages are waited for.
    #[serde(default)]
    pub patience: Patience,
    /// Whether files of storages on this machine are read where they lie.
    #[serde(default = "local_reads")]
    pub local_reads: bool,
    /// How native paths are served.
    #[serde(default)]
    pub front: FrontConfig,
}

impl GatewayConfig {
    /// The port of S3.
    pub const S3_PORT: u16 = 9000;
    /// The port of the front.
    pub const FRONT_PORT: u16 = 8000;
    /// The port of the console.
    pub const CONSOLE_PORT: u16 = 9001;
    /// The port of the namespace service.
    pub const NAMESPACE_PORT: u16 = fdfs_namespace::remote::DEFAULT_PORT;

    /// Certificate and key of S3.
    pub fn tls(&self) -> anyhow::Result<Option<TlsFiles>> {
        match (&self.s3_tls_cert, &self.s3_tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }))
            }
            (None, None) => Ok(None),
            _ => anyhow::bail!("s3_tls_cert and s3_tls_key belong together: one of them is missing"),
        }
    }

    /// How trackers and storages are reached.
    pub fn client_options(&self) -> anyhow::Result<ClientOptions> {
        let mut options = self.patience.of(self.trackers.clone());
        options.pool.secret = cluster_secret(self.cluster_secret_file.as_deref())?;
        options.local_reads = self.local_reads;
        Ok(options)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&Self::text_of(path)?, path)
    }

    /// The text of a file.
    pub fn text_of(path: &Path) -> anyhow::Result<String> {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Reads the text of a file. Errors name the file.
    pub fn parse(text: &str, path: &Path) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).with_context(|| format!("cannot use {}", path.display()))?;
        config.front.check(config.front_listen)?;
        Ok(config)
    }
}

/// Reads the secret of a cluster from a file, where one is named.
pub fn cluster_secret(file: Option<&Path>) -> anyhow::Result<Option<SharedSecret>> {
    let read = |path| fdfs_ops::read_secret(path, ClusterSecret::new).context("cluster_secret_file");
    Ok(file.map(read).transpose()?.map(SharedSecret::new))
}

fn trackers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ServerAddress>, D::Error> {
    use serde::de::Error as _;
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.is_empty() {
        return Err(D::Error::custom("trackers must name at least one tracker, HOST:PORT"));
    }
    let parse =
        |text: &String| ServerAddress::parse(text, TrackerAddress::DEFAULT_PORT).map_err(D::Error::custom);
    texts.iter().map(parse).collect()
}

fn store<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreUrl, D::Error> {
    use serde::de::Error as _;
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    use serde::de::Error as _;
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Secret::new(&text).map_err(D::Error::custom)).transpose()
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    use serde::de::Error as _;
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: &String| {
        text.parse()
            .map_err(|()| D::Error::custom(format!("{text:?} is no address and no network like 10.0.0.0/8")))
    };
    texts.iter().map(parse).collect()
}

fn s3_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], GatewayConfig::S3_PORT))
}

fn front_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], GatewayConfig::FRONT_PORT))
}

fn console_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], GatewayConfig::CONSOLE_PORT))
}

fn namespace_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], GatewayConfig::NAMESPACE_PORT))
}

fn region() -> String {
    "us-east-1".to_owned()
}

fn fence_after() -> u64 {
    300
}

const fn local_reads() -> bool {
    true
}

fn free_after() -> u64 {
    3600
}

/// As many as [`fdfs_s3::Config`] has.
pub fn lifecycle_rate() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(199)
}

/// As [`fdfs_s3::Config`] has it.
pub fn lifecycle_interval() -> u64 {
    3600
}

fn abandoned_uploads_after() -> u64 {
    7 * 24 * 3600
}

#[cfg(test)]
mod tests {
    use fdfs_objects::WriteConcern;

    use super::GatewayConfig;

    fn read(text: &str) -> Result<GatewayConfig, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        GatewayConfig::read(&path).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let text = "trackers = ['127.0.0.2']\nnamespace = 'lmdb:///var/lib/fdfs'\ncredentials = '/etc/fdfs/credentials'";
        let config = read(text).unwrap();
        assert_eq!(config.trackers[0].port, 22122);
        assert_eq!((config.s3_listen.port(), config.front_listen.port()), (9000, 8000));
        assert!(config.console_listen.ip().is_loopback());
        assert!(
            config.namespace_listen.to_string() == "127.0.0.1:23100" && config.namespace_secret.is_none()
        );
    }

    #[test]
    fn the_patience_is_in_seconds_and_never_none() {
        let text = "trackers = ['127.0.0.2']\nnamespace = 'lmdb:///x'\ncredentials = 'c'\n[patience]\n";
        let options = |lines: &str| {
            let config = read(&format!("{text}{lines}"))?;
            Ok::<_, String>(config.patience.of(config.trackers))
        };
        let usual = options("").unwrap();
        let seconds = |time: std::time::Duration| time.as_secs();
        assert_eq!((seconds(usual.pool.connect_timeout), seconds(usual.answer_timeout)), (5, 10));
        assert_eq!((seconds(usual.pool.network_timeout), seconds(usual.deadline)), (10, 15));
        assert_eq!(seconds(options("request_deadline = 3").unwrap().deadline), 3);
        let error = options("connect_timeout = 1\nanswer_timeout = 0").unwrap_err();
        assert!(error.contains("gateway.toml") && error.contains("line 6"), "{error}");
    }

    #[test]
    fn a_bucket_may_ask_for_more_than_the_others() {
        let text = "trackers = ['127.0.0.2']\nnamespace = 'lmdb:///x'\ncredentials = 'c'\n";
        let concerns = |lines: &str| {
            let config = read(&format!("{text}{lines}"))?;
            Ok::<_, String>(config.write_concern.except(&config.write_concern_of))
        };
        let usual = concerns("").unwrap();
        assert_eq!(usual.of("any"), WriteConcern::Storage);
        let said = concerns("write_concern = 'local'\n[write_concern_of]\nphotos = 'replicated'").unwrap();
        assert_eq!((said.of("any"), said.of("photos")), (WriteConcern::Local, WriteConcern::Replicated));
        let error = concerns("[write_concern_of]\nphotos = 'all'").unwrap_err();
        assert!(error.contains("gateway.toml") && error.contains("line 5"), "{error}");
    }

    #[test]
    fn the_document_names_every_key_and_its_default() {
        let document = include_str!("../../GATEWAY.md");
        let rows = [
            "trackers |",
            "namespace |",
            "credentials |",
            "s3_listen | 0.0.0.0:9000",
            "front_listen | 0.0.0.0:8000",
            "console_listen | 127.0.0.1:9001",
            "namespace_listen | 127.0.0.1:23100",
            "namespace_secret |",
            "region | us-east-1",
            "s3_tls_cert |",
            "s3_tls_key |",
            "virtual_host_suffix |",
            "website_suffix |",
            "trusted_proxies |",
            "free_after | 3600 s",
            "abandoned_uploads_after | 604800 s",
            "fence_after | 300 s",
            "cluster_secret_file |",
            "lifecycle_rate | 200",
            "lifecycle_interval | 3600 s",
            "write_concern | storage",
            "write_concern_of.BUCKET |",
            "patience.connect_timeout | 5 s",
            "patience.answer_timeout | 10 s",
            "patience.idle_timeout | 10 s",
            "patience.request_deadline | 15 s",
            "front.cache |",
            "front.cache_max_size | 1073741824",
            "front.cache_memory | 67108864",
            "front.cache_inactive | 2592000 s",
            "front.cache_valid | 43200 s",
            "front.cache_valid_slave | 60 s",
            "front.cache_valid_not_found | 2 s",
            "front.stale_if_error | 2592000 s",
            "front.show_cache | false",
            "front.expires | 2592000 s",
            "front.prefixes | [\"\", \"/dfs\"]",
            "front.default_group |",
            "front.http_conf |",
            "front.purge_from | loopback",
            "front.purge_token |",
            "front.purge_peers |",
            "front.listen_also | []",
            "front.cors | false",
            "front.proxy_protocol_from |",
            "front.tls_cert, front.tls_key |",
            "front.connect_timeout | 1 s",
            "front.first_byte_timeout | 5 s",
            "front.request_deadline | 10 s",
            "front.hedging | true",
            "front.topology |",
            "front.access_log |",
            "front.named_paths | false",
            "front.client_connections | 0",
            "front.client_requests | 0",
            "front.client_burst | 0",
            "front.probe_interval | 2 s",
            "front.threads | 0",
            "front.drain | 0 s",
        ];
        for row in rows {
            assert!(document.replace('`', "").contains(&format!("| {row}")), "{row}");
        }
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let error = read("trackers = ['127.0.0.2']\nnamespaces = 'x'").unwrap_err();
        assert!(error.contains("gateway.toml") && error.contains("line 2"), "{error}");
        let text = "trackers = ['127.0.0.2']\nnamespace = 'mysql://x'\ncredentials = 'c'";
        assert!(read(text).unwrap_err().contains("lmdb:///"));
        let text = "trackers = ['h']\nnamespace = 'lmdb:///x'\ncredentials = 'c'\nnamespace_secret = 'short'";
        assert!(read(&text.replace("'h'", "'127.0.0.2'")).unwrap_err().contains("16"));
        assert!(read("trackers = []\nnamespace = 'lmdb:///x'\ncredentials = 'c'").is_err());
    }
}
