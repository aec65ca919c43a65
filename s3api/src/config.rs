//! What the server is told when it starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_net::TlsFiles;
use fdfs_objects::access::Network;

use crate::credentials::CredentialsProvider;

/// How to serve S3.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who may sign requests.
    pub credentials: Arc<dyn CredentialsProvider>,
    /// The region that buckets are said to be in. Signatures are taken for any region.
    pub region: String,
    /// The name under which `BUCKET.suffix` reaches this server (virtual-host style).
    pub virtual_host_suffix: Option<String>,
    /// The name under which `BUCKET.suffix` shows the bucket as a website.
    pub website_suffix: Option<String>,
    /// Certificate and key, where connections are encrypted.
    pub tls: Option<TlsFiles>,
    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Threads that serve, each with a runtime of its own.
    pub threads: usize,
    /// Connections held at once; further ones are closed.
    pub max_connections: usize,
    /// How long a copy or a completion may take before the client is shown, and shown again, that there is life.
    pub sign_of_life: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long to wait for the next bytes of a request, or for the client to take the next of a response.
    pub transfer_timeout: Duration,
    /// How often lifecycle rules are looked at; what is due is done once a day. Zero: never by this server.
    pub lifecycle_interval: Duration,
    /// Deletions by lifecycle rules in a second.
    pub lifecycle_rate: u32,
}

impl Config {
    /// The defaults: region `us-east-1`, path style, one thread per core.
    pub fn new(listen: SocketAddr, credentials: Arc<dyn CredentialsProvider>) -> Self {
        Self {
            listen,
            credentials,
            region: "us-east-1".to_owned(),
            virtual_host_suffix: None,
            website_suffix: None,
            tls: None,
            trusted_proxies: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_connections: 10_000,
            sign_of_life: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            transfer_timeout: Duration::from_secs(60),
            lifecycle_interval: Duration::from_secs(3_600),
            lifecycle_rate: 200,
        }
    }
}
