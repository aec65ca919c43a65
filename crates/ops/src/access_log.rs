//! The access log of a storage.
//!
//! ```text
//! [2026-11-22 05:21:26.015603] client_ip action filename status time_used_us req_len resp_len
//! [2026-11-22 05:21:39.042130] 127.0.0.1 upload M00/00/00/fwAA…AEA001.txt 0 4066 38 86
//! ```

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fdfs_conf::{AccessLogSettings, TimePrecision};
use jiff::Timestamp;

use crate::LogFile;

/// The access log; clones are the same. One that is off costs nothing, not even a look at the clock.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    open: Option<Arc<Open>>,
}

#[derive(Debug)]
struct Open {
    file: Arc<LogFile>,
    precision: TimePrecision,
}

/// When a request began, if anybody wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Begun(Option<(Timestamp, Instant)>);

/// What a client asked for, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// The client.
    pub client: IpAddr,
    /// The kind of request.
    pub action: AccessAction,
    /// The file.
    pub file: AccessFile<'a>,
    /// Status byte of the answer.
    pub status: u8,
    /// Bytes of the request, header included.
    pub request_len: u64,
    /// Bytes of the answer, header included.
    pub response_len: u64,
}

/// The file column.
#[derive(Clone, Copy, Debug)]
pub enum AccessFile<'a> {
    /// No name is known.
    Unknown,
    /// A name without group.
    Name(&'a str),
    /// A name, and the one it has now.
    Renamed(&'a str, &'a str),
}

/// Kinds of requests in the access log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessAction {
    /// Upload of a normal, appender or slave file.
    Upload,
    /// Download.
    Download,
    /// Deletion.
    Delete,
    /// Metadata read.
    GetMetadata,
    /// Metadata written.
    SetMetadata,
    /// Bytes of an appender file overwritten.
    Modify,
    /// Bytes added to an appender file.
    Append,
    /// Appender file cut or grown.
    Truncate,
    /// File information.
    Status,
    /// Appender file given the name of a normal one.
    Rename,
}

impl AccessLog {
    /// A log that takes no lines.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Opens the log at `path`, or none if it is not enabled.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &Path, settings: Option<&AccessLogSettings>) -> io::Result<Self> {
        let Some(settings) = settings else { return Ok(Self::off()) };
        let header = match settings.precision {
            TimePrecision::Millis => HEADER_MS,
            TimePrecision::Micros => HEADER_US,
        };
        let file = LogFile::open_with_header(path, &settings.file, header)?;
        Ok(Self { open: Some(Arc::new(Open { file, precision: settings.precision })) })
    }

    /// Whether lines are written.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// To be called when a request begins.
    #[must_use]
    pub fn begin(&self) -> Begun {
        Begun(self.open.is_some().then(|| (Timestamp::now(), Instant::now())))
    }

    /// Adds the line of a request that is answered.
    pub fn write(&self, begun: Begun, line: &AccessLine<'_>) {
        let (Some(open), Begun(Some((at, started)))) = (&self.open, begun) else { return };
        let used = started.elapsed();
        open.file.append(at, |stamp, buffer| {
            let micros = at.subsec_nanosecond() / 1000;
            let written = match open.precision {
                TimePrecision::Millis => write!(buffer, "[{stamp}.{:03}] ", micros / 1000),
                TimePrecision::Micros => write!(buffer, "[{stamp}.{micros:06}] "),
            };
            let used = match open.precision {
                TimePrecision::Millis => used.as_millis(),
                TimePrecision::Micros => used.as_micros(),
            };
            let AccessLine { client, action, file, status, request_len, response_len } = line;
            let written = written
                .and_then(|()| write!(buffer, "{client} {} ", action.name()))
                .and_then(|()| file.write(*action, buffer))
                .and_then(|()| writeln!(buffer, " {status} {used} {request_len} {response_len}"));
            written.expect("memory takes every byte");
        });
    }

    /// Writes what waits in memory.
    pub fn flush(&self) {
        if let Some(open) = &self.open {
            open.file.flush();
        }
    }
}

impl AccessFile<'_> {
    fn write(self, action: AccessAction, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Unknown | Self::Name("") => buffer.push(b'-'),
            Self::Name(name) => column(name, buffer),
            Self::Renamed(old, new) => {
                column(old, buffer);
                buffer.extend_from_slice(b"=>");
                column(new, buffer);
            }
        }
        let is_metadata = matches!(action, AccessAction::GetMetadata | AccessAction::SetMetadata);
        if is_metadata && matches!(self, Self::Name(name) if !name.is_empty()) {
            buffer.extend_from_slice(b"-m");
        }
        Ok(())
    }
}

impl AccessAction {
    /// The word in the line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Delete => "delete",
            Self::GetMetadata => "get_metadata",
            Self::SetMetadata => "set_metadata",
            Self::Modify => "modify",
            Self::Append => "append",
            Self::Truncate => "truncate",
            Self::Status => "status",
            Self::Rename => "rename",
        }
    }
}

/// Adds a name; what would end the column or the line becomes `?`.
fn column(name: &str, buffer: &mut Vec<u8>) {
    let plain = |byte: u8| if byte <= b' ' || byte == 0x7f { b'?' } else { byte };
    buffer.extend(name.bytes().map(plain));
}

const HEADER_MS: &str = ".000] client_ip action filename status time_used_ms req_len resp_len";
const HEADER_US: &str = ".000000] client_ip action filename status time_used_us req_len resp_len";

#[cfg(test)]
mod tests;
