//! `fdfs upload`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fdfs_client::{Client, UploadKind, UploadSpec, Uploaded};
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{Extension, FileId, GroupName, Metadata, SlavePrefix};
use futures_util::StreamExt as _;
use serde_json::json;

use super::cluster::ClusterArgs;
use super::content::{Content, is_standard};
use super::meta::{Pair, collect};
use super::output::Output;
use super::progress::Progress;

/// What to store, and as what.
#[derive(Args)]
pub struct UploadArgs {
    /// Local files; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The group; the tracker's choice by default.
    #[arg(short, long)]
    group: Option<GroupName>,
    /// Store files that can be appended to and modified.
    #[arg(long, conflicts_with = "slave_of")]
    appender: bool,
    /// Store beside this file, under a name derived from its name.
    #[arg(long, value_name = "ID", requires = "prefix", conflicts_with = "group")]
    slave_of: Option<FileId>,
    /// What the derived name has in addition, for example _150x150.
    #[arg(long, requires = "slave_of", allow_hyphen_values = true)]
    prefix: Option<SlavePrefix>,
    /// Extension of the names; that of the local file by default.
    #[arg(long)]
    ext: Option<Extension>,
    /// Metadata; may be repeated.
    #[arg(short, long, value_name = "NAME=VALUE")]
    meta: Vec<Pair>,
    /// Files on the way at once.
    #[arg(short, long, default_value_t = 4)]
    jobs: usize,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl UploadArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        let metadata = collect(&self.meta)?;
        let progress = output.progress.clone();
        let one = |path| self.upload(&client, path, &metadata, &progress);
        let uploads = self.files.iter().map(|path| async move { (path, one(path).await) });
        let mut uploads = futures_util::stream::iter(uploads).buffered(self.jobs.max(1));
        while let Some((path, outcome)) = uploads.next().await {
            let name = path.display().to_string();
            output.outcome(&name, outcome, |uploaded| {
                let text = match &self.files[..] {
                    [_] => uploaded.file_id.to_string(),
                    _ => format!("{}\t{name}", uploaded.file_id),
                };
                let (id, size, storage) = (&uploaded.file_id, uploaded.size, uploaded.storage);
                (text, json!({ "file": name, "file_id": id, "size": size, "storage": storage }))
            });
        }
        Ok(())
    }

    async fn upload(
        &self,
        client: &Client,
        path: &Path,
        metadata: &Metadata,
        progress: &Progress,
    ) -> anyhow::Result<Uploaded> {
        let content = Content::open(path)?;
        let spec = UploadSpec { size: content.size, ..self.spec(path) };
        let bar = progress.bar(&path.display().to_string(), content.size);
        let uploaded = match content.size {
            // From a file it can be sent again, should a storage fail.
            Some(size) if content.is_whole && bar.is_hidden() => {
                client.upload_file(spec, content.into_file(), size).await
            }
            _ => client.upload_stream(spec, content.into_stream(bar.clone())).await,
        };
        bar.finish_and_clear();
        let uploaded = uploaded?;
        if !metadata.is_empty() {
            let set = client.set_metadata(&uploaded.file_id, MetadataMode::Overwrite, metadata.clone()).await;
            if let Err(error) = set {
                let text = match client.delete(&uploaded.file_id).await {
                    Ok(()) => "metadata could not be set; the file was removed again".to_owned(),
                    Err(_) => format!("metadata of {} could not be set", uploaded.file_id),
                };
                return Err(error).context(text);
            }
        }
        Ok(uploaded)
    }

    fn spec(&self, path: &Path) -> UploadSpec {
        let extension = match self.ext {
            Some(extension) => extension,
            None if is_standard(path) => Extension::none(),
            None => Extension::from_local_name(&path.to_string_lossy()),
        };
        let kind = match (&self.slave_of, self.prefix) {
            (Some(master), Some(prefix)) => UploadKind::Slave { master: master.clone(), prefix },
            _ if self.appender => UploadKind::Appender,
            _ => UploadKind::Normal,
        };
        UploadSpec { kind, group: self.group, ..UploadSpec::new(extension) }
    }
}
