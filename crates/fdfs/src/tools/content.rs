//! Content that a tool sends: a local file, a pipe, or standard input.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::Stream;
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::progress::Progress;

/// Content that a tool sends.
pub struct Content {
    file: File,
    /// Its length, if it is a regular file; from where the file stands at present.
    pub size: Option<u64>,
    /// Whether it is a whole file, from its beginning.
    pub is_whole: bool,
}

impl Content {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = match is_standard(path) {
            true => File::from(io::stdin().as_fd().try_clone_to_owned().context("standard input is closed")?),
            false => File::open(path).context("cannot open it")?,
        };
        let metadata = file.metadata().context("cannot read it")?;
        anyhow::ensure!(!metadata.is_dir(), "it is a directory");
        if !metadata.is_file() {
            return Ok(Self { file, size: None, is_whole: false });
        }
        let position = file.stream_position().context("cannot read it")?;
        let size = Some(metadata.len().saturating_sub(position));
        Ok(Self { file, size, is_whole: position == 0 })
    }

    /// The file itself.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The content in pieces; the bar moves with them.
    pub fn into_stream(self, bar: ProgressBar) -> impl Stream<Item = io::Result<Bytes>> {
        let mut file = tokio::fs::File::from_std(self.file);
        file.set_max_buf_size(PIECE);
        futures_util::stream::try_unfold((file, bar), |(mut file, bar)| async move {
            let mut piece = Vec::with_capacity(PIECE);
            let length = file.read_buf(&mut piece).await?;
            bar.inc(length as u64);
            Ok((length > 0).then(|| (Bytes::from(piece), (file, bar))))
        })
    }

    /// A regular file with all of it and its length: itself, or a copy without a name in the temporary directory.
    pub async fn into_whole_file(self, progress: &Progress) -> anyhow::Result<(File, u64)> {
        if let (Some(size), true) = (self.size, self.is_whole) {
            return Ok((self.file, size));
        }
        let bar = progress.bar("reading", self.size);
        let mut from = tokio::fs::File::from_std(self.file);
        let copy = tempfile::tempfile().context("cannot make a file in the temporary directory")?;
        let mut to = tokio::fs::File::from_std(copy);
        let (mut piece, mut size) = (Vec::with_capacity(PIECE), 0);
        while from.read_buf(&mut piece).await.context("cannot read it")? > 0 {
            to.write_all(&piece).await.context("cannot keep it in the temporary directory")?;
            size += piece.len() as u64;
            bar.inc(piece.len() as u64);
            piece.clear();
        }
        to.flush().await.context("cannot keep it in the temporary directory")?;
        to.rewind().await?;
        bar.finish_and_clear();
        Ok((to.into_std().await, size))
    }
}

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Read at once.
const PIECE: usize = 256 * 1024;
