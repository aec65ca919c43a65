//! `fdfs info`.

use clap::Args;
use fdfs_client::{Client, FileInfo};
use fdfs_types::{FileId, FileKind};
use serde_json::{Value, json};

use super::cluster::ClusterArgs;
use super::output::Output;
use super::words;

/// Which files to tell about.
#[derive(Args)]
pub struct InfoArgs {
    /// The files.
    #[arg(required = true)]
    ids: Vec<FileId>,
    /// Believe what the names of normal files tell, without asking whether they exist.
    #[arg(long)]
    from_name: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl InfoArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        for id in &self.ids {
            let info = self.info(&client, id).await;
            output.outcome(&id.to_string(), info, |info| (text(id, &info), object(id, &info)));
        }
        Ok(())
    }

    async fn info(&self, client: &Client, id: &FileId) -> anyhow::Result<FileInfo> {
        Ok(if self.from_name { client.file_info(id).await? } else { client.stat(id).await? })
    }
}

fn text(id: &FileId, info: &FileInfo) -> String {
    let source = info.source.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
    let size = match info.size {
        0..1024 => words::bytes(info.size),
        size => format!("{size} bytes, {}", words::bytes(size)),
    };
    let rows = [
        ("kind", kind(id).to_owned()),
        ("size", size),
        ("created", words::time(info.created)),
        ("crc32", format!("{:08x}", info.crc32)),
        ("source", source),
    ];
    let rows = rows.map(|(name, value)| format!("\n  {name:<8} {value}"));
    format!("{id}{}", rows.concat())
}

fn object(id: &FileId, info: &FileInfo) -> Value {
    json!({
        "file_id": id,
        "kind": kind(id),
        "size": info.size,
        "created": words::json_time(info.created),
        "crc32": format!("{:08x}", info.crc32),
        "source": info.source,
        "from_name": info.is_from_name,
    })
}

/// The kind that the name tells.
fn kind(id: &FileId) -> &'static str {
    match id.filename.kind() {
        Ok(FileKind::Normal) => "normal",
        Ok(FileKind::Appender) => "appender",
        Ok(FileKind::Slave) => "slave",
        Ok(FileKind::Trunk(_)) => "normal, in a trunk file",
        Err(_) => "unknown",
    }
}
