//! `fdfs storage`.

use std::path::Path;

use fdfs_conf::StorageConfig;
use fdfs_ops::Health;
use fdfs_storage::Storage;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Common, Daemon};

/// A storage in a process of its own.
pub struct StorageDaemon(Storage);

impl Daemon for StorageDaemon {
    const PROGRAM: &'static str = "fdfs_storaged";
    const LOG: &'static str = "logs/storaged.log";
    const MAKES_BASE: bool = false;
    type Config = StorageConfig;

    fn common(config: &Self::Config) -> Common<'_> {
        Common {
            base_path: &config.base_path,
            log_level: config.log_level,
            error_log: &config.error_log,
            metrics_listen: config.metrics_listen,
            run_by_group: config.run_by_group.as_deref(),
            run_by_user: config.run_by_user.as_deref(),
        }
    }

    async fn start(config: Self::Config, _path: &Path, health: &Health) -> anyhow::Result<Self> {
        let serving = health.switch("storage");
        serving.failing("starting");
        let storage = Storage::bind(config).await?;
        serving.ok();
        storage.register_health(health);
        info!(group = %storage.group(), storage_id = %storage.id(), addresses = ?storage.addresses(), "storage serves");
        Ok(Self(storage))
    }

    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        Ok(self.0.run(stop.cancelled_owned()).await?)
    }
}
