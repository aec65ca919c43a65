//! A connection to an S3 server: signed payloads, path style, HTTP/1.1.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use fdfs_s3::{Credentials, KeyPair};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::target::Target;
use super::wire::within;

/// Where and as whom all connections ask.
pub struct S3Site {
    bucket: String,
    region: String,
    pair: KeyPair,
    /// What of a signature is the same for all requests of a second.
    present: Mutex<Present>,
}

/// A second, and what is signed with in it.
#[derive(Clone, Default)]
struct Present {
    second: u64,
    timestamp: String,
    scope: String,
    key: Vec<u8>,
}

impl S3Site {
    /// A bucket, asked for with the first credentials of a file.
    pub fn new(bucket: &str, region: &str, credentials: &Path) -> anyhow::Result<Self> {
        let read = Credentials::read(credentials)?;
        let pair = read.first().with_context(|| format!("{} holds no credentials", credentials.display()))?;
        let present = Mutex::default();
        Ok(Self { bucket: bucket.to_owned(), region: region.to_owned(), pair: pair.clone(), present })
    }

    /// What is signed with now. The load must not spend on its signatures what it measures of the servers.
    fn present(&self) -> Present {
        let (now, second) = (SystemTime::now(), second());
        let mut present = self.present.lock();
        if present.second != second {
            let timestamp = jiff::Timestamp::try_from(now).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
            let timestamp = timestamp.to_string();
            let scope = format!("{}/{}/s3/aws4_request", &timestamp[..8], self.region);
            let key = generate_signing_key(&self.pair.secret_access_key, now, &self.region, "s3");
            *present = Present { second, timestamp, scope, key: key.as_ref().to_vec() };
        }
        present.clone()
    }

    /// The head of a request. `query` is sorted and encoded.
    fn head(&self, method: &str, path: &str, query: &str, host: &str, payload: &str) -> String {
        let Present { timestamp, scope, key, .. } = self.present();
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{timestamp}\n\n{NAMES}\n{payload}"
        );
        let hash = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hash}");
        let signature = calculate_signature(key, to_sign.as_bytes());
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: {payload}\r\nx-amz-date: {timestamp}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={NAMES}, Signature={signature}\r\n",
            self.pair.access_key_id
        )
    }
}

/// One connection.
pub struct S3Connection<'a> {
    site: &'a S3Site,
    host: String,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of `buffer` was read and not used.
    filled: std::ops::Range<usize>,
    /// The content that was hashed last.
    hashed: (Vec<u8>, String),
    /// The requests of this second that read, by method and path.
    reads: (u64, HashMap<(&'static str, String), Vec<u8>>),
    prefix: String,
    made: u64,
    /// Where the next page of the list begins.
    token: Option<String>,
}

/// How the body of an answer ends.
#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
}

impl<'a> S3Connection<'a> {
    /// Connects.
    pub async fn open(address: SocketAddr, site: &'a S3Site, index: usize) -> anyhow::Result<Self> {
        // The load does not spend on pacing what it measures of the servers.
        let stream = within(async { Ok(fdfs_net::connect(address, None).await?) })
            .await
            .with_context(|| format!("no connection to {address}"))?;
        Ok(Self {
            site,
            host: address.to_string(),
            stream,
            buffer: vec![0; BUFFER],
            filled: 0..0,
            hashed: (Vec::new(), hex::encode(Sha256::digest([]))),
            reads: Default::default(),
            prefix: format!("{:08x}/{index}", fastrand::u32(..)),
            made: 0,
            token: None,
        })
    }

    /// Asks for an object without content. Who asks for it again within a second sends the same bytes: like the key, a signature
    /// costs the load and not the servers.
    async fn read(&mut self, method: &'static str, key: &str) -> anyhow::Result<Framing> {
        let (now, path) = (second(), self.path(key));
        if self.reads.0 != now {
            self.reads = (now, HashMap::new());
        }
        let request = match self.reads.1.entry((method, path)) {
            Entry::Occupied(signed) => signed.into_mut(),
            Entry::Vacant(new) => {
                let empty = hex::encode(Sha256::digest([]));
                let head = self.site.head(method, &new.key().1, "", &self.host, &empty);
                new.insert((head + "\r\n").into_bytes())
            }
        };
        self.stream.write_all(request).await?;
        self.accepted(method, key).await
    }

    /// Sends a request and reads the head of its answer.
    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        content: &[u8],
    ) -> anyhow::Result<Framing> {
        if self.hashed.0 != content {
            self.hashed = (content.to_vec(), hex::encode(Sha256::digest(content)));
        }
        let mut head = self.site.head(method, path, query, &self.host, &self.hashed.1);
        if method == "PUT" {
            head.push_str(&format!("content-length: {}\r\n", content.len()));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        if content.len() <= SMALL {
            request.extend_from_slice(content);
            self.stream.write_all(&request).await?;
        } else {
            self.stream.write_all(&request).await?;
            self.stream.write_all(content).await?;
        }
        self.accepted(method, path).await
    }

    /// Reads the head of an answer, which is no refusal.
    async fn accepted(&mut self, method: &str, path: &str) -> anyhow::Result<Framing> {
        let (status, framing) = self.answer(method == "HEAD").await?;
        if !(200..300).contains(&status) {
            let mut text = Vec::new();
            self.body(framing, |_, piece| text.extend_from_slice(piece)).await?;
            bail!("{method} {path}: status {status}: {}", String::from_utf8_lossy(&text));
        }
        Ok(framing)
    }

    async fn answer(&mut self, bodiless: bool) -> anyhow::Result<(u16, Framing)> {
        self.compact();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let have = &self.buffer[self.filled.clone()];
            if let httparse::Status::Complete(length) = response.parse(have)? {
                let status = response.code.context("no status")?;
                let value = |name: &str| {
                    let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                    found.and_then(|header| std::str::from_utf8(header.value).ok())
                };
                let length_told = value("content-length").map(str::parse).transpose()?.unwrap_or_default();
                let framing = match value("transfer-encoding") {
                    _ if bodiless => Framing::Length(length_told),
                    Some(_) => Framing::Chunked,
                    None => Framing::Length(length_told),
                };
                self.filled.start += length;
                return Ok((status, framing));
            }
            self.fill().await?;
        }
    }

    /// Reads a body; returns its length.
    async fn body(&mut self, framing: Framing, mut piece: impl FnMut(u64, &[u8])) -> anyhow::Result<u64> {
        let Framing::Length(length) = framing else {
            let mut at = 0;
            loop {
                let size = self.chunk_size().await?;
                self.exactly(size, |offset, bytes| piece(at + offset, bytes)).await?;
                at += size;
                self.exactly(2, |_, _| ()).await?;
                if size == 0 {
                    return Ok(at);
                }
            }
        };
        self.exactly(length, piece).await?;
        Ok(length)
    }

    async fn chunk_size(&mut self) -> anyhow::Result<u64> {
        loop {
            match httparse::parse_chunk_size(&self.buffer[self.filled.clone()]) {
                Ok(httparse::Status::Complete((length, size))) => {
                    self.filled.start += length;
                    return Ok(size);
                }
                Ok(httparse::Status::Partial) => {
                    self.compact();
                    self.fill().await?;
                }
                Err(_) => bail!("a chunk has no size"),
            }
        }
    }

    async fn exactly(&mut self, length: u64, mut piece: impl FnMut(u64, &[u8])) -> anyhow::Result<()> {
        let mut at = 0;
        while at < length {
            if self.filled.is_empty() {
                self.filled = 0..0;
                self.fill().await?;
            }
            let taken = self.filled.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
            piece(at, &self.buffer[self.filled.start..self.filled.start + taken]);
            self.filled.start += taken;
            at += taken as u64;
        }
        Ok(())
    }

    fn compact(&mut self) {
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        ensure!(self.filled.end < self.buffer.len(), "the head of an answer is too long");
        let read = self.stream.read(&mut self.buffer[self.filled.end..]).await?;
        ensure!(read > 0, "connection closed within an answer");
        self.filled.end += read;
        Ok(())
    }

    fn path(&self, key: &str) -> String {
        format!("/{}/{key}", self.site.bucket)
    }
}

impl Target for S3Connection<'_> {
    type Name = String;

    async fn upload(&mut self, content: &[u8]) -> anyhow::Result<String> {
        let key = format!("{}-{:08}", self.prefix, self.made);
        self.made += 1;
        let framing = self.ask("PUT", &self.path(&key), "", content).await?;
        self.body(framing, |_, _| ()).await?;
        Ok(key)
    }

    async fn drain(&mut self, key: &String) -> anyhow::Result<u64> {
        // What comes with the head is read as it is; nothing looks at the rest.
        self.download(key, |_, _| ()).await
    }

    async fn download(&mut self, key: &String, piece: impl FnMut(u64, &[u8])) -> anyhow::Result<u64> {
        let framing = self.read("GET", key).await?;
        self.body(framing, piece).await
    }

    async fn info(&mut self, key: &String) -> anyhow::Result<u64> {
        match self.read("HEAD", key).await? {
            Framing::Length(length) => Ok(length),
            Framing::Chunked => bail!("the answer tells no length"),
        }
    }

    async fn delete(&mut self, key: &String) -> anyhow::Result<()> {
        let framing = self.ask("DELETE", &self.path(key), "", &[]).await?;
        self.body(framing, |_, _| ()).await.map(drop)
    }

    async fn list(&mut self) -> anyhow::Result<u64> {
        let path = format!("/{}", self.site.bucket);
        let from = self.token.take().map(|token| format!("continuation-token={}&", encoded(&token)));
        let query = format!("{}list-type=2", from.unwrap_or_default());
        let framing = self.ask("GET", &path, &query, &[]).await?;
        let mut page = Vec::new();
        self.body(framing, |_, piece| page.extend_from_slice(piece)).await?;
        let page = String::from_utf8(page)?;
        let token = page.split_once("<NextContinuationToken>").and_then(|(_, rest)| rest.split_once("</"));
        self.token = token.map(|(token, _)| token.to_owned());
        Ok(page.matches("<Key>").count() as u64)
    }
}

/// The second that requests are signed in.
fn second() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

/// A value as it stands in a query that is signed.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The headers that are signed.
const NAMES: &str = "host;x-amz-content-sha256;x-amz-date";
const BUFFER: usize = 256 * 1024;
/// Content up to this many bytes leaves with its head.
const SMALL: usize = 128 * 1024;
