//! Where a payload's bytes come from, shared so that what a refusal left unread can be drained.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::error::{ErrorCode, S3Error};

/// The body of a request. Clones read the same body.
#[derive(Debug)]
pub(crate) struct BodySource<B = Incoming> {
    shared: Arc<Mutex<Shared<B>>>,
    read_timeout: Duration,
}

#[derive(Debug)]
struct Shared<B> {
    /// Absent where a request has none.
    body: Option<B>,
    /// Somebody asked for data: a client that waits for `100 Continue` has been told to go on.
    asked: bool,
    failed: bool,
    /// Bytes that came.
    received: u64,
}

impl<B> Clone for BodySource<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), read_timeout: self.read_timeout }
    }
}

impl<B> BodySource<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Reads `body`, and gives up when nothing comes for `read_timeout`.
    pub(crate) fn new(body: B, read_timeout: Duration) -> Self {
        Self::of(Some(body), read_timeout)
    }

    /// Nothing to read.
    pub(crate) fn nothing() -> Self {
        Self::of(None, Duration::ZERO)
    }

    fn of(body: Option<B>, read_timeout: Duration) -> Self {
        let shared = Shared { body, asked: false, failed: false, received: 0 };
        Self { shared: Arc::new(Mutex::new(shared)), read_timeout }
    }

    /// The length of the body on the wire, where it is known.
    pub(crate) fn exact_length(&self) -> Option<u64> {
        self.shared.lock().body.as_ref().map_or(Some(0), |body| body.size_hint().exact())
    }

    /// Whether somebody began to read.
    pub(crate) fn asked(&self) -> bool {
        self.shared.lock().asked
    }

    /// Bytes that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.shared.lock().received
    }

    /// Whether nothing is left to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.lock().body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// The next bytes that arrive.
    pub(crate) async fn next(&self) -> Result<Option<Bytes>, S3Error> {
        match timeout(self.read_timeout, self.frame()).await {
            Ok(frame) => frame,
            Err(_) => {
                self.shared.lock().failed = true;
                Err(ErrorCode::RequestTimeout.into())
            }
        }
    }

    /// Reads and drops what is left; whether it came to the end within the bounds.
    pub(crate) async fn drain(&self, max_bytes: u64, max_wait: Duration) -> bool {
        let drain = async {
            let mut drained = 0;
            while drained <= max_bytes {
                match self.frame().await {
                    Ok(Some(bytes)) => drained += bytes.len() as u64,
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
            false
        };
        let hopeless = {
            let shared = self.shared.lock();
            shared.failed || shared.body.as_ref().is_some_and(|body| body.size_hint().lower() > max_bytes)
        };
        !hopeless && timeout(max_wait, drain).await.unwrap_or(false)
    }

    async fn frame(&self) -> Result<Option<Bytes>, S3Error> {
        poll_fn(|cx| {
            let mut shared = self.shared.lock();
            shared.asked = true;
            loop {
                let Some(body) = &mut shared.body else { return Ok(None).into() };
                let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                    return Ok(None).into();
                };
                match frame.map(http_body::Frame::into_data) {
                    Ok(Ok(data)) if data.is_empty() => {}
                    Ok(Ok(data)) => {
                        shared.received += data.len() as u64;
                        return Ok(Some(data)).into();
                    }
                    // Trailers of HTTP itself: S3 sends its own within the body.
                    Ok(Err(_)) => {}
                    Err(_) => {
                        shared.failed = true;
                        return Err(ErrorCode::IncompleteBody.into()).into();
                    }
                }
            }
        })
        .await
    }
}
