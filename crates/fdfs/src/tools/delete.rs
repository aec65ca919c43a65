//! `fdfs delete`.

use clap::Args;
use fdfs_types::FileId;
use serde_json::json;

use super::cluster::ClusterArgs;
use super::output::Output;

/// What to remove.
#[derive(Args)]
pub struct DeleteArgs {
    /// The files.
    #[arg(required = true)]
    ids: Vec<FileId>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl DeleteArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        for id in &self.ids {
            let done = client.delete(id).await.map_err(anyhow::Error::from);
            output.outcome(&id.to_string(), done, |()| {
                (String::new(), json!({ "file_id": id, "deleted": true }))
            });
        }
        Ok(())
    }
}
