//! The gateway: S3, the native HTTP front, the namespace and the console over one cluster.

mod config;
mod console;
mod front;
mod health;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use fdfs_client::Client;
use fdfs_http::front::Readiness;
use fdfs_namespace::remote::RowServer;
use fdfs_namespace::{Defaults, StoreUrl};
use fdfs_objects::{Objects, Settings};
use fdfs_ops::{Health, LogOptions, Signals};
use fdfs_s3::{CredentialsFile, S3Server};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::config::{
    Concern, FrontConfig, GatewayConfig, Patience, cluster_secret, lifecycle_interval, lifecycle_rate,
};
use self::console::Console;
use self::front::FrontControl;
use self::health::Watch;
use self::reload::Reload;

/// Which configuration the gateway runs with.
#[derive(Args)]
pub struct GatewayArgs {
    /// The configuration file, TOML.
    #[arg(short, long)]
    config: std::path::PathBuf,
}

/// A running gateway.
///
/// Dropping it cuts everything off; [`Gateway::shutdown`] ends it in order.
pub struct Gateway {
    client: Client,
    objects: Arc<Objects>,
    s3: S3Server,
    front: SocketAddr,
    front_control: FrontControl,
    console: SocketAddr,
    namespace: SocketAddr,
    stop: watch::Sender<bool>,
    readiness: Readiness,
    drain: Duration,
    servers: JoinSet<()>,
}

impl GatewayArgs {
    /// Runs a gateway in the foreground until a signal ends it.
    pub fn run(&self) -> anyhow::Result<()> {
        let text = GatewayConfig::text_of(&self.config)?;
        let config = GatewayConfig::parse(&text, &self.config)?;
        LogOptions { stderr: true, ..LogOptions::default() }.install()?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let signals = Signals::install().context("cannot take over signals")?;
            let health = Health::new();
            let gateway = Gateway::start(config.clone(), &health).await?;
            let mut reload = Reload::new(self.config.clone(), &text, config, gateway.front_control.clone())?;
            let stop = CancellationToken::new();
            let watching = tokio::spawn(signals.watch(stop.clone(), move || {
                fdfs_ops::rotate_logs();
                reload.run();
            }));
            let fenced = tokio::select! {
                () = stop.cancelled() => false,
                () = gateway.objects().fenced() => true,
            };
            stop.cancel();
            gateway.shutdown().await;
            watching.await.context("the task that watches signals failed")?;
            ensure!(
                !fenced,
                "another gateway took this one for dead (it stood still for longer than fence_after, or its clock is wrong): start it anew"
            );
            Ok(())
        })
    }
}

impl Gateway {
    /// Opens the namespace and serves. The cluster may still be away: then requests are answered that it is.
    pub async fn start(config: GatewayConfig, health: &Health) -> anyhow::Result<Self> {
        let credentials = Arc::new(CredentialsFile::open(&config.credentials)?);
        let client = Client::new(config.client_options()?);
        let store = config.namespace.clone();
        if let StoreUrl::Lmdb(directory) = &store {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let opened = tokio::task::spawn_blocking(move || store.open(Defaults::default()));
        let names =
            opened.await?.with_context(|| format!("cannot open the namespace {}", config.namespace))?;
        let settings = Settings {
            free_after: Duration::from_secs(config.free_after),
            abandoned_uploads_after: (config.abandoned_uploads_after > 0)
                .then(|| Duration::from_secs(config.abandoned_uploads_after)),
            // Often enough for what is due to be at most a quarter late.
            free_interval: Duration::from_secs((config.free_after / 4).clamp(1, 30)),
            fence_after: Duration::from_secs(config.fence_after),
            sweep_interval: Some(Duration::from_secs((config.fence_after / 4).clamp(1, 60))),
            write_concern: config.write_concern.except(&config.write_concern_of),
            ..Settings::default()
        };
        let rows = RowServer::bind(config.namespace_listen, &names, config.namespace_secret.clone()).await?;
        let namespace = rows.address();
        let objects = Objects::new(names, Arc::new(client.clone()), settings);
        objects.start();
        let watch = Watch::new(client.clone(), Arc::clone(&objects), &config.namespace, health);
        let s3 = fdfs_s3::Config {
            region: config.region.clone(),
            virtual_host_suffix: config.virtual_host_suffix.clone(),
            website_suffix: config.website_suffix.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            tls: config.tls()?,
            lifecycle_rate: config.lifecycle_rate.get(),
            lifecycle_interval: Duration::from_secs(config.lifecycle_interval),
            ..fdfs_s3::Config::new(config.s3_listen, credentials)
        };
        let s3 = S3Server::bind(s3, Arc::clone(&objects))
            .await
            .with_context(|| format!("cannot listen on {} for S3", config.s3_listen))?;
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let readiness = Readiness::default();
        let (front, front_control) =
            front::bind(&config, s3.public_objects(), &readiness, &mut servers, &stopped).await?;
        let front_address = front.local_addr()?;
        servers.spawn(front.run(stopped.clone()));
        servers.spawn(watch.run(stopped.clone()));
        let console = Console::bind(config.console_listen, client.clone(), health.clone()).await?;
        let console_address = console.address()?;
        servers.spawn(console.run(stopped.clone()));
        servers.spawn(rows.run(stopped));
        info!(s3 = %s3.address(), front = %front_address, console = %console_address, %namespace, "gateway serves");
        let (front, console) = (front_address, console_address);
        let drain = Duration::from_secs(config.front.drain);
        Ok(Self {
            client,
            objects,
            s3,
            front,
            front_control,
            console,
            namespace,
            stop,
            readiness,
            drain,
            servers,
        })
    }

    /// Ends in order: requests in progress may finish.
    pub async fn shutdown(mut self) {
        self.readiness.drain();
        tokio::time::sleep(self.drain).await;
        let _ = self.stop.send(true);
        self.s3.shutdown(GRACE).await;
        while self.servers.join_next().await.is_some() {}
        self.objects.stop().await;
        let ended = tokio::time::timeout(GRACE, self.objects.namespace().end_session()).await;
        if !matches!(ended, Ok(Ok(()))) {
            warn!("the session of this gateway ends by its time");
        }
        info!("gateway has ended");
    }

    /// Access to the cluster's files.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Names and files.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.objects
    }

    /// Where S3 listens.
    pub fn s3(&self) -> SocketAddr {
        self.s3.address()
    }

    /// Where the front for native paths listens.
    pub fn front(&self) -> SocketAddr {
        self.front
    }

    /// Where the namespace service listens.
    pub fn namespace(&self) -> SocketAddr {
        self.namespace
    }

    /// Where the console listens.
    pub fn console(&self) -> SocketAddr {
        self.console
    }
}

/// Time for requests that run when the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(10);
