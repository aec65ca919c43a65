//! Calls of the service, for fuzzers.

use std::sync::Arc;

use futures_util::StreamExt as _;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::Request;

use super::service::RowService;
use super::wire;
use super::wire::rows_server::Rows as _;
use crate::engine::MemoryEngine;

/// A message as each call that it can be, to one service after the other call: answered or refused.
pub fn call(message: &[u8]) {
    thread_local! {
        static RUNTIME: Option<Runtime> = Builder::new_current_thread().enable_time().build().ok();
    }
    RUNTIME.with(|runtime| {
        if let Some(runtime) = runtime {
            runtime.block_on(answer(message));
        }
    });
}

async fn answer(message: &[u8]) {
    let announce = crate::settings::Announcer::new(16);
    let (_stop, stopped) = watch::channel(false);
    let service = RowService { engine: Arc::new(MemoryEngine::default()), announce, secret: None, stopped };
    if let Ok(asked) = wire::CommitRequest::decode(message) {
        let _ = service.commit(Request::new(asked)).await;
    }
    if let Ok(asked) = wire::GetRequest::decode(message) {
        let _ = service.get(Request::new(asked)).await;
    }
    if let Ok(asked) = wire::RangesRequest::decode(message) {
        let _ = service.range(Request::new(asked)).await;
    }
    if let Ok(asked) = wire::ChangesRequest::decode(message)
        && let Ok(answer) = service.changes(Request::new(asked)).await
    {
        let _ = answer.into_inner().next().await;
    }
}
