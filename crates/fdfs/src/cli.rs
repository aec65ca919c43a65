//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::access::AccessArgs;
use crate::bench::BenchArgs;
use crate::bucket::BucketArgs;
use crate::daemon::{DaemonArgs, StorageDaemon, TrackerDaemon};
use crate::dedup::DedupArgs;
use crate::gateway::GatewayArgs;
use crate::mount::MountArgs;
use crate::namespace::NamespaceArgs;
use crate::tools::{self, Tool};
use crate::trunk::TrunkArgs;
use crate::up::UpArgs;

/// A file store that speaks FastDFS, S3, HTTP and POSIX.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = tools::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: tracker, storage, S3, native HTTP paths, mount.
    Up(UpArgs),
    /// Run S3 and the native HTTP front of a cluster in the foreground.
    Gateway(GatewayArgs),
    /// Mount a cluster's files on a directory.
    Mount(MountArgs),
    /// Back up, restore, copy or check the names of a cluster.
    Namespace(NamespaceArgs),
    /// Run a tracker in the foreground.
    Tracker(DaemonArgs),
    /// Run a storage in the foreground.
    Storage(DaemonArgs),
    /// Check the contents that a storage keeps once, or have their index made anew, while it does not run.
    Dedup(DedupArgs),
    /// Check, repair or unpack the trunk files of a storage, while it does not run.
    Trunk(TrunkArgs),
    /// Make, list and remove keys of S3 users while gateways run.
    Access(AccessArgs),
    /// Show buckets, and say whether their files are read by their IDs.
    Bucket(BucketArgs),
    /// Measure a FastDFS-compatible cluster.
    Bench(BenchArgs),
    #[command(flatten)]
    Tool(Tool),
}

/// Parses the arguments and runs what they name. Errors go to standard error with their causes.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Tracker(args) => args.run::<TrackerDaemon>(),
        Command::Storage(args) => args.run::<StorageDaemon>(),
        Command::Up(args) => args.run(),
        Command::Gateway(args) => args.run(),
        Command::Mount(args) => args.run(),
        Command::Access(args) => args.run(),
        Command::Bucket(args) => args.run(),
        Command::Dedup(args) => args.run(),
        Command::Trunk(args) => args.run(),
        Command::Namespace(args) => args.run(),
        Command::Bench(args) => args.run(),
        Command::Tool(tool) => return tool.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fdfs: {error:#}");
            ExitCode::FAILURE
        }
    }
}
