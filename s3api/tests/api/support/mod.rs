//! A server over files in memory, and a client that says exactly what it is told to.

mod requests;
mod signed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Defaults, Namespace, Objects, Settings};
use fdfs_s3::{Config, Credentials, KeyPair, S3Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use requests::{assert_ok, assert_refused, complete, get, put, upload_id};
pub(crate) use signed::Signed;

/// Key pair of every test.
pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A running server.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) files: Arc<MemoryFiles>,
    pub(crate) objects: Arc<Objects>,
    server: Option<S3Server>,
}

impl Gateway {
    /// Starts one over no objects and the group `group1`.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one whose configuration `change` has changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_over(Settings::default(), change).await
    }

    /// Starts one that takes parts of any size, with the bucket `pets`.
    pub(crate) async fn start_with_small_parts() -> Self {
        let settings = Settings { min_part: 1, ..Settings::default() };
        Self::start_over(settings, |_| {}).await.with_bucket("pets").await
    }

    async fn start_over(settings: Settings, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(Namespace::in_memory(Defaults::default()).unwrap(), settings, change).await
    }

    /// Starts one over these names.
    pub(crate) async fn start_on(
        names: Namespace,
        settings: Settings,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let files = Arc::new(MemoryFiles::default());
        let objects = Objects::new(names, files.clone(), settings);
        objects.refresh_groups().await.unwrap();
        let pair = KeyPair { access_key_id: ACCESS_KEY_ID.into(), secret_access_key: SECRET.into() };
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::new(listen, Arc::new(Credentials::new([pair])));
        config.threads = 2;
        change(&mut config);
        let server = S3Server::bind(config, Arc::clone(&objects)).await.unwrap();
        Self { address: server.address(), files, objects, server: Some(server) }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: Signed) -> Answer {
        self.connect().await.send(request).await
    }

    /// Makes a bucket.
    pub(crate) async fn with_bucket(self, bucket: &str) -> Self {
        let answer = self.send(Signed::new("PUT", &format!("/{bucket}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self
    }

    /// Stops it.
    pub(crate) async fn shutdown(mut self, grace: Duration) {
        self.server.take().unwrap().shutdown(grace).await;
    }
}

/// A connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
    pub(crate) host: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first element of this name in the body.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        self.elements(name).into_iter().next()
    }

    /// The texts of all elements of this name in the body.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let inner = |part: &str| part.split_once(&close).map(|(inner, _)| inner.to_owned());
        text.split(&open).skip(1).filter_map(inner).collect()
    }

    /// The error's code.
    pub(crate) fn code(&self) -> String {
        self.element("Code").unwrap_or_default()
    }
}

impl Wire {
    /// A connection to a server.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new(), host: address.to_string() }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(&mut self, request: Signed) -> Answer {
        let is_head = request.method() == "HEAD";
        let bytes = request.to_bytes(&self.host);
        self.write(&bytes).await;
        self.answer(is_head).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads an answer.
    pub(crate) async fn answer(&mut self, is_head: bool) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "the connection ended before an answer: {:?}", self.read);
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let bodiless = is_head || status == 204 || status == 304 || status < 200;
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let length = if bodiless { 0 } else { length };
        while self.read.len() < length {
            assert!(self.more().await, "the body broke off at {} of {length}", self.read.len());
        }
        answer.body = self.read.drain(..length).collect();
        answer
    }

    /// Whether the server has ended the connection, and said nothing before.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.read.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read =
            timeout(Duration::from_secs(10), self.stream.read(&mut buffer)).await.expect("an answer in time");
        let length = read.unwrap();
        self.read.extend_from_slice(&buffer[..length]);
        length > 0
    }
}
