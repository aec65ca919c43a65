//! `fdfs meta get` and `fdfs meta set`.

use std::str::FromStr;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fdfs_client::{Client, ClientError};
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{FileId, Metadata};
use serde_json::{Map, Value, json};

use super::cluster::ClusterArgs;
use super::output::Output;

/// Reading or changing.
#[derive(Args)]
pub struct MetaArgs {
    #[command(subcommand)]
    command: MetaCommand,
}

#[derive(Subcommand)]
enum MetaCommand {
    /// Print the pairs of a file, NAME=VALUE each.
    Get(GetArgs),
    /// Add pairs to those of a file.
    Set(SetArgs),
}

#[derive(Args)]
struct GetArgs {
    /// The file.
    id: FileId,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Args)]
struct SetArgs {
    /// The file.
    id: FileId,
    /// The pairs.
    #[arg(value_name = "NAME=VALUE")]
    pairs: Vec<Pair>,
    /// Remove the pairs that it had before.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// A pair of name and value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    name: String,
    value: String,
}

impl MetaArgs {
    pub fn cluster(&self) -> &ClusterArgs {
        match &self.command {
            MetaCommand::Get(args) => &args.cluster,
            MetaCommand::Set(args) => &args.cluster,
        }
    }

    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        match &self.command {
            MetaCommand::Get(args) => {
                let metadata = get(&args.cluster.client()?, &args.id).await;
                output.outcome(&args.id.to_string(), metadata, |metadata| {
                    (text(&metadata), json!({ "file_id": args.id, "metadata": object(&metadata) }))
                });
            }
            MetaCommand::Set(args) => {
                anyhow::ensure!(args.replace || !args.pairs.is_empty(), "no pairs are given");
                let mode = if args.replace { MetadataMode::Overwrite } else { MetadataMode::Merge };
                let metadata = collect(&args.pairs)?;
                let done = args.cluster.client()?.set_metadata(&args.id, mode, metadata).await;
                let done = done.map_err(anyhow::Error::from);
                output.outcome(&args.id.to_string(), done, |()| {
                    (String::new(), json!({ "file_id": args.id, "set": args.pairs.len() }))
                });
            }
        }
        Ok(())
    }
}

/// The metadata of a file. Servers do not tell a file without metadata from one that does not exist: then the file
/// itself is asked for.
async fn get(client: &Client, id: &FileId) -> anyhow::Result<Metadata> {
    match client.metadata(id).await {
        Err(ClientError::NotFound) => {
            client.stat(id).await?;
            Ok(Metadata::new())
        }
        other => Ok(other?),
    }
}

fn text(metadata: &Metadata) -> String {
    let line = |(name, value): (&[u8], &[u8])| {
        format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    metadata.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn object(metadata: &Metadata) -> Value {
    let entry = |(name, value): (&[u8], &[u8])| {
        let value = Value::from(String::from_utf8_lossy(value));
        (String::from_utf8_lossy(name).into_owned(), value)
    };
    Value::Object(metadata.iter().map(entry).collect::<Map<_, _>>())
}

/// Pairs as metadata; the last of one name wins.
pub fn collect(pairs: &[Pair]) -> anyhow::Result<Metadata> {
    let mut metadata = Metadata::new();
    for Pair { name, value } in pairs {
        metadata.insert(name.as_bytes(), value.as_bytes()).with_context(|| format!("{name}={value}"))?;
    }
    Ok(metadata)
}

impl FromStr for Pair {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once('=').context("NAME=VALUE is needed")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        let pairs: Vec<Pair> = ["b=1=2", "a=", "b=3"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(text(&collect(&pairs).unwrap()), "a=\nb=3");
        assert!("no-equals-sign".parse::<Pair>().is_err());
        assert!(collect(&["=x".parse().unwrap()]).is_err(), "a name is needed");
    }
}
