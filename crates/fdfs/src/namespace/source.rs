//! Which store is meant.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fdfs_namespace::StoreUrl;
use fdfs_namespace::engine::{Engine, EngineError};
use fdfs_namespace::remote::{DEFAULT_PORT, RemoteEngine, Secret};
use fdfs_proto::ServerAddress;

use crate::gateway::GatewayConfig;

/// Where the names are.
#[derive(Args)]
pub struct SourceArgs {
    /// The gateway's configuration file: the store it names, or, where a running gateway has that for itself, the gateway's namespace service.
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "namespace",
        conflicts_with = "namespace"
    )]
    config: Option<PathBuf>,
    /// The store, lmdb:///DIRECTORY or postgres://USER@HOST/DATABASE; or HOST:PORT of a gateway's namespace service.
    #[arg(long, value_name = "URL|HOST:PORT")]
    namespace: Option<String>,
    /// A file that holds the secret of the namespace service; its owner alone may read it.
    #[arg(long, value_name = "FILE")]
    namespace_secret_file: Option<PathBuf>,
}

impl SourceArgs {
    /// The gateway's configuration, if that was given.
    pub fn config(&self) -> anyhow::Result<Option<GatewayConfig>> {
        self.config.as_deref().map(GatewayConfig::read).transpose()
    }

    /// Its rows.
    pub fn engine(&self) -> anyhow::Result<Box<dyn Engine>> {
        if let Some(config) = self.config()? {
            return match config.namespace.open_engine() {
                Err(EngineError::InUse(_)) => service(config.namespace_listen, config.namespace_secret),
                opened => opened.with_context(|| format!("cannot use {}", config.namespace)),
            };
        }
        let text = self.namespace.as_deref().unwrap_or_default();
        if let Ok(store) = text.parse::<StoreUrl>() {
            return store.open_engine().with_context(|| format!("cannot use {store}"));
        }
        let address = ServerAddress::parse(text, DEFAULT_PORT)
            .ok()
            .and_then(|address| address.sockets().next())
            .with_context(|| format!("--namespace {text:?} is neither the URL of a store nor HOST:PORT"))?;
        let parse = |content: &[u8]| Secret::new(str::from_utf8(content).unwrap_or_default().trim_end());
        let secret = self.namespace_secret_file.as_deref().map(|path| fdfs_ops::read_secret(path, parse));
        service(address, secret.transpose()?)
    }
}

fn service(address: SocketAddr, secret: Option<Secret>) -> anyhow::Result<Box<dyn Engine>> {
    let engine = RemoteEngine::new(address, secret)
        .with_context(|| format!("cannot use the namespace service at {address}"))?;
    Ok(Box::new(engine))
}
