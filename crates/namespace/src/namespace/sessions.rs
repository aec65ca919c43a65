//! Changes as they are told, and the session of this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::{Namespace, now_ms};
use crate::changes::{self, Change};
use crate::engine::{Engine, PAGE};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, SessionRow};
use crate::sessions;
use crate::settings::Announcer;
use crate::uploads;

impl Namespace {
    /// Changes as they are committed: those of this process, and those of the others that use its store through the namespace service or
    /// beside it. A receiver that lags, or gets [`ChangeKind::Missed`](crate::ChangeKind::Missed), must drop what it knows.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.announce.subscribe()
    }

    /// Kept changes of a writer after `sequence`.
    pub async fn changes_after(
        &self,
        writer: u64,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Change)>, NamespaceError> {
        self.read(move |read| changes::after(read, writer, sequence, limit)).await
    }

    /// Trims change rows older than `age`, a page at a time; true if there may be more.
    pub async fn trim_changes(&self, age: Duration) -> Result<bool, NamespaceError> {
        let before = now_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.write(move |tx| {
            let old = changes::old_rows(tx, 0, before)?;
            old.iter().for_each(|key| tx.delete(key));
            Ok(old.len() == PAGE)
        })
        .await
    }

    /// Forgets uploads that were completed longer than `age` ago: a Complete that is repeated later finds no upload.
    pub async fn trim_completed(&self, age: Duration) -> Result<(), NamespaceError> {
        let before = now_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let mut from = None;
        loop {
            let at = from.clone();
            from = self.write(move |tx| uploads::trim_completed(tx, at.as_deref(), before)).await?;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// This process's session.
    pub fn session(&self) -> u64 {
        self.shared.session
    }

    /// Removes inodes without a name that sessions which are gone held open.
    pub async fn remove_orphans(&self) -> Result<(), NamespaceError> {
        let mut after = Some(0);
        while let Some(inode) = after {
            after = self.write(move |tx| sessions::remove_orphans(tx, inode, false)).await?;
        }
        Ok(())
    }

    /// Ends this session: what it held open may go at once, and it writes nothing more.
    pub async fn end_session(&self) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            tx.delete(&keys::session(session));
            Ok(())
        })
        .await
    }

    /// Says that this session lives.
    pub async fn renew_session(&self) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            let key = keys::session(session);
            let row: SessionRow = rows::load(tx, &key)?.ok_or(NamespaceError::Fenced)?;
            if row.fenced {
                return Err(NamespaceError::Fenced);
            }
            tx.put(key, &SessionRow { renewed: tx.now_ms(), ..row });
            Ok(())
        })
        .await
    }

    /// The engine, and where changes are announced: for those who serve both.
    pub(crate) fn engine_and_announcements(&self) -> (Arc<dyn Engine>, Announcer) {
        (Arc::clone(&self.engine), self.shared.announce.clone())
    }
}
