//! Both ends that the server under test talks to: a client, and a server behind it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::pair::Pair;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended before it was complete.
    pub(crate) is_cut: bool,
}

/// A server that answers as it is told, and says what it was asked.
pub(crate) struct Scripted {
    script: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Option<String>>>,
}

/// Sends a recorded request.
pub(crate) async fn ask(address: SocketAddr, pair: &Pair) -> Answer {
    ask_from(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address, pair).await
}

/// Sends a recorded request from an address of this machine.
pub(crate) async fn ask_from(client: IpAddr, address: SocketAddr, pair: &Pair) -> Answer {
    let version = if pair.is_http10() { "1.0" } else { "1.1" };
    let host = pair.url.split('/').nth(2).unwrap();
    let mut request = format!("{} {} HTTP/{version}\r\nHost: {host}\r\n", pair.method, pair.target());
    for (name, value) in &pair.request_headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    if !pair.request_headers.iter().any(|(name, _)| name == "Connection") {
        request.push_str("Connection: close\r\n");
    }
    request.push_str("\r\n");
    let answer = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(client, 0)).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(stream, &pair.method).await
    };
    timeout(Duration::from_secs(60), answer)
        .await
        .unwrap_or_else(|_| panic!("{} is answered in time", pair.name))
}

impl Answer {
    async fn read(stream: TcpStream, method: &str) -> Self {
        let mut stream = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            stream.read_until(b'\n', &mut line).await.unwrap();
            let line: String = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let first = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let pair = |line: &String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.iter().skip(1).filter_map(pair).collect();
        let mut answer = Self { status: first.unwrap_or(0), headers, body: Vec::new(), is_cut: false };
        if method != "HEAD" && !matches!(answer.status, 0 | 204 | 304) {
            answer.read_body(stream).await;
        }
        answer
    }

    async fn read_body(&mut self, mut stream: BufReader<TcpStream>) {
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let length = u64::from_str_radix(line.trim(), 16).unwrap();
                (&mut stream).take(length).read_to_end(&mut self.body).await.unwrap();
                stream.read_line(&mut line).await.unwrap();
                if length == 0 {
                    return;
                }
            }
        }
        let length = self.header("content-length").map(|length| length.parse().unwrap());
        let read = stream.take(length.unwrap_or(u64::MAX)).read_to_end(&mut self.body).await;
        self.is_cut = read.is_err() || length.is_some_and(|length| self.body.len() as u64 != length);
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(&self.body).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}

impl Scripted {
    pub(crate) fn start(listener: TcpListener) -> Self {
        let (script, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let server = Self { script: Arc::clone(&script), asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => break,
                    }
                }
                *asked.lock() = Some(String::from_utf8_lossy(&request).into_owned());
                let script = script.lock().clone();
                let _ = stream.write_all(&script).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    pub(crate) fn answer_with(&self, script: &str) {
        *self.script.lock() = script.as_bytes().to_vec();
        *self.asked.lock() = None;
    }

    pub(crate) fn asked(&self) -> Option<String> {
        self.asked.lock().take()
    }
}
