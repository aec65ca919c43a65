//! Reading files, from whichever storage has them.

use std::net::SocketAddr;

use bytes::Bytes;
use fdfs_net::{CallError, Lease};
use fdfs_proto::storage::DownloadRequest;
use fdfs_proto::{Command, Status};
use fdfs_types::{FileId, FileKind, Timestamp};
use futures_util::Stream;
use tokio::time::timeout_at;
use tracing::info;

use crate::patience::Patience;
use crate::search::{Attempt, Purpose, Search};
use crate::servers::Busy;
use crate::{Client, ClientError, Trail};

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Number of bytes; up to the end of the file if absent. It is cut where the file ends.
    pub length: Option<u64>,
}

/// Content of a file that is being read. Dropping it ends the reading.
///
/// When the storage fails in the middle, the rest comes from another one.
#[derive(Debug)]
pub struct Download {
    client: Client,
    file_id: FileId,
    source: Option<(SocketAddr, Lease, Busy)>,
    /// What the file has to be, wherever it is read.
    expected: Option<(u64, Timestamp)>,
    /// Those that broke off.
    broken: Vec<SocketAddr>,
    offset: u64,
    left: u64,
    length: u64,
    /// Resumptions since the last byte came.
    failures: u32,
    /// Who wants to know which storages were asked.
    trail: Option<Trail>,
}

/// What comes from a storage, and how many bytes; `None` where it does not send the range.
type Opened = Option<(Lease, Busy, u64)>;

impl ByteRange {
    /// The whole file.
    pub const ALL: Self = Self { offset: 0, length: None };

    /// The bytes from `offset` to the end.
    pub const fn from(offset: u64) -> Self {
        Self { offset, length: None }
    }

    /// `length` bytes from `offset` on.
    pub const fn of(offset: u64, length: u64) -> Self {
        Self { offset, length: Some(length) }
    }
}

impl Client {
    /// Begins to read a file. A range of no length is read without asking anybody.
    pub async fn download(&self, file_id: &FileId, range: ByteRange) -> Result<Download, ClientError> {
        self.begin_download(file_id, range, None).await
    }

    /// As [`Client::download`], but a file that can change is read only where it has this size and time, also when the
    /// reading goes on at another storage.
    pub async fn download_version(
        &self,
        file_id: &FileId,
        range: ByteRange,
        size: u64,
        modified: Timestamp,
    ) -> Result<Download, ClientError> {
        let is_fixed = matches!(file_id.filename.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)));
        self.begin_download(file_id, range, (!is_fixed).then_some((size, modified))).await
    }

    async fn begin_download(
        &self,
        file_id: &FileId,
        range: ByteRange,
        expected: Option<(u64, Timestamp)>,
    ) -> Result<Download, ClientError> {
        let mut download = Download {
            client: self.clone(),
            file_id: file_id.clone(),
            source: None,
            expected,
            broken: Vec::new(),
            offset: range.offset,
            left: 0,
            length: 0,
            failures: 0,
            trail: Trail::followed(),
        };
        if range.length != Some(0) {
            let length = download.open(range.length.unwrap_or(0)).await?;
            (download.left, download.length) = (length, length);
        }
        Ok(download)
    }

    /// Reads a whole file, or a range, that has at most `limit` bytes.
    pub async fn read(&self, file_id: &FileId, range: ByteRange, limit: usize) -> Result<Bytes, ClientError> {
        let mut download = self.download(file_id, range).await?;
        if download.length > limit as u64 {
            return Err(ClientError::WrongLength { announced: limit as u64, actual: download.length });
        }
        let mut content = Vec::new();
        while let Some(chunk) = download.next_chunk().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content.into())
    }
}

impl Download {
    /// The next bytes; `None` at the end.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while self.left > 0 {
            let Some((address, lease, _)) = &mut self.source else {
                self.resume().await?;
                continue;
            };
            match lease.next_chunk().await {
                Ok(Some(chunk)) => {
                    let chunk = Bytes::copy_from_slice(chunk);
                    self.offset += chunk.len() as u64;
                    self.left = self.left.saturating_sub(chunk.len() as u64);
                    self.failures = 0;
                    if self.left == 0 {
                        // The body ends here too: the connection goes back to the pool.
                        self.source = None;
                    }
                    return Ok(Some(chunk));
                }
                // The body ends before the content does: opening made sure that it does not.
                Ok(None) => self.source = None,
                Err(error) => {
                    info!(%address, file_id = %self.file_id, %error, "download goes on at another storage");
                    metrics::counter!("fdfs_client_download_resumes_total").increment(1);
                    self.client.inner().servers.failed(*address, &error);
                    self.broken.push(*address);
                    self.source = None;
                }
            }
        }
        Ok(None)
    }

    /// Number of bytes of the whole range.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Number of bytes that are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The storage that the bytes come from at present.
    pub fn storage(&self) -> Option<SocketAddr> {
        self.source.as_ref().map(|(address, ..)| *address)
    }

    /// The content as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ClientError>> + Send {
        futures_util::stream::try_unfold(self, |mut download| async {
            Ok(download.next_chunk().await?.map(|chunk| (chunk, download)))
        })
    }

    async fn resume(&mut self) -> Result<(), ClientError> {
        self.failures += 1;
        if self.failures > self.client.options().rounds {
            return Err(ClientError::unavailable("the content breaks off at every storage", None));
        }
        let left = self.left;
        let length = Trail::follow_if(self.trail.clone(), self.open(left)).await?;
        if length < left {
            return Err(ClientError::unavailable("the file has become shorter while it was read", None));
        }
        Ok(())
    }

    /// Finds a storage that sends the range, and tells how many bytes that are; a `length` of 0 means all.
    async fn open(&mut self, length: u64) -> Result<u64, ClientError> {
        let client = self.client.clone();
        let inner = client.inner();
        let mut patience = Patience::new(&inner.options);
        loop {
            let round = timeout_at(patience.deadline(), self.open_somewhere(length));
            match round.await.unwrap_or(Err(ClientError::Timeout)) {
                Err(error @ ClientError::Unavailable { .. }) => {
                    if !patience.next_round("download").await {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    async fn open_somewhere(&mut self, length: u64) -> Result<u64, ClientError> {
        let client = self.client.clone();
        let file_id = self.file_id.clone();
        let request = DownloadRequest { offset: self.offset, length, file_id: self.file_id.clone() };
        let search = Search::new(client.inner(), &file_id, Purpose::Read, Command::DOWNLOAD_FILE);
        let mut search = search.doubting(&self.broken);
        let (expected, left) = (self.expected, self.left);
        let open = |address| open_at(&client, address, &request, expected, left);
        match search.first(open).await? {
            Some((address, Some((lease, busy, length)))) => {
                self.source = Some((address, lease, busy));
                Ok(length)
            }
            Some((address, None)) => self.explain_refusal(address).await,
            None => Err(search.verdict().await),
        }
    }

    /// Original storages refuse to send a file without content, and all refuse to begin at the end or behind it.
    async fn explain_refusal(&self, address: SocketAddr) -> Result<u64, ClientError> {
        let refused = ClientError::refused(address, Command::DOWNLOAD_FILE, Status::EINVAL);
        let size = match (self.file_id.filename.kind(), self.file_id.filename.fields()) {
            (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields)) => fields.size.size(),
            _ => self.client.file_info_at(address, &self.file_id).await.ok().map(|info| info.size),
        };
        match size {
            Some(0) if self.offset == 0 => Ok(0),
            Some(size) if self.offset >= size => Err(ClientError::OutOfRange { size }),
            _ => Err(refused),
        }
    }
}

/// Asks one storage for the content: for what is `expected`, and for all that is `left`.
async fn open_at(
    client: &Client,
    address: SocketAddr,
    request: &DownloadRequest,
    expected: Option<(u64, Timestamp)>,
    left: u64,
) -> Attempt<Opened> {
    let file_id = &request.file_id;
    if let Some(expected) = expected {
        match client.file_info_at(address, file_id).await {
            Ok(info) if (info.size, info.created) == expected => {}
            Ok(info) => {
                info!(%address, %file_id, bytes = info.size, "storage has another content of the file");
                return Attempt::Passed;
            }
            Err(error) => return Attempt::Failed(error),
        }
    }
    let servers = &client.inner().servers;
    // Who waits for its answer is one of those whom it serves.
    let busy = servers.occupy(address);
    match servers.open(address, request).await {
        Ok((lease, header)) if left == 0 || header.length == left => {
            Attempt::Done(Some((lease, busy, header.length)))
        }
        // A replica that has not got all of an appender file yet.
        Ok((_, header)) => {
            info!(%address, %file_id, bytes = header.length, "storage has less of the file");
            Attempt::Passed
        }
        Err(CallError::Status(Status::EINVAL)) => Attempt::Done(None),
        Err(error) => Attempt::Failed(error),
    }
}
