//! A server with a directory of files, and a client that speaks plainly.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_conf::{Configuration as _, NativeHttpConfig};
use fdfs_http::{Content, FileContent, HttpServer, Limits, NativePaths, Settings, Source, SourceError};
use fdfs_net::Tls;
use fdfs_types::{FileId, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub(crate) const JPG: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";
pub(crate) const SLAVE: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110_150x150.jpg";

/// A directory with one file for each name.
pub(crate) struct Directory {
    pub(crate) root: tempfile::TempDir,
}

/// A server with a directory of files.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: tokio::task::JoinHandle<()>,
    pub(crate) files: Arc<Directory>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Source for Directory {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        if id.group.as_str() != "group1" {
            return Err(SourceError::NotFound);
        }
        let file =
            File::open(self.root.path().join(id.filename.base_name())).map_err(|_| SourceError::NotFound)?;
        let size = file.metadata()?.len();
        Ok(Content {
            size,
            modified: Timestamp(784_111_777),
            holder: None,
            reader: Box::new(FileContent::new(Arc::new(file))),
        })
    }
}

impl Site {
    pub(crate) async fn start(files: &[(&str, &[u8])], limits: Limits, lines: &str) -> Self {
        Self::start_over(None, files, limits, lines).await
    }

    /// A site that speaks over TLS, if it is to.
    pub(crate) async fn start_over(
        tls: Option<Arc<Tls>>,
        files: &[(&str, &[u8])],
        limits: Limits,
        lines: &str,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(root.path().join(name.rsplit('/').next().unwrap()), content).unwrap();
        }
        let lines = format!("url_have_group_name = true\n{lines}\n");
        let config = NativeHttpConfig::read("mod_fastdfs.conf".as_ref(), &mut |_| Ok(lines.clone().into()));
        let settings = Settings::load(&config.unwrap().config).unwrap();
        let (stop, stopped) = watch::channel(false);
        let any = "127.0.0.1:0".parse().unwrap();
        let files = Arc::new(Directory { root });
        let paths = NativePaths::new(Arc::clone(&files), Arc::new(settings), "group1".parse().ok());
        let server = HttpServer::bind(any, Arc::new(paths), limits).await.unwrap().encrypted(tls);
        let address = server.local_addr().unwrap();
        Self { address, stop, task: tokio::spawn(server.run(stopped)), files }
    }

    /// Sends a request as it is, and reads to the end of the connection.
    pub(crate) async fn send(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes));
        // A connection that is reset has said what it had to say.
        let _ = read.await.expect("the server answers in time");
        bytes
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        Answer::parse(&self.send(request.as_bytes()).await)
    }
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(pair).collect(), body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 256) as u8).collect()
}
