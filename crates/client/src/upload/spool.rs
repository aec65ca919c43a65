//! Content on the local disk, until its length is known.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A file without a name that grows; it is gone with the last handle.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    flushed: u64,
    buffer: Vec<u8>,
}

impl Spool {
    pub(super) async fn create(directory: Option<&Path>) -> io::Result<Self> {
        let directory = directory.map_or_else(std::env::temp_dir, Path::to_owned);
        let file = blocking(move || tempfile::tempfile_in(directory)).await?;
        Ok(Self { file: Arc::new(file), flushed: 0, buffer: Vec::new() })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(BUFFER) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= BUFFER {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// The file with all content, and its length.
    pub(super) async fn finish(mut self) -> io::Result<(Arc<File>, u64)> {
        self.flush().await?;
        Ok((self.file, self.flushed))
    }

    async fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let (file, offset, length) = (Arc::clone(&self.file), self.flushed, buffer.len() as u64);
        self.buffer = blocking(move || {
            file.write_all_at(&buffer, offset)?;
            let mut buffer = buffer;
            buffer.clear();
            Ok(buffer)
        })
        .await?;
        self.flushed += length;
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(io::Error::other(ended)))
}

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;
