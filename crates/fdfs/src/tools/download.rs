//! `fdfs download`.
//!
//! A file comes under a hidden name beside its target and gets its name when it is whole. What a run that was
//! interrupted has left is gone on with, unless the file can change.

mod part;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use fdfs_client::{ByteRange, Client, ClientError, Download};
use fdfs_types::{FileId, FileKind};
use serde_json::json;

pub use self::part::Part;
use super::cluster::ClusterArgs;
use super::content::is_standard;
use super::output::Output;

/// What to fetch, and to where.
#[derive(Args)]
pub struct DownloadArgs {
    /// One file or several; behind a single one where to: a file, a directory, or `-` for standard output.
    #[arg(required = true, value_name = "ID> [FILE")]
    what: Vec<What>,
    /// The directory to fetch into under the last parts of the IDs; the current one by default.
    #[arg(short, long)]
    dir: Option<PathBuf>,
    /// First byte to fetch.
    #[arg(short, long, default_value_t = 0)]
    offset: u64,
    /// Bytes to fetch; up to the end by default.
    #[arg(short, long)]
    length: Option<u64>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// An argument: what reads as an ID is one.
#[derive(Clone, Debug)]
enum What {
    Id(FileId),
    Target(PathBuf),
}

/// What was fetched.
struct Fetched {
    size: u64,
    /// Bytes that an earlier run had left.
    resumed: u64,
    /// Checksum of the whole, if it was a whole file.
    crc32: Option<u32>,
}

impl DownloadArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let (ids, target) = self.arguments()?;
        let client = self.cluster.client()?;
        for id in ids {
            let target = self.target(id, target);
            let fetched = match is_standard(&target) {
                true => self.to_standard_output(&client, id, output).await,
                false => self.to_file(&client, id, &target, output).await,
            };
            if let Ok(Fetched { crc32: Some(crc32), .. }) = fetched
                && expected_crc32(id).is_some_and(|expected| expected != crc32)
            {
                output.warn(format_args!(
                    "{id}: the content has the checksum {crc32:08x}, its name tells another: \
                     it is a link to a file, or it was changed on the storage"
                ));
            }
            let (is_printed, name) = (is_standard(&target), target.display().to_string());
            match fetched {
                // Standard output has the content.
                Ok(_) if is_printed => {}
                fetched => output.outcome(&id.to_string(), fetched, |Fetched { size, resumed, .. }| {
                    let object = json!({ "file_id": id, "file": name, "size": size, "resumed": resumed });
                    (String::new(), object)
                }),
            }
        }
        Ok(())
    }

    fn arguments(&self) -> anyhow::Result<(Vec<&FileId>, Option<&Path>)> {
        match &self.what[..] {
            [What::Id(id), What::Target(target)] if self.dir.is_none() => Ok((vec![id], Some(target))),
            all => {
                let ids = all.iter().map(|what| match what {
                    What::Id(id) => Ok(id),
                    What::Target(path) => anyhow::bail!("{} is no file ID", path.display()),
                });
                Ok((ids.collect::<anyhow::Result<_>>()?, None))
            }
        }
    }

    fn target(&self, id: &FileId, target: Option<&Path>) -> PathBuf {
        let name = Path::new(id.filename.base_name());
        match (target, &self.dir) {
            (Some(target), _) if target.is_dir() => target.join(name),
            (Some(target), _) => target.to_owned(),
            (None, Some(directory)) => directory.join(name),
            (None, None) => name.to_owned(),
        }
    }

    fn range(&self) -> ByteRange {
        ByteRange { offset: self.offset, length: self.length }
    }

    async fn to_standard_output(
        &self,
        client: &Client,
        id: &FileId,
        output: &Output,
    ) -> anyhow::Result<Fetched> {
        let mut download = client.download(id, self.range()).await?;
        let bar = output.progress.bar(id.filename.base_name(), Some(download.length()));
        let mut stdout = io::stdout().lock();
        let mut crc32 = crc32fast::Hasher::new();
        while let Some(piece) = download.next_chunk().await? {
            crc32.update(&piece);
            stdout.write_all(&piece).context("cannot write to standard output")?;
            bar.inc(piece.len() as u64);
        }
        stdout.flush().context("cannot write to standard output")?;
        bar.finish_and_clear();
        Ok(Fetched { size: download.length(), resumed: 0, crc32: self.is_whole().then(|| crc32.finalize()) })
    }

    async fn to_file(
        &self,
        client: &Client,
        id: &FileId,
        target: &Path,
        output: &Output,
    ) -> anyhow::Result<Fetched> {
        let mut part = Part::open(target, &format!("{id} {} {:?}", self.offset, self.length))?;
        if !is_constant(id) {
            part.restart()?;
        }
        let resumed = part.size();
        let Some(mut download) = self.rest(client, id, &mut part).await? else {
            return Ok(Fetched { size: part.size(), resumed, crc32: part.finish()? });
        };
        let resumed = part.size();
        let bar = output.progress.bar(id.filename.base_name(), Some(resumed + download.length()));
        bar.inc(resumed);
        while let Some(piece) = download.next_chunk().await? {
            part.write(&piece)?;
            bar.inc(piece.len() as u64);
        }
        bar.finish_and_clear();
        let (size, crc32) = (part.size(), part.finish()?);
        Ok(Fetched { size, resumed, crc32: crc32.filter(|_| self.is_whole()) })
    }

    /// What is still missing behind the part; `None` if that is nothing.
    async fn rest(&self, client: &Client, id: &FileId, part: &mut Part) -> anyhow::Result<Option<Download>> {
        let have = part.size();
        let length = match self.length {
            Some(length) if have > 0 && have == length => return Ok(None),
            Some(length) => match length.checked_sub(have) {
                Some(left) => Some(left),
                None => return self.restarted(client, id, part).await,
            },
            None => None,
        };
        let range = ByteRange { offset: self.offset.saturating_add(have), length };
        match client.download(id, range).await {
            Ok(download) => Ok(Some(download)),
            Err(ClientError::OutOfRange { size }) if have > 0 && size == range.offset => Ok(None),
            // Not a part of this file as it is now.
            Err(ClientError::OutOfRange { .. }) if have > 0 => self.restarted(client, id, part).await,
            Err(error) => {
                if part.size() == 0 {
                    part.discard();
                }
                Err(error.into())
            }
        }
    }

    async fn restarted(
        &self,
        client: &Client,
        id: &FileId,
        part: &mut Part,
    ) -> anyhow::Result<Option<Download>> {
        part.restart()?;
        Ok(Some(client.download(id, self.range()).await?))
    }

    fn is_whole(&self) -> bool {
        self.offset == 0 && self.length.is_none()
    }
}

impl FromStr for What {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Target(text.into()), Self::Id))
    }
}

/// Whether a file has the same content as long as it exists.
fn is_constant(id: &FileId) -> bool {
    matches!(id.filename.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)))
}

/// The checksum that the name of a normal file tells.
fn expected_crc32(id: &FileId) -> Option<u32> {
    let fields = id.filename.fields().ok().filter(|_| is_constant(id))?;
    Some(fields.crc32)
}
