//! `fdfs trunk`: the trunk files of a storage, looked at while it does not run.

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use fdfs_conf::{Configuration as _, StorageConfig};
use fdfs_storage::open_offline;

/// What is to be done.
#[derive(Args)]
pub struct TrunkArgs {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Compare trunk files, trunk binlog and binlog: every part of every trunk file is free or has one file.
    Check(StorageArgs),
    /// Make free what has no file, and clear what nobody knows. For a group at rest, whose members have the same files.
    Repair(StorageArgs),
    /// Move small files out of trunk files, each into a file of its own. Their IDs stay as they are.
    Unpack(StorageArgs),
}

#[derive(Args)]
struct StorageArgs {
    /// The configuration file of the storage, which must not be running.
    #[arg(short, long)]
    config: PathBuf,
}

impl TrunkArgs {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        let (Operation::Check(args) | Operation::Repair(args) | Operation::Unpack(args)) = &self.operation;
        let config = StorageConfig::read(&args.config, &mut |path| fs::read(path))?.config;
        let store = open_offline(&config)?;
        let check = match &self.operation {
            Operation::Check(_) => store.check_trunk()?,
            Operation::Repair(_) => store.repair_trunk()?,
            Operation::Unpack(_) => {
                println!("moved out {}", store.unpack_trunk()?);
                return Ok(());
            }
        };
        println!(
            "trunk files {}\nfiles in slots {}\nfiles outside {}",
            check.files, check.slots, check.outside
        );
        println!("bytes in use {}\nbytes free {}\nfaults {}", check.used, check.free, check.faults.len());
        for fault in &check.faults {
            println!("{fault}");
        }
        if matches!(self.operation, Operation::Repair(_)) && !check.faults.is_empty() {
            bail!(
                "what is missing or damaged is fetched from other members while the storage runs, see fdfs repair"
            );
        }
        ensure!(
            check.faults.is_empty(),
            "trunk files are not what the logs say: parts that nobody owns become free by themselves while the storage runs; \
             else see fdfs trunk repair"
        );
        Ok(())
    }
}
