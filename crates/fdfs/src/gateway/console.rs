//! The console: one page about the cluster, its figures as JSON, metrics and health.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use fdfs_client::{Client, Topology};
use fdfs_ops::{Health, Metrics};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

/// A bound console.
pub struct Console {
    listener: TcpListener,
    router: Router,
}

struct Sources {
    client: Client,
    health: Health,
    metrics: Metrics,
}

impl Console {
    /// Listens.
    pub async fn bind(address: SocketAddr, client: Client, health: Health) -> anyhow::Result<Self> {
        let listener = fdfs_net::listen_here(address)
            .with_context(|| format!("cannot listen on {address} for the console"))?;
        let sources = Sources { client, health, metrics: Metrics::install() };
        let router = Router::new()
            .route("/", get(page))
            .route("/api/cluster", get(cluster))
            .route("/metrics", get(metrics))
            .route("/healthz", get(health_check))
            .with_state(Arc::new(sources));
        Ok(Self { listener, router })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(self.listener, self.router).with_graceful_shutdown(stopped).await {
            warn!(%error, "console ended");
        }
    }
}

async fn page(State(sources): State<Arc<Sources>>) -> Response {
    match sources.client.topology().await {
        Ok(topology) => Html(render(&topology)).into_response(),
        Err(error) => {
            let text = format!(
                "<!doctype html><title>fdfs</title><p>The trackers give no answer: {}",
                escape(&error.to_string())
            );
            (StatusCode::SERVICE_UNAVAILABLE, Html(text)).into_response()
        }
    }
}

async fn cluster(State(sources): State<Arc<Sources>>) -> Response {
    match sources.client.topology().await {
        Ok(topology) => Json(as_json(&topology)).into_response(),
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    sources.metrics.upkeep();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], sources.metrics.render()).into_response()
}

async fn health_check(State(sources): State<Arc<Sources>>) -> Response {
    let (healthy, report) = sources.health.report();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

fn as_json(topology: &Topology) -> Value {
    let groups = topology.groups.values().map(|group| {
        let storages = group.storages.iter().map(|storage| {
            json!({
                "id": storage.id.as_str(),
                "ip": storage.ip,
                "port": storage.port,
                "status": storage.status.name(),
                "version": storage.version,
                "total_mb": storage.total_mb,
                "free_mb": storage.free_mb,
            })
        });
        json!({
            "name": group.record.group.as_str(),
            "total_mb": group.record.total_mb,
            "free_mb": group.record.free_mb,
            "reserved_mb": group.record.reserved_mb,
            "storages": storages.collect::<Vec<_>>(),
        })
    });
    json!({ "groups": groups.collect::<Vec<_>>() })
}

fn render(topology: &Topology) -> String {
    let mut html = String::from(HEAD);
    for group in topology.groups.values() {
        let record = &group.record;
        let _ = write!(
            html,
            "<h2>{}</h2><p>{} of {} MB free, {} MB reserved</p>",
            record.group, record.free_mb, record.total_mb, record.reserved_mb
        );
        html.push_str("<table><tr><th>Storage<th>Address<th>State<th>Free MB<th>Version");
        for storage in &group.storages {
            let ip = storage.ip.map_or_else(|| "–".to_owned(), |ip| ip.to_string());
            let _ = write!(
                html,
                "<tr><td>{}<td>{ip}:{}<td>{}<td>{}<td>{}",
                escape(storage.id.as_str()),
                storage.port,
                storage.status,
                storage.free_mb,
                escape(&storage.version),
            );
        }
        html.push_str("</table>");
    }
    if topology.groups.is_empty() {
        html.push_str("<p>No storage has joined a tracker yet.");
    }
    html
}

/// Text of a peer as text of the page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>\
<meta name=viewport content='width=device-width'><title>fdfs</title>\
<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse}th,td{text-align:left;padding:.25rem 1rem .25rem 0;border-bottom:1px solid #ccc}</style>\
<h1>Cluster</h1><p><a href=api/cluster>JSON</a> · <a href=metrics>metrics</a> · <a href=healthz>health</a></p>";
