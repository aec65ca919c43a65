//! `fdfs tracker`.

use std::path::Path;

use fdfs_conf::TrackerConfig;
use fdfs_ops::Health;
use fdfs_tracker::Tracker;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Common, Daemon};

/// A tracker in a process of its own.
pub struct TrackerDaemon(Tracker);

impl Daemon for TrackerDaemon {
    const PROGRAM: &'static str = "fdfs_trackerd";
    const LOG: &'static str = "logs/trackerd.log";
    const MAKES_BASE: bool = true;
    type Config = TrackerConfig;

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
        let serving = health.switch("tracker");
        serving.failing("starting");
        let tracker = Tracker::bind(config).await?;
        serving.ok();
        health.register("data files", tracker.check());
        info!(addresses = ?tracker.addresses(), "tracker serves");
        Ok(Self(tracker))
    }

    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.0.run(stop.cancelled_owned()).await;
        Ok(())
    }
}
