//! Buckets shown as websites, under hosts `BUCKET.suffix`: nobody signs, and errors are pages.

use std::time::SystemTime;

use fdfs_objects::access::Caller;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{Response, S3Service, host_of};
use crate::access::Access;
use crate::body::ResponseBody;
use crate::cors;
use crate::error::{ErrorCode, S3Error};
use crate::ops;
use crate::payload::{BodySource, Payload};
use crate::peer::Peer;
use crate::request::Request;
use crate::respond;
use crate::route::Operation;
use crate::signature::PayloadMode;
use crate::target::{Target, bucket_of_host, check_key};
use crate::uri::{self, Query};
use crate::website::{Redirect, Website};

impl S3Service {
    /// The bucket whose website a request is for.
    pub(super) fn website_of(&self, parts: &Parts) -> Option<String> {
        let suffix = self.config().website_suffix.as_deref()?;
        bucket_of_host(host_of(parts), suffix)
    }

    /// Shows a page of a bucket's website, or sends the visitor on.
    pub(super) async fn show(
        &self,
        parts: &Parts,
        source: &BodySource,
        peer: &Peer,
        now: SystemTime,
        bucket: &str,
    ) -> Response {
        let visit = Visit { service: self, parts, source, peer, now, bucket };
        visit.answer().await.unwrap_or_else(|error| page_of(&error))
    }
}

impl S3Service {
    /// Answers a request for an object from somebody who did not sign.
    pub(crate) async fn answer_anybody(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        peer: &Peer,
        now: SystemTime,
    ) -> Result<Response, S3Error> {
        if *method != Method::GET && *method != Method::HEAD {
            return Err(ErrorCode::MethodNotAllowed.into());
        }
        let target = Target::parse(path, "", None)?;
        let Target::Object { bucket, key } = &target else {
            return Err(ErrorCode::AccessDenied.into());
        };
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method.clone();
        let source = BodySource::nothing();
        let visit = Visit { service: self, parts: &parts, source: &source, peer, now, bucket };
        visit.object(key, headers).await
    }
}

/// One request for a page.
struct Visit<'a> {
    service: &'a S3Service,
    parts: &'a Parts,
    source: &'a BodySource,
    peer: &'a Peer,
    now: SystemTime,
    bucket: &'a str,
}

impl Visit<'_> {
    async fn answer(&self) -> Result<Response, S3Error> {
        if self.parts.method == Method::OPTIONS {
            return cors::preflight(&self.service.context, Some(self.bucket), &self.parts.headers).await;
        }
        if self.parts.method != Method::GET && self.parts.method != Method::HEAD {
            return Err(ErrorCode::MethodNotAllowed.into());
        }
        let cx = &self.service.context;
        let bucket = cx.bucket(self.bucket).await?;
        let settings = cx.objects.bucket_settings(&bucket).await?;
        let missing =
            || S3Error::from(ErrorCode::NoSuchWebsiteConfiguration).detail("BucketName", self.bucket);
        let website = Website::parse(settings.get("website").ok_or_else(missing)?)?;
        let path = self.parts.uri.path();
        let key = uri::decode(path.strip_prefix('/').unwrap_or(path))?;
        let scheme = if self.peer.is_secure(&self.parts.headers) { "https" } else { "http" };
        let host = host_of(self.parts);
        if let Some(redirect) = website.redirect(&key, scheme, host) {
            return Ok(send_on(&redirect));
        }
        let document = match key.is_empty() || key.ends_with('/') {
            true => format!("{key}{}", website.index),
            false => key.clone(),
        };
        let error = match self.object(&document, &self.parts.headers).await {
            Ok(response) => match response.headers().get("x-amz-website-redirect-location") {
                Some(location) => {
                    let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
                    return Ok(send_on(&Redirect { status: 301, location }));
                }
                None => return Ok(response),
            },
            Err(error) => error,
        };
        // What is a directory with an index is shown with its slash, so that relative links lead there.
        let index = format!("{key}/{}", website.index);
        if document == key
            && error.status().is_client_error()
            && self.object(&index, &HeaderMap::new()).await.is_ok()
        {
            let location = format!("/{}/", uri::encode_path(key.as_bytes()));
            return Ok(send_on(&Redirect { status: 302, location }));
        }
        let status = error.status();
        if let Some(redirect) = website.redirect_of_error(&key, status.as_u16(), scheme, host) {
            return Ok(send_on(&redirect));
        }
        if let Some(key) = website.error.as_deref().filter(|_| status.is_client_error())
            && let Ok(mut page) = self.object(key, &HeaderMap::new()).await
        {
            *page.status_mut() = status;
            return Ok(page);
        }
        Err(error)
    }

    /// An object that anybody may read.
    async fn object(&self, key: &str, headers: &HeaderMap) -> Result<Response, S3Error> {
        check_key(key)?;
        let cx = &self.service.context;
        let operation =
            if self.parts.method == Method::HEAD { Operation::HeadObject } else { Operation::GetObject };
        let target = Target::Object { bucket: self.bucket.to_owned(), key: key.to_owned() };
        let query = Query::default();
        let access = Access::new(Caller::Anonymous, self.peer, &self.parts.headers, &query, self.now);
        access.authorize(cx, operation, &target, &query, headers).await?;
        let payload = Payload::new(self.source.clone(), PayloadMode::Unsigned, &HeaderMap::new())?;
        let request =
            Request::new(target.clone(), query, headers.clone(), payload, String::new(), access.clone());
        let outcome = ops::run(operation, cx, request).await;
        self.service.hide_missing(outcome, &access, &target).await
    }
}

fn send_on(redirect: &Redirect) -> Response {
    let mut response = respond::empty(StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND));
    respond::set(response.headers_mut(), "location", &redirect.location);
    response
}

/// A page that says what went wrong. It names nothing that the visitor said, so there is nothing to escape.
fn page_of(error: &S3Error) -> Response {
    let (status, code) = (error.status(), error.code());
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n<li>Code: {}</li>\n<li>Message: {}</li>\n</ul>\n</body>\n</html>\n",
        code.as_str(),
        code.message()
    );
    let mut response = Response::new(ResponseBody::from(page));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
