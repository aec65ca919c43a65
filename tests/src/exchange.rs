//! One connection on which bytes are sent and answers are read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What a server answered to one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// A frame.
    Frame {
        /// The command byte, 100 in every answer.
        command: u8,
        /// 0, or the number of an error.
        status: u8,
        /// The body.
        body: Vec<u8>,
    },
    /// The connection was closed without a byte.
    Closed,
}

/// A raw connection to a daemon.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// Connects; reading and writing have a deadline from then on.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&address, LIMIT).with_context(|| format!("connect to {address}"))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a frame and reads its answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks or nothing comes in time.
    pub fn call(&mut self, command: u8, body: &[u8]) -> Result<Answer> {
        self.send(&frame(command, 0, body))?;
        self.read_answer()
    }

    /// Sends bytes as they are. A server that closes instead of reading them is no error here.
    ///
    /// # Errors
    ///
    /// When the server neither reads nor closes in time.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.0.write_all(bytes) {
            Err(error) if is_closed(error.kind()) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Reads one answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks in the middle of an answer or nothing comes in time.
    pub fn read_answer(&mut self) -> Result<Answer> {
        let mut header = [0; HEADER_LEN];
        match self.0.read(&mut header) {
            Ok(0) => return Ok(Answer::Closed),
            Err(error) if is_closed(error.kind()) => return Ok(Answer::Closed),
            Err(error) => return Err(error).context("waiting for an answer"),
            Ok(count) => self.0.read_exact(&mut header[count..]).context("reading a header")?,
        }
        let [length @ .., command, status] = header;
        let length = u64::from_be_bytes(length);
        if length > MAX_BODY {
            bail!("an answer of {length} bytes");
        }
        let mut body = Vec::new();
        (&mut self.0).take(length).read_to_end(&mut body).context("reading a body")?;
        if body.len() as u64 != length {
            bail!("an answer of {length} bytes ended after {}", body.len());
        }
        Ok(Answer::Frame { command, status, body })
    }

    /// Whether the server closes the connection, having nothing more to say.
    ///
    /// A server that is expected to keep it must answer an ACTIVE_TEST; one that is expected to close it has
    /// some time for that.
    ///
    /// # Errors
    ///
    /// When it does something else.
    pub fn is_closed(mut self, expected: bool) -> Result<bool> {
        if expected {
            self.0.set_read_timeout(Some(CLOSE_LIMIT))?;
            return match self.0.read(&mut [0]) {
                Ok(0) => Ok(true),
                Ok(_) => bail!("more than one answer"),
                Err(error) if is_closed(error.kind()) => Ok(true),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Ok(false)
                }
                Err(error) => Err(error.into()),
            };
        }
        match self.call(ACTIVE_TEST, b"")? {
            Answer::Closed => Ok(true),
            Answer::Frame { command: RESPONSE, status: 0, body } if body.is_empty() => Ok(false),
            other => bail!("more than one answer: {other:?}"),
        }
    }
}

/// The bytes of a request.
pub(crate) fn frame(command: u8, status: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u64).to_be_bytes().to_vec();
    bytes.extend([command, status]);
    bytes.extend(body);
    bytes
}

/// Whether an error of reading or writing means that the peer has closed.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

/// How long connecting, reading and writing may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a server may take to close a connection it has refused.
const CLOSE_LIMIT: Duration = Duration::from_secs(20);
const HEADER_LEN: usize = 10;
/// Command byte of every answer.
const RESPONSE: u8 = 100;
/// "Are you there?"
const ACTIVE_TEST: u8 = 111;
/// No test asks for more.
const MAX_BODY: u64 = 64 << 20;
