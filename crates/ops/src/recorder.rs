//! The process's metrics, in the text format of Prometheus.

use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process;

/// The process's metrics. There is one set for all daemons of a process.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes the `metrics` macros count from now on. Later calls give the same metrics.
    ///
    /// Histograms with a name that ends in `_seconds` or `_bytes` get buckets for that unit.
    /// [`Self::upkeep`] must be called every few seconds, else histograms gather memory;
    /// [`crate::OpsServer`] does.
    #[must_use]
    pub fn install() -> Self {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = builder().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder of metrics is installed, /metrics stays empty");
            }
            LazyLock::force(&process::START);
            metrics::gauge!("fdfs_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            handle
        });
        Self { handle: handle.clone() }
    }

    /// Everything counted so far, and the figures of the process.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        process::write_metrics(&mut text);
        text
    }

    /// Folds the samples of histograms into their buckets.
    pub fn upkeep(&self) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.run_upkeep();
    }
}

fn builder() -> PrometheusBuilder {
    let buckets = [("_seconds", SECONDS), ("_bytes", BYTES)];
    buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (suffix, buckets)| {
        builder
            .set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), buckets)
            .expect("the list of buckets is not empty")
    })
}

const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

const BYTES: &[f64] = &[256.0, 4096.0, 65_536.0, 1_048_576.0, 16_777_216.0, 268_435_456.0, 4_294_967_296.0];
