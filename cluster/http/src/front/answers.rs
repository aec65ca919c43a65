//! Answering requests at the front.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fdfs_client::Trail;
use fdfs_conf::UrlForm;
use fdfs_ops::LogFile;
use fdfs_types::{FileId, FileKind, GroupName, Network, Timestamp};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HeaderName,
    HeaderValue,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use parking_lot::RwLock;
use tracing::{debug, info};

use super::access_log::Begun;
use super::client_address::client_address;
use super::meters::{Meters, age_of};
use super::named::{Named, is_native};
use super::purge_peers::{PurgePeers, TOLD};
use super::{BearerToken, CachedFiles, Origin, Outcome, Readiness};
use crate::respond::insert;
use crate::{
    Body, ClientLimits, Connection, Granted, Handler, Refusal, Settings, SourceError, Target, TokenError,
    serve,
};

/// How the front answers.
pub struct FrontSettings {
    /// Segments in front of paths that are taken off: `/dfs`, and the empty one for paths without any. Paths that have none
    /// of them are not served.
    pub prefixes: Vec<String>,
    /// The group of paths that begin with `M00`, if there is one.
    pub default_group: Option<GroupName>,
    /// For how long clients may keep a file without asking.
    pub expires: Duration,
    /// Who may purge.
    pub purge_from: Vec<Network>,
    /// What those show who may purge from anywhere, if there is such a token; other fronts are shown it, too.
    pub purge_token: Option<BearerToken>,
    /// Other fronts that are told of purges, `HOST:PORT`.
    pub purge_peers: Vec<String>,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<Network>,
    /// Whether answers say in `X-Cache` where they come from.
    pub show_cache: bool,
    /// Whether pages of other sites may read what is answered.
    pub cors: bool,
    /// Where each request leaves a line.
    pub access_log: Option<Arc<LogFile>>,
    /// What answers paths that are no native ones: `/BUCKET/key`.
    pub named: Option<Arc<dyn Named>>,
    /// What one client may take.
    pub clients: Arc<ClientLimits>,
}

/// Answers requests for the files of all groups.
pub struct Front<O> {
    files: CachedFiles<O>,
    live: RwLock<Arc<Live>>,
    readiness: Readiness,
    meters: Meters,
}

/// How requests are answered at present. One that has begun goes on as it began.
struct Live {
    native: Arc<Settings>,
    settings: FrontSettings,
    peers: PurgePeers,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            prefixes: vec![String::new(), "/dfs".to_owned()],
            default_group: None,
            expires: Duration::from_secs(30 * 24 * 3600),
            purge_from: ["127.0.0.1", "::1"].iter().filter_map(|text| text.parse().ok()).collect(),
            purge_token: None,
            purge_peers: Vec::new(),
            trusted_proxies: Vec::new(),
            show_cache: false,
            cors: false,
            access_log: None,
            named: None,
            clients: Arc::default(),
        }
    }
}

impl<O: Origin> Front<O> {
    /// Serves `files`; tokens, media types and the like are as `native` says.
    pub fn new(
        files: CachedFiles<O>,
        native: Arc<Settings>,
        settings: FrontSettings,
        readiness: Readiness,
    ) -> Self {
        let live = RwLock::new(Arc::new(Live::new(native, settings, &PurgePeers::default())));
        Self { files, live, readiness, meters: Meters::default() }
    }

    /// Answers requests in another way from now on. The log, the names and the counters of clients stay those of before.
    pub fn reconfigure(&self, native: Arc<Settings>, settings: FrontSettings) {
        let before = self.live();
        let (access_log, named) = (before.settings.access_log.clone(), before.settings.named.clone());
        let clients = Arc::clone(&before.settings.clients);
        let settings = FrontSettings { access_log, named, clients, ..settings };
        *self.live.write() = Arc::new(Live::new(native, settings, &before.peers));
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Answers a request that came from `peer`.
    pub async fn respond<B>(&self, request: &Request<B>, peer: IpAddr) -> Response<Body> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let live = self.live();
        let client = client_address(peer, &live.settings.trusted_proxies, headers);
        let file = live.settings.access_log.as_ref();
        let begun = file.map(|file| Begun::new(file, client, method, uri, headers));
        let asked = self.meters.asked();
        let trail = begun.as_ref().map(|begun| begun.trail().clone());
        let served = live.without_prefix(uri.path());
        let path = served.unwrap_or(uri.path());
        let purged = path.strip_prefix("/purge").filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let mut response = match (path, purged) {
            ("/healthz", _) => text(StatusCode::OK, "ok\n"),
            ("/readyz", _) => match self.readiness.hindrance() {
                None => text(StatusCode::OK, "ready\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{reason}\n")),
            },
            (_, Some(rest)) if matches!(*method, Method::GET | Method::POST | Method::HEAD) => {
                self.purge(&live, rest, uri.query(), client, headers).await
            }
            _ if method.as_str() == "PURGE" => {
                self.purge(&live, purged.unwrap_or(path), uri.query(), client, headers).await
            }
            _ if *method == Method::OPTIONS && live.settings.cors => allowed(),
            _ => {
                let result = match served {
                    _ if let Err(after) = live.settings.clients.request(client, Instant::now) => {
                        Err(Refusal::TooMany { after })
                    }
                    Some(path)
                        if let Some(named) = live.settings.named.as_ref().filter(|_| !is_native(path)) =>
                    {
                        Ok(named.answer(method, path, headers, client).await)
                    }
                    Some(path) => Trail::follow_if(trail, self.find(&live, method, uri, path, headers)).await,
                    None => Err(Refusal::Source(SourceError::NotFound)),
                };
                result.unwrap_or_else(|refusal| live.refused(path, &refusal))
            }
        };
        let status = response.status();
        if *method == Method::HEAD {
            let bodiless = matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
            if let Some(length) = response.body().length().filter(|_| !bodiless)
                && !response.headers().contains_key(CONTENT_LENGTH)
            {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = Body::empty();
        }
        if live.settings.cors {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        let outcome = response.extensions().get::<Outcome>().copied();
        let log = begun.map(|begun| {
            insert(response.headers_mut(), X_REQUEST_ID, begun.request_id());
            begun.answered(status.as_u16(), outcome.map_or("-", Outcome::as_str))
        });
        self.meters.answered(asked, method, status, outcome, response.body_mut(), log);
        response
    }

    async fn find(
        &self,
        live: &Live,
        method: &Method,
        uri: &Uri,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        if path.len() + uri.query().map_or(0, str::len) > MAX_TARGET {
            return Err(Refusal::TargetTooLong);
        }
        let target = Target::parse(path, uri.query(), live.url_form())?;
        // Before the cache, so that what is cached needs a token, too.
        let granted = match &live.native.token {
            Some(token) => Some(token.check(target.name(), &target.query, headers, self.files.now())?),
            None => None,
        };
        let id = target.file_id(live.settings.default_group)?;
        if !live.native.expose_metadata && id.filename.as_str().ends_with("-m") {
            return Err(Refusal::Metadata);
        }
        let (content, outcome, age) = self.files.find(&id).await?;
        let mut response = serve(&live.native, &id, &target.query, headers, content)?;
        if *method == Method::GET
            && let Err(error) = poll_fn(|cx| response.body_mut().poll_ready(cx)).await
        {
            // Nothing has been sent yet: the status can still tell.
            return Err(Refusal::Source(error));
        }
        live.mark(&mut response, &id, granted, outcome, self.files.now());
        if let Some(age) = age_of(age) {
            response.headers_mut().insert(AGE, age.into());
        }
        Ok(response)
    }

    async fn purge(
        &self,
        live: &Live,
        path: &str,
        query: Option<&str>,
        client: IpAddr,
        headers: &HeaderMap,
    ) -> Response<Body> {
        let told = headers.contains_key(TOLD);
        let with_slaves = query.is_some_and(|query| query.split('&').any(|pair| pair == SLAVES));
        let allowed = live.may_purge(client, headers);
        let (status, line) = if allowed {
            self.purge_path(live, live.without_prefix(path).unwrap_or(path), with_slaves)
        } else {
            (StatusCode::FORBIDDEN, format!("{client} may not purge\n"))
        };
        info!(%client, path, %status, "purge");
        metrics::counter!("fdfs_purges_total", "status" => status.as_str().to_owned()).increment(1);
        let is_told = allowed && !told && status != StatusCode::BAD_REQUEST;
        let others = match (is_told, with_slaves) {
            (false, _) => String::new(),
            (true, false) => live.peers.tell(path).await,
            (true, true) => live.peers.tell(&format!("{path}?{SLAVES}")).await,
        };
        text(status, &format!("{line}{others}"))
    }

    /// Purges a file, with its slaves if they are to go, too; or with `*` at the end everything below a group or a store path.
    fn purge_path(&self, live: &Live, path: &str, with_slaves: bool) -> (StatusCode, String) {
        let purged = match path.strip_suffix('*') {
            Some(prefix) => {
                let prefix = prefix.trim_start_matches('/');
                if !prefix.is_empty() && !prefix.ends_with('/') {
                    return (StatusCode::BAD_REQUEST, "not /GROUP/* or /GROUP/Mxx/*\n".to_owned());
                }
                self.files.purge_all(|id| id.to_string().starts_with(prefix))
            }
            None if path.trim_start_matches('/').is_empty() => 0,
            None => {
                let target = Target::parse(path, None, live.url_form());
                match target.and_then(|target| target.file_id(live.settings.default_group)) {
                    Ok(id) if with_slaves => self.files.purge_all(|cached| is_family(&id, cached)),
                    Ok(id) => usize::from(self.files.purge(&id)),
                    Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")),
                }
            }
        };
        match purged {
            0 => (StatusCode::NOT_FOUND, "nothing of it was cached\n".to_owned()),
            purged => (StatusCode::OK, format!("purged {purged}\n")),
        }
    }
}

impl Live {
    /// `before` are the other fronts of until now.
    fn new(native: Arc<Settings>, settings: FrontSettings, before: &PurgePeers) -> Self {
        let peers = PurgePeers::new(&settings.purge_peers, settings.purge_token.as_ref(), before);
        Self { native, settings, peers }
    }

    /// Who may purge: those of some networks, and who shows the token.
    fn may_purge(&self, client: IpAddr, headers: &HeaderMap) -> bool {
        self.settings.purge_from.iter().any(|network| network.contains(client))
            || self.settings.purge_token.as_ref().is_some_and(|token| token.is_in(headers))
    }

    fn url_form(&self) -> UrlForm {
        match self.settings.default_group {
            Some(_) => UrlForm::Either,
            None => UrlForm::WithGroup,
        }
    }

    /// Says for how long clients may keep a file.
    fn mark(
        &self,
        response: &mut Response<Body>,
        id: &FileId,
        granted: Option<Granted>,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let seconds = |granted| match granted {
            Some(Granted::Until(until)) => self.settings.expires.min(until.since(now)),
            _ => self.settings.expires,
        };
        let seconds = seconds(granted).as_secs();
        let scope = if granted.is_some() { "private" } else { "public" };
        let control = match id.filename.kind() {
            Ok(FileKind::Appender) | Err(_) => "no-cache".to_owned(),
            _ if seconds == 0 => format!("{scope}, no-cache"),
            _ if granted.is_none() && crate::is_immutable(&id.filename) => {
                format!("public, max-age={seconds}, immutable")
            }
            _ => format!("{scope}, max-age={seconds}"),
        };
        response.extensions_mut().insert(outcome);
        let headers = response.headers_mut();
        if control.contains("max-age") {
            let date = SystemTime::now() + Duration::from_secs(seconds);
            insert(headers, EXPIRES, &httpdate::fmt_http_date(date));
        }
        insert(headers, CACHE_CONTROL, &control);
        if self.settings.show_cache {
            headers.insert(X_CACHE, HeaderValue::from_static(outcome.as_str()));
        }
    }

    fn refused(&self, path: &str, refusal: &Refusal) -> Response<Body> {
        debug!(path, error = %refusal, "request refused");
        metrics::counter!("fdfs_http_refusals_total", "reason" => refusal.reason()).increment(1);
        match (refusal, &self.native.picture) {
            (Refusal::Token(error), Some(picture)) if *error != TokenError::Missing => {
                let mut response = Response::new(Body::text(picture.bytes.clone()));
                response.headers_mut().insert(CONTENT_TYPE, picture.media_type.clone());
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            _ => refusal.to_response(),
        }
    }

    /// A path without the prefix that it has, segment by segment: `/dfsx` does not have `/dfs`. The longest one counts.
    fn without_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = |prefix: &String| path.strip_prefix(prefix.as_str()).filter(|rest| rest.starts_with('/'));
        self.settings.prefixes.iter().filter_map(rest).min_by_key(|rest| rest.len())
    }
}

impl<O: Origin> Handler for Front<O> {
    async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Body> {
        self.respond(&request, connection.peer.ip()).await
    }
}

/// Whether a file is `master`, or a slave of it by its name.
fn is_family(master: &FileId, file: &FileId) -> bool {
    let (master_name, name) = (master.filename.as_str(), file.filename.as_str());
    let stem = master_name.split_once('.').map_or(master_name, |(stem, _)| stem);
    master.group == file.group
        && (master == file || (name.starts_with(stem) && !crate::is_immutable(&file.filename)))
}

/// What pages of other sites may do.
fn allowed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (ALLOW, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "range, if-range, if-none-match, if-modified-since"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::text(text.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Purges the slaves of a file, too.
const SLAVES: &str = "slaves=1";
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
