//! One request, from its head to its answer.

mod website;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fdfs_net::Tls;
use fdfs_objects::access::Network;
use http::header::{CONNECTION, EXPECT, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tracing::{Instrument as _, debug, info_span, warn};

use crate::access::Access;
use crate::body::ResponseBody;
use crate::config::Config;
use crate::context::Context;
use crate::cors;
use crate::credentials::Identity;
use crate::error::{ErrorCode, S3Error};
use crate::ops;
use crate::payload::{BodySource, Payload};
use crate::peer::Peer;
use crate::request::Request;
use crate::respond;
use crate::route::Operation;
use crate::signature::{OtherHosts, PayloadMode, SignedHead, Signer, Verifier};
use crate::slow::{self, First, Work};
use crate::sts;
use crate::tally::Answered;
use crate::target::{Target, bucket_of_host};
use crate::unsupported::{refuse_unsupported, with_presigned};
use crate::uri::Query;

/// A response.
pub(crate) type Response = http::Response<ResponseBody>;

/// Answers requests.
#[derive(Debug)]
pub(crate) struct S3Service {
    context: Context,
    verifier: Verifier,
    trusted_proxies: Arc<[Network]>,
    tls: Option<Tls>,
}

impl S3Service {
    /// Answers out of `context`.
    pub(crate) fn new(context: Context) -> std::io::Result<Self> {
        let trusted_proxies = context.config.trusted_proxies.clone().into();
        let tls = context.config.tls.clone().map(|files| Tls::read(files, &["http/1.1"])).transpose()?;
        Ok(Self { context, verifier: Verifier::default(), trusted_proxies, tls })
    }

    /// What encrypts connections, where they are.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Networks of proxies that are believed.
    pub(crate) fn trusted_proxies(&self) -> Arc<[Network]> {
        Arc::clone(&self.trusted_proxies)
    }

    /// How the server was started.
    pub(crate) fn config(&self) -> &Config {
        &self.context.config
    }

    /// Answers one request, whatever it is.
    pub(crate) async fn answer(self: &Arc<Self>, request: http::Request<Incoming>, peer: &Peer) -> Response {
        let (now, started) = (SystemTime::now(), Instant::now());
        let request_id = format!("{:016X}", fastrand::u64(..));
        let (mut parts, body) = request.into_parts();
        let source = BodySource::new(body, self.config().transfer_timeout);
        let mut operation = "Unknown";
        let waits = waits(&parts);
        if waits && source.is_empty() {
            peer.go_ahead.owe();
        }
        let asks = parts.headers.contains_key(ORIGIN) && parts.method != Method::OPTIONS;
        let asked = asks.then(|| (self.bucket_of(&parts), parts.headers.clone()));

        let span = info_span!("s3", method = %parts.method, path = parts.uri.path(), request_id);
        let mut response = if let Some(bucket) = self.website_of(&parts) {
            operation = "Website";
            self.show(&parts, &source, peer, now, &bucket).instrument(span).await
        } else if may_take_long(&parts) {
            self.answer_patiently(&parts, &source, peer, now, &request_id, &mut operation)
                .instrument(span)
                .await
        } else {
            let answered =
                self.try_answer(&mut parts, &source, peer, now, &mut operation).instrument(span).await;
            answered.unwrap_or_else(|error| match operation {
                TOKENS => sts::refusal(&error, &request_id),
                _ => refuse(&error, &parts, &request_id),
            })
        };
        if let Some((Some(bucket), asked)) = asked {
            cors::decorate(&self.context, &bucket, &parts.method, &asked, response.headers_mut()).await;
        }
        if !settle(waits, &source).await {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-id-2", value.clone());
            response.headers_mut().insert("x-amz-request-id", value);
        }
        response.body_mut().send_files_through(peer.outgoing.as_ref());
        let answered = Answered {
            operation,
            status: response.status(),
            elapsed: started.elapsed(),
            received: source.received(),
            sent: response.body().size_hint().exact().unwrap_or_default(),
        };
        answered.count();
        response
    }

    /// Answers a request that may take long: after a while with a head, and with the outcome in the body, be it an error.
    async fn answer_patiently(
        self: &Arc<Self>,
        parts: &Parts,
        source: &BodySource,
        peer: &Peer,
        now: SystemTime,
        request_id: &str,
        name: &mut &'static str,
    ) -> Response {
        let work: Work<_> = {
            let (this, mut parts, source, peer) =
                (Arc::clone(self), parts.clone(), source.clone(), peer.clone());
            Box::pin(async move {
                let mut name = "Unknown";
                let answered = this.try_answer(&mut parts, &source, &peer, now, &mut name).await;
                (answered, name)
            })
        };
        let interval = self.config().sign_of_life;
        match slow::first(work, interval).await {
            First::Done((answered, done)) => {
                *name = done;
                answered.unwrap_or_else(|error| refuse(&error, parts, request_id))
            }
            // What its body has not brought yet is better refused with a status.
            First::Still(work) if !source.is_empty() => {
                let (answered, done) = work.await;
                *name = done;
                answered.unwrap_or_else(|error| refuse(&error, parts, request_id))
            }
            First::Still(work) => {
                let (parts, request_id) = (parts.clone(), request_id.to_owned());
                let body = slow::body(work, interval, move |(answered, _)| {
                    let response = answered.unwrap_or_else(|error| refuse(&error, &parts, &request_id));
                    response.into_body().into_bytes()
                });
                let mut response = http::Response::new(body);
                response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
                response
            }
        }
    }

    /// The bucket that a request is about, by S3 or as a visitor of its website.
    fn bucket_of(&self, parts: &Parts) -> Option<String> {
        let of_target = || self.target(parts).ok()?.bucket().map(str::to_owned);
        self.website_of(parts).or_else(of_target)
    }

    fn target(&self, parts: &Parts) -> Result<Target, S3Error> {
        Target::parse(parts.uri.path(), host_of(parts), self.config().virtual_host_suffix.as_deref())
    }

    /// Answers a request; takes its headers on the way.
    async fn try_answer(
        &self,
        parts: &mut Parts,
        source: &BodySource,
        peer: &Peer,
        now: SystemTime,
        name: &mut &'static str,
    ) -> Result<Response, S3Error> {
        let config = self.config();
        let host = host_of(parts);
        let path = parts.uri.path();
        let target = self.target(parts)?;
        if parts.method == Method::OPTIONS {
            *name = "Preflight";
            return cors::preflight(&self.context, target.bucket(), &parts.headers).await;
        }
        let raw_query = parts.uri.query().unwrap_or_default();
        let query = Query::parse(raw_query)?;
        let operation = Operation::of(&parts.method, &target, &query, &parts.headers);
        if let Ok(operation) = &operation {
            *name = operation.name();
        }

        let suffix = config.virtual_host_suffix.as_deref();
        let host_bucket = suffix.and_then(|suffix| bucket_of_host(host, suffix));
        let head = SignedHead {
            method: &parts.method,
            path,
            raw_query,
            query: &query,
            headers: &parts.headers,
            host_bucket: host_bucket.as_deref(),
            other_hosts: OtherHosts { suffix, bucket: host_bucket.as_deref() },
        };
        if sts::is_meant(parts, &target) {
            *name = TOKENS;
            return self.answer_for_tokens(head, source, now).await;
        }
        let signer = match head.access_key_id() {
            Some(_) => self.verifier.verify(head, &self.identity(&head, now).await?, now)?,
            None => Signer::anonymous(&head)?,
        };
        let operation = operation?;
        let headers = with_presigned(std::mem::take(&mut parts.headers), &query)?;
        refuse_unsupported(&headers)?;
        let access = Access::new(signer.caller, peer, &headers, &query, now);
        access.authorize(&self.context, operation, &target, &query, &headers).await?;
        // A checksum in the head of Complete is the object's, not the document's.
        let payload = match operation {
            Operation::CompleteMultipartUpload => {
                Payload::without_checksum(source.clone(), signer.payload, &headers)?
            }
            _ => Payload::new(source.clone(), signer.payload, &headers)?,
        };
        debug!(operation = operation.name(), caller = ?access.caller(), "may be done");
        let request = Request::new(target.clone(), query, headers, payload, signer.region, access.clone());
        let outcome = ops::run(operation, &self.context, request).await;
        self.hide_missing(outcome, &access, &target).await
    }

    /// Answers a request to the token service, of which only the body can tell whether it was signed.
    async fn answer_for_tokens(
        &self,
        head: SignedHead<'_>,
        source: &BodySource,
        now: SystemTime,
    ) -> Result<Response, S3Error> {
        let identity = self.identity(&head, now).await?;
        let body = Payload::new(source.clone(), PayloadMode::Unsigned, head.headers)?;
        let body = body.read_all(MAX_FORM).await?;
        let identity = self.verifier.verify_for_tokens(head, &body, &identity, now)?;
        sts::answer(&body, &identity, head.session_token().is_some(), now)
    }

    /// Whose access key the head names.
    async fn identity(
        &self,
        head: &SignedHead<'_>,
        now: SystemTime,
    ) -> Result<Option<Arc<Identity>>, S3Error> {
        let id = head.access_key_id().unwrap_or_default();
        self.context.identity(id, head.session_token(), now).await
    }

    /// Who may not list a bucket is not told which keys it has not.
    async fn hide_missing(
        &self,
        outcome: Result<Response, S3Error>,
        access: &Access,
        target: &Target,
    ) -> Result<Response, S3Error> {
        if let (Err(error), Some(bucket)) = (&outcome, target.bucket())
            && matches!(error.code(), ErrorCode::NoSuchKey | ErrorCode::NoSuchVersion)
            && !access.in_bucket(&self.context, bucket).await?.may_list()
        {
            return Err(ErrorCode::AccessDenied.into());
        }
        outcome
    }
}

/// Whether a request asks for a copy or the completion of an upload.
fn may_take_long(parts: &Parts) -> bool {
    let completes =
        parts.method == Method::POST && parts.uri.query().is_some_and(|query| query.contains("uploadId="));
    completes || parts.headers.contains_key("x-amz-copy-source")
}

/// Deals with what was left unread; whether the connection can go on.
///
/// A client that waits for `100 Continue` and gets an answer instead may send its body or may not:
/// nobody can tell, so the connection ends. A body on its way is read and dropped, within bounds.
async fn settle(waits: bool, source: &BodySource) -> bool {
    if source.is_empty() {
        return true;
    }
    if waits && !source.asked() {
        return false;
    }
    source.drain(DRAIN_BYTES, DRAIN_TIME).await
}

/// Whether the client waits to be told to go on.
fn waits(parts: &Parts) -> bool {
    let is_asked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    parts.version == Version::HTTP_11 && parts.headers.get(EXPECT).is_some_and(is_asked)
}

fn refuse(error: &S3Error, parts: &Parts, request_id: &str) -> Response {
    let status = error.status();
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        let (path, cause) = (parts.uri.path(), error.cause().unwrap_or("none"));
        warn!(request_id, method = %parts.method, key = path, %error, cause, "request failed");
    } else {
        debug!(request_id, %error, "request refused");
    }
    let mut response = http::Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    for (name, value) in error.headers() {
        respond::set(response.headers_mut(), name, value);
    }
    if parts.method != Method::HEAD && status != StatusCode::NOT_MODIFIED {
        *response.body_mut() = error.to_xml(parts.uri.path(), request_id).into();
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    }
    response
}

/// The host a request is for: of an absolute URI, else of the header.
fn host_of(parts: &Parts) -> &str {
    let header = || parts.headers.get("host").and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(header).unwrap_or_default()
}

/// What metrics call requests to the token service.
const TOKENS: &str = "TokenService";
/// Longest body of a request to the token service.
const MAX_FORM: usize = 16 * 1024;
/// How much of an unread body is read and dropped to keep a connection.
const DRAIN_BYTES: u64 = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);
