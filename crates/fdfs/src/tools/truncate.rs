//! `fdfs truncate` and `fdfs regenerate`.

use clap::Args;
use fdfs_types::FileId;
use serde_json::json;

use super::cluster::ClusterArgs;
use super::output::Output;

/// What to cut, and where.
#[derive(Args)]
pub struct TruncateArgs {
    /// The appender file.
    id: FileId,
    /// Its new size in bytes; a larger one than it has fills it with zeros.
    #[arg(default_value_t = 0)]
    size: u64,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What to turn into normal files.
#[derive(Args)]
pub struct RegenerateArgs {
    /// The appender files.
    #[arg(required = true)]
    ids: Vec<FileId>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl TruncateArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let done = self.cluster.client()?.truncate(&self.id, self.size).await;
        output.outcome(&self.id.to_string(), done.map_err(anyhow::Error::from), |()| {
            (String::new(), json!({ "file_id": self.id, "size": self.size }))
        });
        Ok(())
    }
}

impl RegenerateArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        for id in &self.ids {
            let done = client.regenerate(id).await.map_err(anyhow::Error::from);
            output.outcome(&id.to_string(), done, |new| {
                (new.to_string(), json!({ "file_id": new, "former_file_id": id }))
            });
        }
        Ok(())
    }
}
