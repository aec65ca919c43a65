//! One line for each request that the front has answered.
//!
//! ```text
//! [2026-11-22 05:21:26.015] 192.0.2.7 GET /group1/M00/00/00/fwAA….jpg?x=1 200 5000 0.412 0.207 HIT - 5f1c09a2b7d3e864
//!                           client    method target           status bytes ms  ms to the head  cache  storages  request ID
//! ```
//!
//! Storages are those that were asked for this request, each with what came of it and how many milliseconds it took
//! (`127.0.0.2:23000=refused/0.112,127.0.0.3:23000=ok/0.409`); `-` where none was, or another request asked for the same.
//! The client is the one that a trusted proxy names; bytes are those that left; an answer that broke off has fewer than it
//! announced. The request ID is the one of `X-Request-Id`, or one of our own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_client::Trail;
use fdfs_ops::LogFile;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;

/// What is known of a request when it comes.
pub(super) struct Begun {
    file: Arc<LogFile>,
    at: Timestamp,
    started: Instant,
    line: String,
    request_id: String,
    trail: Trail,
}

impl Begun {
    pub(super) fn new(
        file: &Arc<LogFile>,
        client: IpAddr,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Self {
        let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let is_word = |id: &&str| {
            (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        };
        let request_id =
            given.filter(is_word).map_or_else(|| format!("{:016x}", fastrand::u64(..)), str::to_owned);
        // A request target has neither blanks nor line ends; an absolute one is told by its path.
        let target = uri.path_and_query().map_or(uri.path(), |target| target.as_str());
        let line = format!("{client} {method} {target}");
        Self {
            file: Arc::clone(file),
            at: Timestamp::now(),
            started: Instant::now(),
            line,
            request_id,
            trail: Trail::default(),
        }
    }

    /// The ID that the answer tells.
    pub(super) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Where storages that are asked for the request are noted.
    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The head of the answer is known: the line is written when its body has left.
    pub(super) fn answered(mut self, status: u16, cache: &'static str) -> impl FnOnce(u64) + Send + use<> {
        let head = self.started.elapsed();
        move |bytes| {
            let (whole, head) = (millis(self.started.elapsed()), millis(head));
            let written = write!(
                self.line,
                " {status} {bytes} {whole:.3} {head:.3} {cache} {} {}",
                self.trail, self.request_id
            );
            let line = self.line;
            let subsecond = self.at.subsec_nanosecond() / 1_000_000;
            self.file.append(self.at, |stamp, buffer| {
                let written = written.map_err(std::io::Error::other);
                let written = written.and_then(|()| writeln!(buffer, "[{stamp}.{subsecond:03}] {line}"));
                written.expect("memory takes every byte");
            });
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
