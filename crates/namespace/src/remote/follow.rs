//! The stream of changes at the reader.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::caller::Caller;
use super::{HEARTBEAT, wire};
use crate::engine::{Row, Watcher};
use crate::keys;

/// Tells `watcher` of changes for as long as it lives, over as many connections as that takes.
pub(super) async fn follow(caller: Caller, watcher: Weak<dyn Watcher>) {
    let mut seen = Seen::default();
    let mut pause = FIRST_PAUSE;
    while watcher.strong_count() > 0 {
        match caller.changes(seen.request()).await {
            Ok(mut stream) => {
                while let Ok(Ok(Some(reply))) = tokio::time::timeout(SILENCE, stream.message()).await {
                    let Some(watcher) = watcher.upgrade() else { return };
                    pause = FIRST_PAUSE;
                    seen.take(reply, watcher.as_ref());
                    watcher.follows(true);
                }
                let Some(watcher) = watcher.upgrade() else { return };
                metrics::counter!("fdfs_namespace_remote_streams_lost_total").increment(1);
                info!("the stream of changes is lost: what is known is dropped");
                // Until it is back nobody tells what becomes of what is known.
                watcher.follows(false);
                watcher.missed();
            }
            Err(status) => debug!(error = %caller.error(&status), "no stream of changes"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// How far the log was seen.
#[derive(Default)]
struct Seen {
    cursors: BTreeMap<u64, u64>,
    time: u64,
    store: Vec<u8>,
}

impl Seen {
    fn request(&self) -> wire::ChangesRequest {
        let cursors = self.cursors.iter();
        let cursors = cursors.map(|(writer, sequence)| wire::Cursor { writer: *writer, sequence: *sequence });
        wire::ChangesRequest { cursors: cursors.collect(), time: self.time, store: self.store.clone() }
    }

    fn take(&mut self, reply: wire::ChangesReply, watcher: &dyn Watcher) {
        if reply.reset {
            self.cursors = reply.cursors.iter().map(|cursor| (cursor.writer, cursor.sequence)).collect();
            watcher.missed();
        } else if !self.store.is_empty() && self.store != reply.store {
            warn!("the namespace was restored: what is known is dropped");
            watcher.missed();
        }
        (self.time, self.store) = (reply.time, reply.store);
        let rows: Vec<Row> = reply.rows.into_iter().map(|row| (row.key, row.value)).collect();
        for (key, _) in &rows {
            self.cursors.insert(keys::number_at(key, 1), keys::number_at(key, 9));
        }
        if !rows.is_empty() {
            watcher.committed(&rows);
        }
    }
}

/// A stream silent for so long is lost.
const SILENCE: Duration = HEARTBEAT.saturating_mul(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
