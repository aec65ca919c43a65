//! `fdfs append` and `fdfs modify`.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fdfs_client::Client;
use fdfs_types::FileId;
use serde_json::json;

use super::cluster::ClusterArgs;
use super::content::Content;
use super::output::Output;

/// What to append to what.
#[derive(Args)]
pub struct AppendArgs {
    /// The appender file.
    id: FileId,
    /// Local files, in the order in which they are appended; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What to overwrite with what.
#[derive(Args)]
pub struct ModifyArgs {
    /// The appender file.
    id: FileId,
    /// A local file; `-` is standard input.
    file: PathBuf,
    /// First byte to overwrite.
    #[arg(short, long, default_value_t = 0)]
    offset: u64,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl AppendArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        for path in &self.files {
            let done = send(&client, &self.id, None, path, output).await;
            let stop = done.is_err();
            let name = path.display().to_string();
            output.outcome(&name, done, |size| {
                (String::new(), json!({ "file_id": self.id, "file": name, "size": size }))
            });
            // What comes later must not stand where this should.
            if stop {
                break;
            }
        }
        Ok(())
    }
}

impl ModifyArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        let done = send(&client, &self.id, Some(self.offset), &self.file, output).await;
        output.outcome(&self.file.display().to_string(), done, |size| {
            let (id, offset) = (&self.id, self.offset);
            (String::new(), json!({ "file_id": id, "offset": offset, "size": size }))
        });
        Ok(())
    }
}

/// Writes a local file at the end, or from an offset on, and answers its length.
async fn send(
    client: &Client,
    id: &FileId,
    offset: Option<u64>,
    path: &Path,
    output: &Output,
) -> anyhow::Result<u64> {
    let (file, size): (File, u64) = Content::open(path)?.into_whole_file(&output.progress).await?;
    let sent = match offset {
        None => client.append_file(id, &file, size).await,
        Some(offset) => client.modify_file(id, offset, &file, size).await,
    };
    sent.with_context(|| id.to_string())?;
    Ok(size)
}
