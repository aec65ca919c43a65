//! Answers requests for native paths.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use fdfs_conf::ResponseMode;
use fdfs_types::{FileId, GroupName, Timestamp};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use metrics::Counter;
use tracing::debug;

use crate::pass_on::{PassOnError, pass_on};
use crate::redirect::{marked, redirect};
use crate::respond::{serve, unchanged};
use crate::{Body, Connection, Handler, Picture, Refusal, Settings, Source, SourceError, Target};

/// Answers requests for native paths from a source of files.
pub struct NativePaths<S> {
    source: Arc<S>,
    settings: Arc<Settings>,
    own_group: Option<GroupName>,
    clock: Clock,
    served: OnceLock<Counter>,
}

/// Tells the time by which tokens are judged.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl<S: Source> NativePaths<S> {
    /// Serves the files of `source`; `own_group` is the group of paths without one, as on a storage.
    pub fn new(source: Arc<S>, settings: Arc<Settings>, own_group: Option<GroupName>) -> Self {
        Self {
            source,
            settings,
            own_group,
            clock: Arc::new(|| SystemTime::now().into()),
            served: OnceLock::new(),
        }
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Answers a request that came to the port `port` of this host.
    pub async fn respond<B: Sync>(&self, request: &Request<B>, port: u16) -> Response<Body> {
        let result = match self.allowed(request) {
            Ok(target) => self.found(&target, request, port).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = result.unwrap_or_else(|refusal| self.refused(request, &refusal));
        self.count(response.status());
        if request.method() == Method::HEAD {
            let bodiless = matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
            if let Some(length) = response.body().length().filter(|_| !bodiless)
                && !response.headers().contains_key(CONTENT_LENGTH)
            {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = Body::empty();
        }
        response
    }

    fn count(&self, status: StatusCode) {
        let counter = |status: StatusCode| metrics::counter!("fdfs_http_responses_total", "status" => status.as_str().to_owned());
        match status {
            // Nearly all: it is looked up once.
            StatusCode::OK => self.served.get_or_init(|| counter(status)).increment(1),
            status => counter(status).increment(1),
        }
    }

    /// The target of a request that may have what it asks for.
    fn allowed<B>(&self, request: &Request<B>) -> Result<Target, Refusal> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        let uri = request.uri();
        if uri.path().len() + uri.query().map_or(0, str::len) > MAX_TARGET {
            return Err(Refusal::TargetTooLong);
        }
        let target = Target::parse(uri.path(), uri.query(), self.settings.url_form)?;
        if let Some(token) = &self.settings.token {
            token.check(target.name(), &target.query, request.headers(), (self.clock)())?;
        }
        Ok(target)
    }

    async fn found<B: Sync>(
        &self,
        target: &Target,
        request: &Request<B>,
        port: u16,
    ) -> Result<Response<Body>, Refusal> {
        let id = target.file_id(self.own_group)?;
        if !self.settings.expose_metadata && id.filename.as_str().ends_with("-m") {
            return Err(Refusal::Metadata);
        }
        let query = request.uri().query();
        let is_redirected = self.settings.response_mode == ResponseMode::Redirect && !target.query.redirect;
        match self.source.open(&id).await {
            Ok(content) => match content.holder.filter(|_| is_redirected) {
                Some(holder) => Ok(unchanged(&id, request.headers(), &content)
                    .unwrap_or_else(|| redirect(target, query, holder, port))),
                None => serve(&self.settings, &id, &target.query, request.headers(), content),
            },
            // Whoever accepted it may be an original one, which tells nobody by the storage protocol.
            Err(SourceError::NotFound | SourceError::Unavailable) if is_redirected => {
                let member = self.source.members(&id).await.first().copied();
                let to = |member| redirect(target, query, member, port);
                member.map(to).ok_or(Refusal::Source(SourceError::NotFound))
            }
            Err(SourceError::Unavailable) if !target.query.redirect => {
                // Seldom, and much larger than the rest.
                Box::pin(self.passed_on(&id, request, port)).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the members over HTTP, one after the other: the first that has the file answers.
    async fn passed_on<B: Sync>(
        &self,
        id: &FileId,
        request: &Request<B>,
        port: u16,
    ) -> Result<Response<Body>, Refusal> {
        let mut last = Err(Refusal::Source(SourceError::Unavailable));
        let mut is_one_away = false;
        for member in self.source.members(id).await {
            let result = pass_on(request, SocketAddr::new(member, port)).await;
            count(member, result.as_ref());
            last = match result {
                Ok(answer) if answer.headers().contains_key("x-accel-redirect") => {
                    let path = answer.headers().get("x-accel-redirect").and_then(|path| path.to_str().ok());
                    let path = path.unwrap_or_default().to_owned();
                    drop(answer);
                    return self.redirected_within(&path, request, port).await;
                }
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                    last.or(Err(Refusal::Source(SourceError::NotFound)))
                }
                Ok(answer) if answer.status().is_client_error() || answer.status().is_server_error() => {
                    Ok(answer)
                }
                Ok(answer) => return Ok(answer),
                // Who is not there cannot have said more than the storage protocol did.
                Err(PassOnError::Broken(error)) if is_refused(&*error) => {
                    is_one_away = true;
                    last
                }
                Err(error) => last.or(Err(Refusal::PassOn(error))),
            };
        }
        match last {
            // What some do not have, the one that is away may have.
            Err(Refusal::Source(SourceError::NotFound)) if is_one_away => {
                Err(Refusal::Source(SourceError::Unavailable))
            }
            last => last,
        }
    }

    /// A server behind this one names the path that is to be served instead.
    async fn redirected_within<B: Sync>(
        &self,
        path: &str,
        request: &Request<B>,
        port: u16,
    ) -> Result<Response<Body>, Refusal> {
        let mut within = Request::new(());
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        *within.uri_mut() = format!("{path}{}", marked(query)).parse().unwrap_or_default();
        *within.headers_mut() = request.headers().clone();
        let target = self.allowed(&within)?;
        Box::pin(self.found(&target, &within, port)).await
    }

    fn refused<B>(&self, request: &Request<B>, refusal: &Refusal) -> Response<Body> {
        debug!(path = request.uri().path(), error = %refusal, "request refused");
        metrics::counter!("fdfs_http_refusals_total", "reason" => refusal.reason()).increment(1);
        match (refusal, &self.settings.picture) {
            (Refusal::Token(error), Some(picture)) if *error != crate::TokenError::Missing => shown(picture),
            _ => refusal.to_response(),
        }
    }
}

impl<S: Source> Handler for NativePaths<S> {
    async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Body> {
        self.respond(&request, connection.local.port()).await
    }
}

/// What those get who may not have the file.
fn shown(picture: &Picture) -> Response<Body> {
    let mut response = Response::new(Body::text(picture.bytes.clone()));
    response.headers_mut().insert(CONTENT_TYPE, picture.media_type.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn count(member: IpAddr, result: Result<&Response<Body>, &PassOnError>) {
    let outcome = match result {
        Ok(answer) if answer.status().is_success() => "found",
        Ok(_) => "refused",
        Err(_) => "failed",
    };
    debug!(%member, outcome, "request passed on over HTTP");
    metrics::counter!("fdfs_http_passed_on_total", "result" => outcome).increment(1);
}

fn is_refused(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::ConnectionRefused)
}

/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
