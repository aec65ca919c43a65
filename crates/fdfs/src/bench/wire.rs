//! One connection that asks one thing at a time.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use fdfs_proto::storage::{DeleteRequest, DownloadRequest, FileInfoRequest, UploadRequest};
use fdfs_proto::tracker::QueryStoreAllRequest;
use fdfs_proto::{Decode as _, Header, Request};
use fdfs_types::{Extension, FileId};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use super::target::Target;

/// A connection with its buffer.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Time after which a request without an answer is given up.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    const BUFFER: usize = 256 * 1024;

    /// Connects.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        // The load does not spend on pacing what it measures of the servers.
        let stream = within(async { Ok(fdfs_net::connect(address, None).await?) })
            .await
            .with_context(|| format!("no connection to {address}"))?;
        Ok(Self { stream, buffer: vec![0; Self::BUFFER] })
    }

    /// The storages that a tracker offers for uploads.
    pub async fn storages(&mut self) -> anyhow::Result<Vec<SocketAddr>> {
        Ok(self.ask(&QueryStoreAllRequest).await?.storages)
    }

    async fn ask<R: Request>(&mut self, request: &R) -> anyhow::Result<R::Response> {
        self.send(&request.frame(), &[]).await?;
        self.answer::<R>().await
    }

    async fn answer<R: Request>(&mut self) -> anyhow::Result<R::Response> {
        let (header, have) = self.header().await?;
        let length = usize::try_from(header.length)?;
        ensure!(Header::LEN + length <= self.buffer.len(), "answer of {length} bytes");
        self.stream.read_exact(&mut self.buffer[have..(Header::LEN + length).max(have)]).await?;
        Ok(R::Response::decode(&self.buffer[Header::LEN..Header::LEN + length])?)
    }

    /// Reads until the header is there; also how many bytes the buffer then holds.
    async fn header(&mut self) -> anyhow::Result<(Header, usize)> {
        self.header_within(self.buffer.len()).await
    }

    /// The same, reading no more than `limit` bytes.
    async fn header_within(&mut self, limit: usize) -> anyhow::Result<(Header, usize)> {
        let mut have = 0;
        while have < Header::LEN {
            let read = self.stream.read(&mut self.buffer[have..limit]).await?;
            ensure!(read > 0, "connection closed before an answer");
            have += read;
        }
        let bytes = self.buffer.first_chunk().context("buffer is larger than a header")?;
        let header = Header::decode(bytes)?;
        if header.status.0 != 0 {
            bail!("status {}", header.status);
        }
        Ok((header, have))
    }

    async fn send(&mut self, head: &[u8], content: &[u8]) -> anyhow::Result<()> {
        let sent = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(content)]).await?;
        if sent < head.len() {
            self.stream.write_all(&head[sent..]).await?;
        }
        self.stream.write_all(&content[sent.saturating_sub(head.len())..]).await?;
        Ok(())
    }
}

impl Target for Wire {
    type Name = FileId;

    async fn upload(&mut self, content: &[u8]) -> anyhow::Result<FileId> {
        let extension = Extension::from_local_name("a.bin");
        let request = UploadRequest { store_path: None, size: content.len() as u64, extension };
        self.send(&request.frame(), content).await?;
        self.answer::<UploadRequest>().await
    }

    async fn drain(&mut self, file_id: &FileId) -> anyhow::Result<u64> {
        let request = DownloadRequest { offset: 0, length: 0, file_id: file_id.clone() };
        self.send(&request.frame(), &[]).await?;
        let (header, have) = self.header_within(Header::LEN).await?;
        let mut left = header.length - (have - Header::LEN) as u64;
        while left > 0 {
            let wanted = usize::try_from(left)?.min(self.buffer.len());
            let buffer = &mut self.buffer[..wanted];
            let drop = || Ok(recv(&self.stream, &mut *buffer, RecvFlags::TRUNC)?.1);
            let dropped = self.stream.async_io(Interest::READABLE, drop).await?;
            ensure!(dropped > 0, "connection closed {left} bytes before the end of {}", header.length);
            left -= dropped as u64;
        }
        Ok(header.length)
    }

    async fn download(&mut self, file_id: &FileId, mut piece: impl FnMut(u64, &[u8])) -> anyhow::Result<u64> {
        let request = DownloadRequest { offset: 0, length: 0, file_id: file_id.clone() };
        self.send(&request.frame(), &[]).await?;
        let (header, mut have) = self.header().await?;
        let mut at = 0;
        let body = Header::LEN..have.min(Header::LEN + usize::try_from(header.length)?);
        piece(at, &self.buffer[body.clone()]);
        at += body.len() as u64;
        while at < header.length {
            let left = usize::try_from(header.length - at)?.min(self.buffer.len());
            have = self.stream.read(&mut self.buffer[..left]).await?;
            ensure!(have > 0, "connection closed after {at} of {} bytes", header.length);
            piece(at, &self.buffer[..have]);
            at += have as u64;
        }
        Ok(header.length)
    }

    async fn delete(&mut self, file_id: &FileId) -> anyhow::Result<()> {
        self.ask(&DeleteRequest { file_id: file_id.clone() }).await.map(drop)
    }

    async fn info(&mut self, file_id: &FileId) -> anyhow::Result<u64> {
        let request = FileInfoRequest { file_id: file_id.clone(), skip_crc32: true, is_silent: false };
        Ok(self.ask(&request).await?.size)
    }

    async fn list(&mut self) -> anyhow::Result<u64> {
        bail!("FastDFS lists no files: list is for S3")
    }
}

/// Waits for one request, but not for ever.
pub async fn within<T>(request: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(Wire::TIMEOUT, request).await.context("no answer in time")?
}
