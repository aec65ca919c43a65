//! `fdfs access`: keys of S3 users, made and removed while gateways run.
//!
//! The keys are rows among the names, so every gateway of a namespace knows of a change with its next request.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use fdfs_namespace::remote::{DEFAULT_PORT, RemoteEngine, Secret};
use fdfs_namespace::{AccessGrant, AccessKey, Defaults, Namespace, StoreUrl};
use fdfs_objects::access::{Grant, Permissions};
use fdfs_proto::ServerAddress;
use fdfs_s3::KeyPair;
use serde_json::json;

use crate::gateway::GatewayConfig;

/// Make, list and remove keys of S3 users while gateways run.
#[derive(Args)]
pub struct AccessArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

/// Where the names are.
#[derive(Args)]
pub struct StoreArgs {
    /// A gateway.toml: its namespace is meant.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// A gateway's namespace service, HOST:PORT, or postgres://...; by default 127.0.0.1:23100.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config", global = true)]
    namespace: Option<String>,
    /// A file that holds the secret of the namespace service; its owner alone may read it.
    #[arg(long, value_name = "FILE", global = true)]
    namespace_secret_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Show all keys; never their secrets.
    List {
        /// Print one JSON object per key.
        #[arg(long)]
        json: bool,
    },
    /// Make a key; prints it once, as a profile of a credentials file.
    Add {
        /// The user's name, by which bucket policies may call it.
        name: String,
        /// What it is for: BUCKET:read+write+admin+raw-delete; BUCKET may have * and ?.
        #[arg(required = true)]
        grants: Vec<Grant>,
        /// The id of the key; generated if left out. The secret is then read from standard input.
        #[arg(long)]
        id: Option<String>,
    },
    /// Change what a key is for.
    Set {
        /// The id of the key.
        id: String,
        /// What it is for from now on.
        #[arg(required = true)]
        grants: Vec<Grant>,
    },
    /// Have a key refused until it is enabled again.
    Disable {
        /// The id of the key.
        id: String,
    },
    /// Have a disabled key accepted again.
    Enable {
        /// The id of the key.
        id: String,
    },
    /// Remove a key for good.
    Remove {
        /// The id of the key.
        id: String,
    },
}

impl AccessArgs {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(async {
            let names = self.store.open().await?;
            let done = tokio::time::timeout(PATIENCE, self.action.run(&names)).await;
            // A session that is not ended ends by its time.
            let _ = tokio::time::timeout(PATIENCE, names.end_session()).await;
            done.context("the namespace gives no answer")?
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }
}

impl StoreArgs {
    /// Opens them.
    pub async fn open(&self) -> anyhow::Result<Namespace> {
        let (store, service, secret) = match &self.config {
            Some(path) => {
                let config = GatewayConfig::read(path)?;
                (Some(config.namespace), config.namespace_listen, config.namespace_secret)
            }
            None => match self.namespace.as_deref() {
                Some(url) if url.contains("://") => (Some(url.parse::<StoreUrl>()?), any(), None),
                Some(text) => (None, service(text)?, None),
                None => (None, any(), None),
            },
        };
        let parse = |content: &[u8]| Secret::new(str::from_utf8(content).unwrap_or_default().trim_end());
        let secret = match &self.namespace_secret_file {
            Some(path) => Some(fdfs_ops::read_secret(path, parse)?),
            None => secret,
        };
        let shown = format!("cannot use the namespace service of the gateway at {service}: does it run?");
        let opened = tokio::task::spawn_blocking(move || match store {
            // The running gateway has a store on its disk for itself.
            Some(store @ StoreUrl::Postgres(_)) => store.open(Defaults::default()),
            _ => Namespace::open(Arc::new(RemoteEngine::new(service, secret)?), Defaults::default()),
        });
        tokio::time::timeout(PATIENCE, opened).await.with_context(|| shown.clone())??.context(shown)
    }
}

impl Action {
    async fn run(&self, names: &Namespace) -> anyhow::Result<()> {
        match self {
            Self::List { json } => list(names, *json).await,
            Self::Add { name, grants, id } => add(names, name, grants, id.as_deref()).await,
            Self::Set { id, grants } => change(names, id, |key| key.grants = rows(grants)).await,
            Self::Disable { id } => change(names, id, |key| key.disabled = true).await,
            Self::Enable { id } => change(names, id, |key| key.disabled = false).await,
            Self::Remove { id } => {
                find(names, id).await?;
                Ok(names.remove_access_key(id).await?)
            }
        }
    }
}

async fn list(names: &Namespace, json: bool) -> anyhow::Result<()> {
    let mut after = String::new();
    loop {
        let page = names.access_keys(&after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for key in &page {
            let grants: Vec<_> = key.grants.iter().map(shown).collect();
            if json {
                println!(
                    "{}",
                    json!({ "id": key.id, "name": key.name, "grants": grants, "created_ms": key.created, "disabled": key.disabled })
                );
            } else {
                let state = if key.disabled { "  disabled" } else { "" };
                println!("{}  {}  {}{state}", key.id, key.name, grants.join(" "));
            }
        }
    }
}

async fn add(names: &Namespace, name: &str, grants: &[Grant], id: Option<&str>) -> anyhow::Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(fits),
        "{name:?} is no name: letters, digits and +=,.@_- are"
    );
    let pair = match id {
        Some(id) => KeyPair { access_key_id: id.to_owned(), secret_access_key: read_secret()? },
        None => KeyPair::generate()?,
    };
    let key = AccessKey {
        id: pair.access_key_id.clone(),
        secret: pair.secret_access_key.clone(),
        name: name.to_owned(),
        grants: rows(grants),
        created: 0,
        disabled: false,
    };
    names.put_access_key(key, true).await.with_context(|| format!("cannot make {}", pair.access_key_id))?;
    println!("[{name}]\naws_access_key_id = {}", pair.access_key_id);
    if id.is_none() {
        println!("aws_secret_access_key = {}", pair.secret_access_key);
    }
    Ok(())
}

/// The first line of standard input: an argument would be seen by everybody on this machine.
fn read_secret() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no secret on standard input")?;
    let secret = line.trim().to_owned();
    ensure!(secret.len() >= 16, "the secret on standard input is shorter than 16 bytes");
    Ok(secret)
}

async fn change(names: &Namespace, id: &str, change: impl FnOnce(&mut AccessKey)) -> anyhow::Result<()> {
    let mut key = find(names, id).await?;
    change(&mut key);
    Ok(names.put_access_key(key, false).await?)
}

async fn find(names: &Namespace, id: &str) -> anyhow::Result<AccessKey> {
    match names.access_key(id).await? {
        Some(key) => Ok(key),
        None => bail!(
            "there is no key {id} among those made at run time; keys of a gateway's file are changed there"
        ),
    }
}

fn rows(grants: &[Grant]) -> Vec<AccessGrant> {
    let row =
        |grant: &Grant| AccessGrant { bucket: grant.bucket.clone(), permissions: grant.permissions.bits() };
    grants.iter().map(row).collect()
}

fn shown(grant: &AccessGrant) -> String {
    Grant::new(&grant.bucket, Permissions::from_bits(grant.permissions)).to_string()
}

fn service(text: &str) -> anyhow::Result<SocketAddr> {
    let address = ServerAddress::parse(text, DEFAULT_PORT).ok().and_then(|address| address.sockets().next());
    address.with_context(|| format!("--namespace {text:?} is neither HOST:PORT nor postgres://..."))
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))
}

/// Time for the namespace to answer.
pub const PATIENCE: Duration = Duration::from_secs(20);
