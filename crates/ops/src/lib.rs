//! What every daemon has: metrics, health, logs, a pid file and signals.
//!
//! Modules of a daemon count with the macros of the `metrics` crate, log with those of `tracing`, and
//! register what they know of their health at a [`Health`]. The binary starts an [`OpsServer`] for
//! `/metrics` and `/healthz`, and [`LogOptions`] describe the log files in the original's line format.

mod access_log;
mod fault;
mod health;
mod line_clock;
mod log_file;
mod logs;
mod maintenance;
mod pid_file;
mod process;
mod recorder;
mod secret_file;
mod server;
mod signals;
mod text_format;

pub use access_log::{AccessAction, AccessFile, AccessLine, AccessLog, Begun};
pub use fault::fault_point;
pub use health::{Health, HealthSwitch, PartState};
pub use log_file::LogFile;
pub use logs::{LogError, LogOptions};
pub use maintenance::{flush_logs, rotate_logs};
pub use pid_file::{PidFile, PidFileError, running, stop};
pub use recorder::Metrics;
pub use secret_file::{SecretFileError, read_secret};
pub use server::{OpsServer, OpsServerError};
pub use signals::Signals;
