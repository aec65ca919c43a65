//! `fdfs namespace`: what an operator does with the names of a cluster as a whole.

mod fsck;
mod source;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use fdfs_namespace::StoreUrl;
use fdfs_namespace::operations;
use indicatif::{ProgressBar, ProgressStyle};

use self::fsck::FsckArgs;
use self::source::SourceArgs;

/// What is to be done.
#[derive(Args)]
pub struct NamespaceArgs {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Write all names of one moment to a file, also while gateways serve.
    Backup(BackupArgs),
    /// Make a new store of a backup. No gateway may use it meanwhile.
    Restore(RestoreArgs),
    /// Copy all names of one moment into a new store, of the same engine or another.
    Copy(CopyArgs),
    /// Look for rows that are damaged or do not agree, and for content that is missing, also while gateways serve.
    Fsck(FsckArgs),
}

#[derive(Args)]
struct BackupArgs {
    /// The file to be written; it must not exist. It holds the secrets of access keys: its owner alone may read it.
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Args)]
struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// The store to be made: lmdb:///DIRECTORY or postgres://USER@HOST/DATABASE, empty.
    #[arg(long, value_name = "URL")]
    to: StoreUrl,
}

#[derive(Args)]
struct CopyArgs {
    /// The store to be made: lmdb:///DIRECTORY or postgres://USER@HOST/DATABASE, empty.
    #[arg(long, value_name = "URL")]
    to: StoreUrl,
    #[command(flatten)]
    source: SourceArgs,
}

impl NamespaceArgs {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.operation {
            Operation::Backup(args) => args.run(),
            Operation::Restore(args) => args.run(),
            Operation::Copy(args) => args.run(),
            Operation::Fsck(args) => args.run(),
        }
    }
}

impl BackupArgs {
    fn run(&self) -> anyhow::Result<()> {
        let shown = || format!("cannot write {}", self.file.display());
        ensure!(!self.file.exists(), "{} is there already", self.file.display());
        // Under its name stands a backup that is whole, or nothing.
        let part = with_end(&self.file, ".part");
        let written = || -> anyhow::Result<u64> {
            let mut options = File::options();
            let file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&part)
                .with_context(shown)?;
            let mut file = BufWriter::with_capacity(1 << 20, file);
            let bar = rows_bar("backup");
            let rows = operations::back_up(self.source.engine()?.as_ref(), &mut file, &mut |rows| {
                bar.set_position(rows);
            })?;
            file.flush()?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all().with_context(shown)?;
            std::fs::rename(&part, &self.file).with_context(shown)?;
            sync_directory(&self.file).with_context(shown)?;
            bar.finish_and_clear();
            Ok(rows)
        }();
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        println!("{} rows in {}", written?, self.file.display());
        Ok(())
    }
}

impl RestoreArgs {
    fn run(&self) -> anyhow::Result<()> {
        let shown = || format!("cannot read {}", self.file.display());
        let file = File::open(&self.file).with_context(shown)?;
        let bar = rows_bar("restore");
        let mut file = BufReader::with_capacity(1 << 20, file);
        let engine = self.to.open_engine().with_context(|| format!("cannot use {}", self.to))?;
        let rows = operations::restore(&mut file, engine.as_ref(), &mut |rows| bar.set_position(rows))
            .with_context(|| {
                format!(
                    "{} is not restored to {}: remove what is there before another attempt",
                    self.file.display(),
                    self.to
                )
            })?;
        bar.finish_and_clear();
        println!("{rows} rows in {}", self.to);
        println!("content that was deleted since the backup is missing: fdfs namespace fsck tells of it");
        Ok(())
    }
}

impl CopyArgs {
    fn run(&self) -> anyhow::Result<()> {
        let bar = rows_bar("copy");
        let from = self.source.engine()?;
        let to = self.to.open_engine().with_context(|| format!("cannot use {}", self.to))?;
        let rows = operations::copy(from.as_ref(), to.as_ref(), &mut |rows| bar.set_position(rows))
            .with_context(|| format!("nothing is copied to {}", self.to))?;
        bar.finish_and_clear();
        println!("{rows} rows in {}", self.to);
        Ok(())
    }
}

/// A bar for rows whose number nobody knows before; on a terminal only.
fn rows_bar(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:.bold} {spinner} {human_pos} rows {per_sec}")
        .expect("the template is well formed");
    ProgressBar::new_spinner().with_style(style).with_message(what)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn sync_directory(file: &Path) -> std::io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
