//! `/BUCKET/key` at the front: what anybody may read by S3.

use std::net::IpAddr;
use std::pin::Pin;

use fdfs_http::Body;
use fdfs_http::front::Named;
use fdfs_s3::PublicObjects;
use futures_util::stream;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;

/// Objects that anybody may read, by their names.
pub(super) struct NamedObjects {
    pub(super) objects: PublicObjects,
    /// Whether clients come over TLS.
    pub(super) tls: bool,
}

impl Named for NamedObjects {
    fn answer<'a>(
        &'a self,
        method: &'a Method,
        path: &'a str,
        headers: &'a HeaderMap,
        client: IpAddr,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>> {
        Box::pin(async move {
            match self.objects.answer(method, path, headers, client, self.tls).await {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    let length = body.size_hint().exact();
                    let mut body = Box::pin(body);
                    let blocks = stream::poll_fn(move |cx| {
                        body.as_mut().poll_frame(cx).map(|frame| {
                            let block = frame?.map(|frame| frame.into_data().unwrap_or_default());
                            Some(block.map_err(std::io::Error::other))
                        })
                    });
                    Response::from_parts(parts, Body::pass_on(blocks, length))
                }
                Err(status) => refused(status),
            }
        })
    }
}

fn refused(status: StatusCode) -> Response<Body> {
    let mut response =
        Response::new(Body::text(format!("{}\n", status.canonical_reason().unwrap_or("refused"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}
