//! `fdfs bucket`: what S3 has no words for, said of buckets while gateways run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use fdfs_client::Client;
use fdfs_namespace::Namespace;
use fdfs_objects::{Objects, Settings};

use crate::access::{PATIENCE, StoreArgs};
use crate::gateway::GatewayConfig;

/// Show buckets, and say whether their files are read by their IDs.
#[derive(Args)]
pub struct BucketArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show all buckets: name, groups, and what is off.
    List,
    /// Say whether files of a bucket are read by their IDs; off makes them private, and only an empty bucket can be made so.
    NativeRead {
        /// The bucket.
        bucket: String,
        /// Whether they are.
        state: State,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum State {
    /// Whoever knows the ID of a file reads it.
    On,
    /// The bucket's files are read by their names alone.
    Off,
}

impl BucketArgs {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(async {
            let names = self.store.open().await?;
            let done = tokio::time::timeout(PATIENCE, self.act(names.clone())).await;
            // A session that is not ended ends by its time.
            let _ = tokio::time::timeout(PATIENCE, names.end_session()).await;
            done.context("the namespace, or a storage, gives no answer")?
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }

    async fn act(&self, names: Namespace) -> anyhow::Result<()> {
        match &self.action {
            Action::List => list(&names).await,
            Action::NativeRead { bucket, state: State::On } => {
                names.set_native_read(bucket, false).await.with_context(|| format!("bucket {bucket}"))
            }
            Action::NativeRead { bucket, state: State::Off } => {
                let config = self.store.config.as_deref();
                let config =
                    config.context("-c gateway.toml is needed: the storages are asked whether they can")?;
                let client = Client::new(GatewayConfig::read(config)?.client_options()?);
                let objects = Objects::new(names, Arc::new(client), Settings::default());
                objects.set_native_read(bucket, true).await.with_context(|| format!("bucket {bucket}"))
            }
        }
    }
}

async fn list(names: &Namespace) -> anyhow::Result<()> {
    let mut after = String::new();
    loop {
        let page = names.buckets(&after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for bucket in &page {
            let groups: Vec<_> = bucket.placement.iter().map(ToString::to_string).collect();
            let groups = if groups.is_empty() { "any group".to_owned() } else { groups.join(",") };
            let off = if bucket.native_read_off { "  native_read=off" } else { "" };
            println!("{}  {groups}{off}", bucket.name);
        }
    }
}

const PAGE: usize = 1_000;
