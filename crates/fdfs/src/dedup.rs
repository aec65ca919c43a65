//! `fdfs dedup`: the contents that a storage keeps once, looked at while it does not run.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use fdfs_conf::{Configuration as _, StorageConfig};
use fdfs_storage::{check_contents, forget_content_index, open_offline};
use fdfs_types::{ServerId, Source};

/// What is to be done.
#[derive(Args)]
pub struct DedupArgs {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Compare the index of contents with the links and contents on the disk.
    Check(StorageArgs),
    /// Have the next start make the index from what is on the disk.
    Rebuild(StorageArgs),
    /// Take over the contents of a member that has left the group for good: they go with their last links here.
    Release(ReleaseArgs),
}

#[derive(Args)]
struct ReleaseArgs {
    #[command(flatten)]
    storage: StorageArgs,
    /// The member: what its file names tell, its address or its ID.
    #[arg(short, long)]
    member: String,
}

#[derive(Args)]
struct StorageArgs {
    /// The configuration file of the storage, which must not be running.
    #[arg(short, long)]
    config: PathBuf,
}

impl DedupArgs {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.operation {
            Operation::Check(args) => args.check(),
            Operation::Release(args) => args.release(),
            Operation::Rebuild(args) => {
                forget_content_index(&args.load()?)?;
                println!("the next start makes the index of contents from what is on the disk");
                Ok(())
            }
        }
    }
}

impl ReleaseArgs {
    fn release(&self) -> anyhow::Result<()> {
        let id = || self.member.parse().ok().and_then(ServerId::new).map(Source::Id);
        let address = self.member.parse().ok().map(Source::Ip);
        let source = address.or_else(id).context("--member takes an IPv4 address, or an ID")?;
        let store = open_offline(&self.storage.load()?)?;
        let released = store.release_contents(|maker| maker == source)?;
        store.close()?;
        println!("contents released {released}");
        Ok(())
    }
}

impl StorageArgs {
    fn load(&self) -> anyhow::Result<StorageConfig> {
        Ok(StorageConfig::read(&self.config, &mut |path| fs::read(path))?.config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let check = check_contents(&self.load()?)?;
        println!("contents {}\nlinks {}\nwithout a link {}", check.contents, check.links, check.unlinked);
        println!("not in the index {}\nnot on the disk {}", check.missing, check.surplus);
        println!("links without their content {}", check.dangling);
        ensure!(
            check.missing == 0 && check.surplus == 0,
            "the index is not what is on the disk: run fdfs dedup rebuild, then start the storage"
        );
        ensure!(
            check.dangling == 0,
            "contents are missing: the storage fetches them from other members where those have them, see fdfs repair"
        );
        Ok(())
    }
}
