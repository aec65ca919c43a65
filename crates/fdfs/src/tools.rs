//! Client tools: `fdfs upload`, `download`, `delete` and the others.
//!
//! What scripts read goes to standard output, one line per file (a JSON object each with `--json`); the rest goes
//! to standard error. A failure does not keep the other files from being done.

pub mod cluster;
mod content;
mod delete;
mod download;
mod info;
mod meta;
mod modify;
mod monitor;
mod output;
mod progress;
mod repair;
mod truncate;
mod upload;
pub mod words;

use std::process::ExitCode;

use clap::Subcommand;

use self::cluster::ClusterArgs;
use self::delete::DeleteArgs;
use self::download::DownloadArgs;
pub use self::download::Part;
use self::info::InfoArgs;
use self::meta::MetaArgs;
use self::modify::{AppendArgs, ModifyArgs};
use self::monitor::MonitorArgs;
use self::output::Output;
pub use self::output::sentence;
use self::repair::RepairArgs;
use self::truncate::{RegenerateArgs, TruncateArgs};
use self::upload::UploadArgs;

/// What can be done with the files of a cluster.
#[derive(Subcommand)]
pub enum Tool {
    /// Store files; prints their IDs.
    Upload(UploadArgs),
    /// Fetch files.
    Download(DownloadArgs),
    /// Remove files.
    Delete(DeleteArgs),
    /// Tell size, time, checksum and source of files.
    Info(InfoArgs),
    /// Read or change the metadata of a file.
    Meta(MetaArgs),
    /// Write at the end of an appender file.
    Append(AppendArgs),
    /// Overwrite a part of an appender file.
    Modify(ModifyArgs),
    /// Set the size of an appender file.
    Truncate(TruncateArgs),
    /// Turn appender files into normal ones; prints their new IDs.
    Regenerate(RegenerateArgs),
    /// Show groups and storages.
    Monitor(MonitorArgs),
    /// Have storages try again what other members of their group did not take, and heal damaged files; shows what is left.
    Repair(RepairArgs),
}

impl Tool {
    /// Does it. The exit code says how it went; errors are on standard error.
    pub fn run(self) -> ExitCode {
        let mut output = Output::new(self.cluster().json);
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                output.fail(None, &error.into());
                return output.finish();
            }
        };
        if let Err(error) = runtime.block_on(self.work(&mut output)) {
            output.fail(None, &error);
        }
        // A read from a terminal or pipe that is still waiting must not be waited for.
        runtime.shutdown_background();
        output.finish()
    }

    fn cluster(&self) -> &ClusterArgs {
        match self {
            Self::Upload(args) => &args.cluster,
            Self::Download(args) => &args.cluster,
            Self::Delete(args) => &args.cluster,
            Self::Info(args) => &args.cluster,
            Self::Meta(args) => args.cluster(),
            Self::Append(args) => &args.cluster,
            Self::Modify(args) => &args.cluster,
            Self::Truncate(args) => &args.cluster,
            Self::Regenerate(args) => &args.cluster,
            Self::Monitor(args) => &args.cluster,
            Self::Repair(args) => &args.cluster,
        }
    }

    async fn work(&self, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Upload(args) => args.run(output).await,
            Self::Download(args) => args.run(output).await,
            Self::Delete(args) => args.run(output).await,
            Self::Info(args) => args.run(output).await,
            Self::Meta(args) => args.run(output).await,
            Self::Append(args) => args.run(output).await,
            Self::Modify(args) => args.run(output).await,
            Self::Truncate(args) => args.run(output).await,
            Self::Regenerate(args) => args.run(output).await,
            Self::Monitor(args) => args.run(output).await,
            Self::Repair(args) => args.run(output).await,
        }
    }
}

/// What the exit codes mean, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 wrong arguments; 3 no such file, metadata or group; 4 nobody could be reached in time.
Trackers are given by -t, -c or FDFS_TRACKERS (separated by spaces); else /etc/fdfs/client.conf is read.";
