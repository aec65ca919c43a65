//! Changes as they are told, and the session of this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::{Namespace, now_ms};
use crate::changes::{self, Change};
use crate::engine::{Engine, PAGE, Sharing};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, SessionRow};
use crate::sessions::{self, Session, SessionReport};
use crate::settings::Announcer;
use crate::uploads;

impl Namespace {
    /// Changes as they are committed: those of this process, and those of the others that use its store through the namespace service or
    /// beside it. A receiver that lags, or gets [`ChangeKind::Missed`](crate::ChangeKind::Missed), must drop what it knows.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.announce.subscribe()
    }

    /// The number of the change that was told last: who has seen it in [`Namespace::changes`] has seen all that were committed here before.
    pub fn announced(&self) -> u64 {
        self.shared.announce.told()
    }

    /// True while changes of other processes are told as they come. Where they are not, what is known of names may be wrong at any moment.
    pub fn follows_changes(&self) -> bool {
        self.shared.follows.load(std::sync::atomic::Ordering::Acquire)
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

    /// What the files that this process uploads carry: whose they are.
    pub fn owner(&self) -> u64 {
        self.shared.owner
    }

    /// All sessions of the store.
    pub async fn sessions(&self) -> Result<Vec<Session>, NamespaceError> {
        let (own, alone) = (self.shared.session, self.is_alone());
        self.read(move |read| sessions::all(read, own, now_ms(), alone)).await
    }

    /// Fences sessions that have said nothing for `dead_after`: what they uploaded may be deleted then, as they commit nothing more. Those that are new among the fenced.
    pub async fn fence_sessions(&self, dead_after: Duration) -> Result<Vec<u64>, NamespaceError> {
        let alone = self.is_alone();
        let limit = u64::try_from(dead_after.as_millis()).unwrap_or(u64::MAX).max(sessions::ALIVE_MS);
        // Most of the time there is nothing to be written.
        let own = self.shared.session;
        let dead =
            |session: &Session| !session.is_alive && session.fenced_for.is_none() && session.session != own;
        if !self.sessions().await?.iter().any(dead) {
            return Ok(Vec::new());
        }
        self.write(move |tx| sessions::fence(tx, limit, alone)).await
    }

    /// Forgets a fenced session of which nothing is left.
    pub async fn forget_session(&self, session: u64) -> Result<(), NamespaceError> {
        self.write(move |tx| {
            let key = keys::session(session);
            if rows::load::<SessionRow>(tx, &key)?.is_some_and(|row| row.fenced) {
                tx.delete(&key);
            }
            Ok(())
        })
        .await
    }

    /// Since when other processes may have content open, milliseconds since 1970: what was freed before nobody there reads any more.
    pub async fn oldest_open_elsewhere(&self) -> Result<Option<u64>, NamespaceError> {
        let (own, alone) = (self.shared.session, self.is_alone());
        self.read(move |read| sessions::oldest_open(read, own, now_ms(), alone)).await
    }

    /// Ends this session: what it held open may go at once, and it commits no content any more. What it left at storages is the sweeper's.
    pub async fn end_session(&self) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            let key = keys::session(session);
            if let Some(row) = rows::load::<SessionRow>(tx, &key)? {
                tx.put(key, &SessionRow { fenced: true, renewed: tx.now_ms(), ..row });
            }
            Ok(())
        })
        .await
    }

    fn is_alone(&self) -> bool {
        self.engine.sharing() == Sharing::Alone
    }

    /// Says that this session lives, and what it has open.
    pub async fn renew_session(&self, report: SessionReport) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            let key = keys::session(session);
            let row: SessionRow = rows::load(tx, &key)?.ok_or(NamespaceError::Fenced)?;
            if row.fenced {
                return Err(NamespaceError::Fenced);
            }
            let oldest_open = report.oldest_open.unwrap_or_default();
            tx.put(key, &SessionRow { renewed: tx.now_ms(), oldest_open, unowned: report.unowned, ..row });
            Ok(())
        })
        .await
    }

    /// The engine, and where changes are announced: for those who serve both.
    pub(crate) fn engine_and_announcements(&self) -> (Arc<dyn Engine>, Announcer) {
        (Arc::clone(&self.engine), self.shared.announce.clone())
    }
}
