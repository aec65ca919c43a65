//! Passing a request on to another member over HTTP, as nginx with the FastDFS module does.
//!
//! This is the last resort: files of other members are read by the storage protocol. It reaches a host whose storage is
//! down and whose nginx still serves. The request is marked, so that it is not passed on again, and only members of the
//! cluster are ever asked.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, HeaderName, SERVER, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, timeout};

use crate::Body;
use crate::redirect::marked;

/// Why another member gives no answer.
#[derive(Debug, Error)]
pub enum PassOnError {
    /// Nobody listens there, or the answer is no HTTP.
    #[error("the member does not answer in HTTP")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer came in time.
    #[error("the member does not answer in time")]
    Late,
}

/// Asks `member`; the body of its answer is read as it is passed on.
pub(crate) async fn pass_on<B>(
    request: &Request<B>,
    member: SocketAddr,
) -> Result<Response<Body>, PassOnError> {
    let stream = timeout(CONNECT, fdfs_net::connect(member, None)).await.map_err(|_| PassOnError::Late)?;
    let stream = stream.map_err(broken)?;
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let (mut sender, connection) =
        builder.handshake::<_, String>(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = Conversation(tokio::spawn(async move {
        // Its error is told to who reads the answer.
        let _ = connection.await;
    }));
    let answer = timeout(FIRST_BYTE, sender.send_request(asked(request))).await;
    let answer = answer.map_err(|_| PassOnError::Late)?.map_err(broken)?;
    if length_of(answer.headers()) > MAX_HEADERS {
        return Err(broken("its headers are too long"));
    }
    Ok(given(answer, connection, request.method()))
}

/// The request as it goes to the member.
fn asked<B>(request: &Request<B>) -> Request<String> {
    let uri = request.uri();
    let target = format!("{}{}", uri.path(), marked(uri.query()));
    let mut asked = Request::new(String::new());
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = target.parse().unwrap_or_default();
    *asked.headers_mut() = request.headers().clone();
    for name in OF_ONE_HOP.iter().chain(&[CONTENT_LENGTH, EXPECT]) {
        asked.headers_mut().remove(name);
    }
    if !asked.headers().contains_key(HOST) {
        asked.headers_mut().insert(HOST, http::HeaderValue::from_static("localhost"));
    }
    asked
}

/// The answer as it goes to the client.
fn given(answer: Response<Incoming>, connection: Conversation, method: &Method) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    for name in OF_ONE_HOP.iter().chain(&[DATE, SERVER]) {
        parts.headers.remove(name);
    }
    let own: Vec<_> = parts.headers.keys().filter(|name| is_for_nginx(name)).cloned().collect();
    for name in own {
        parts.headers.remove(name);
    }
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    let bodiless =
        method == Method::HEAD || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless {
        Body::empty()
    } else {
        let length = body.size_hint().exact();
        Body::pass_on(
            Blocks { body, patience: Box::pin(tokio::time::sleep(BETWEEN)), _connection: connection },
            length,
        )
    };
    Response::from_parts(parts, body)
}

/// Headers by which a server behind nginx tells nginx what to do.
fn is_for_nginx(name: &HeaderName) -> bool {
    name == "x-pad" || (name.as_str().starts_with("x-accel-") && name != "x-accel-redirect")
}

fn length_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PassOnError {
    PassOnError::Broken(error.into())
}

/// Drives a connection until it is dropped.
struct Conversation(JoinHandle<()>);

/// The body of an answer; each block comes in time.
struct Blocks {
    body: Incoming,
    patience: Pin<Box<Sleep>>,
    _connection: Conversation,
}

impl Stream for Blocks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.patience.as_mut().poll(cx));
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            };
            self.patience.as_mut().reset(Instant::now() + BETWEEN);
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                // Trailers say nothing about a file.
                Some(Ok(frame)) => {
                    if let Ok(block) = frame.into_data() {
                        return Poll::Ready(Some(Ok(block)));
                    }
                }
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Headers that concern one connection.
static OF_ONE_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

const CONNECT: Duration = Duration::from_secs(1);
const FIRST_BYTE: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 8 * 1024;
/// As much as nginx takes from a server behind it.
const MAX_HEADERS: usize = 4 * 1024;
