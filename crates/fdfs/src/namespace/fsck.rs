//! `fdfs namespace fsck`.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use fdfs_client::{Client, ClientError};
use fdfs_conf::TrackerAddress;
use fdfs_namespace::operations::{Checker, Finding, UsedFile};
use fdfs_namespace::{Defaults, Namespace};
use fdfs_types::FileId;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use serde_json::json;

use super::rows_bar;
use super::source::SourceArgs;
use crate::tools::cluster;

/// What is checked.
#[derive(Args)]
pub struct FsckArgs {
    /// Repair what can be repaired; without it nothing is changed.
    #[arg(long)]
    repair: bool,
    /// Look at the names alone, not whether storages have their content.
    #[arg(long)]
    no_files: bool,
    /// Address of a tracker of the storages; may be repeated. With -c those of the gateway.
    #[arg(short, long = "tracker", value_name = "HOST:PORT")]
    trackers: Vec<TrackerAddress>,
    /// Print one JSON object for each finding.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    repaired: u64,
    left: u64,
    files: u64,
    not_asked: u64,
}

impl FsckArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let client = if self.no_files { None } else { Some(self.client()?) };
        let engine = self.source.engine()?;
        let names =
            Namespace::open(engine.into(), Defaults::default()).context("cannot use the namespace")?;
        let result = runtime.block_on(self.check(&names, client));
        // What this run has open is nobody's any more.
        let _ = runtime.block_on(names.end_session());
        runtime.shutdown_background();
        let tally = result?;
        let Tally { repaired, left, files, not_asked } = tally;
        if !self.json {
            println!("{files} files looked for, {repaired} findings repaired, {left} left");
        }
        if not_asked > 0 {
            bail!("{not_asked} files could not be looked for: their storages give no answer");
        }
        if left > 0 {
            bail!("{left} findings are left");
        }
        Ok(())
    }

    async fn check(&self, names: &Namespace, client: Option<Client>) -> anyhow::Result<Tally> {
        let checker = Checker::new(names.clone(), self.repair);
        let bar = rows_bar("names");
        let mut tally = Tally::default();
        let mut on_rows = |pass: &'static str, rows| {
            bar.set_message(pass);
            bar.inc(rows);
        };
        checker.run(&mut on_rows, &mut |finding| self.tell(&bar, &mut tally, &finding)).await?;
        if let Some(client) = client {
            self.check_files(&checker, names, &Arc::new(client), &bar, &mut tally).await?;
        }
        bar.finish_and_clear();
        Ok(tally)
    }

    /// Asks the storages for every file in use.
    async fn check_files(
        &self,
        checker: &Checker,
        names: &Namespace,
        client: &Arc<Client>,
        bar: &ProgressBar,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        bar.set_message("files");
        let mut after = None;
        loop {
            let files = checker.files(after.as_ref()).await?;
            let Some(last) = files.last() else { return Ok(()) };
            after = Some(last.file.clone());
            let mut answers = stream::iter(files)
                .map(|used| async move {
                    let found = client.stat(&used.file).await;
                    (used, found)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((UsedFile { file, .. }, found)) = answers.next().await {
                bar.inc(1);
                tally.files += 1;
                match found {
                    Ok(_) => {}
                    // One that was let go of meanwhile may be gone.
                    Err(ClientError::NotFound) if names.is_named(&file).await? => {
                        self.lost(checker, &file, bar, tally).await?;
                    }
                    Err(ClientError::NotFound) => {}
                    Err(_) => tally.not_asked += 1,
                }
            }
        }
    }

    /// A file is lost. A part that waits is forgotten, so that its upload asks for it again.
    async fn lost(
        &self,
        checker: &Checker,
        file: &FileId,
        bar: &ProgressBar,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let what = format!("its content {file} is at no storage");
        for place in checker.parts_of(file).await? {
            let what = format!("{what}: it has to be sent again");
            self.tell(bar, tally, &Finding { place, what, repairable: true, repaired: self.repair });
        }
        if self.repair {
            checker.forget_parts_of(file).await?;
        }
        for place in checker.names_of(file).await? {
            let finding = Finding { place, what: what.clone(), repairable: false, repaired: false };
            self.tell(bar, tally, &finding);
        }
        Ok(())
    }

    fn tell(&self, bar: &ProgressBar, tally: &mut Tally, finding: &Finding) {
        let Finding { place, what, repairable, repaired } = finding;
        if *repaired {
            tally.repaired += 1;
        } else {
            tally.left += 1;
        }
        let end = match (repaired, repairable) {
            (true, _) => "repaired",
            (false, true) => "--repair repairs it",
            (false, false) => "cannot be repaired",
        };
        bar.suspend(|| match self.json {
            true => println!(
                "{}",
                json!({ "place": place, "what": what, "repairable": repairable, "repaired": repaired })
            ),
            false => println!("{place}: {what}: {end}"),
        });
    }

    fn client(&self) -> anyhow::Result<Client> {
        if let Some(config) = self.source.config()? {
            return Ok(Client::new(config.client_options()?));
        }
        if self.trackers.is_empty() {
            bail!(
                "which storages have the content is not known: give -c gateway.toml or -t HOST:PORT, or --no-files"
            );
        }
        let config = fdfs_conf::ClientConfig::new(self.trackers.clone());
        Ok(Client::new(cluster::options(&config)?))
    }
}

/// Files asked for at once.
const AT_ONCE: usize = 16;
