//! A client of a front: one request a connection, every byte counted.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A client of the front at this address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Browser(pub(crate) SocketAddr);

/// What a front answered.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Browser {
    /// A client of the front of a gateway on this address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(SocketAddr::new(address, 8000))
    }

    /// Asks for a path.
    pub(crate) fn get(self, path: &str) -> Result<Page> {
        self.ask("GET", path, "")
    }

    /// Asks with a method and further lines of the head, each with its end.
    pub(crate) fn ask(self, method: &str, path: &str, lines: &str) -> Result<Page> {
        let mut stream = self.begin(method, path, lines)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context("the answer")?;
        Page::parse(&bytes, method)
    }

    /// Sends a request; the answer is still to be read.
    pub(crate) fn begin(self, method: &str, path: &str, lines: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.0, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.0;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n");
        // In one segment: where many connect at once the kernel answers with cookies, and can then lose a first segment of three
        // bytes without anybody noticing.
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }
}

impl Page {
    /// Takes an answer apart. A body that is shorter than its head says is an error.
    pub(crate) fn parse(bytes: &[u8], method: &str) -> Result<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("no head came")?;
        let head = String::from_utf8(bytes[..end].to_vec())?.to_ascii_lowercase();
        let status = head.get(9..12).context("a status")?.parse()?;
        let page = Self { status, head, body: bytes[end + 4..].to_vec() };
        if let Some(length) = page.header("content-length").filter(|_| method != "HEAD" && status != 304) {
            let length: usize = length.parse()?;
            ensure!(page.body.len() == length, "{} of {length} bytes came", page.body.len());
        } else if !page.body.is_empty() {
            bail!("a body without a length");
        }
        Ok(page)
    }

    /// A header's value, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
