//! Files that sessions uploaded and never gave a name: whose session is gone, its files go.
//!
//! Storages of ours keep beside each uploaded file whose it is (the owner token). A session that is gone is fenced first, in a transaction: from then on
//! it commits no content. Then what its tokens name and no row refers to is put on the free list, and the tokens are forgotten.
//! A file without a token is never looked at.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fdfs_namespace::{Session, SessionReport};
use fdfs_types::FileId;
use tracing::{info, warn};

use crate::error::ObjectsError;
use crate::files::TokenKeeper;
use crate::objects::Objects;

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Files that are deleted, as no name refers to them.
    pub freed: u64,
    /// Tokens that are not needed any more.
    pub forgotten: u64,
    /// Sessions that were found dead.
    pub fenced: u64,
    /// Sessions that nothing is left of.
    pub ended: u64,
}

/// What becomes of a file that no name refers to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Unnamed {
    /// Its session is gone: nobody will give it one.
    Free,
    /// It may be about to get one.
    Keep,
    /// As before, if it has not been seen for long: this process knows that none of its writes takes so long.
    FreeOld,
}

impl Objects {
    /// Looks at the tokens of all sessions once. The worker calls it from time to time.
    pub async fn sweep(&self) -> Result<Swept, ObjectsError> {
        let mut swept = Swept::default();
        let fenced = self.names.fence_sessions(self.settings.fence_after).await?;
        let keepers = self.files.keepers().await?;
        let own = self.names.session();
        for session in self.names.sessions().await? {
            if fenced.contains(&session.session) {
                swept.fenced += 1;
                report(&session);
            }
            let unnamed = match session.fenced_for {
                Some(_) => Unnamed::Free,
                None if session.session == own => Unnamed::FreeOld,
                None => Unnamed::Keep,
            };
            let mut all_asked = true;
            let before = swept;
            for keeper in &keepers {
                match self.sweep_tokens(keeper, session.owner, unnamed, &mut swept).await {
                    Ok(()) => {}
                    // The original keeps no tokens.
                    Err(ObjectsError::Unsupported) => {}
                    Err(error) => {
                        all_asked = false;
                        metrics::counter!("fdfs_objects_sweep_failures_total").increment(1);
                        warn!(storage_id = %keeper.storage, group = %keeper.group, %error, "tokens not swept; it is tried again");
                    }
                }
            }
            // What was under way when it was fenced has come by then.
            let limit = u64::try_from(self.settings.fence_after.as_millis()).unwrap_or(u64::MAX);
            if all_asked && swept == before && session.fenced_for.is_some_and(|time| time > limit) {
                self.names.forget_session(session.session).await?;
                swept.ended += 1;
            }
        }
        metrics::counter!("fdfs_objects_swept_files_total").increment(swept.freed);
        if swept.freed > 0 {
            info!(files = swept.freed, "files that dead sessions left are freed");
            self.free_wanted.notify_one();
        }
        Ok(swept)
    }

    async fn sweep_tokens(
        &self,
        keeper: &TokenKeeper,
        owner: u64,
        unnamed: Unnamed,
        swept: &mut Swept,
    ) -> Result<(), ObjectsError> {
        let mut after = 0;
        loop {
            let (files, more) = self.files.owned(keeper, owner, after, PAGE).await?;
            let Some((last, _)) = files.last() else { return Ok(()) };
            after = *last;
            let (sequences, ids): (Vec<u64>, Vec<FileId>) = files.into_iter().unzip();
            let named = self.names.are_named(ids.clone()).await?;
            let (mut done, mut left) = (Vec::new(), Vec::new());
            for ((sequence, file), named) in sequences.into_iter().zip(ids).zip(named) {
                let free = match unnamed {
                    _ if named => false,
                    Unnamed::Free => true,
                    Unnamed::Keep => continue,
                    Unnamed::FreeOld if self.is_left(&file) => true,
                    Unnamed::FreeOld => continue,
                };
                done.push(sequence);
                left.extend(free.then_some(file));
            }
            // Freed before it is forgotten: whatever happens in between, one of the two knows it.
            if !left.is_empty() {
                swept.freed += self.names.free_left(left).await?;
            }
            if !done.is_empty() {
                swept.forgotten += done.len() as u64;
                self.files.forget(keeper, owner, done).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// True for a file of this process that was already without a name a while ago.
    fn is_left(&self, file: &FileId) -> bool {
        let now = Instant::now();
        let mut seen = self.unnamed.lock();
        seen.retain(|_, since| now - *since < OLD * 2);
        let since = *seen.entry(file.clone()).or_insert(now);
        now - since > OLD
    }

    /// Says that this process lives, and what it has open.
    pub async fn renew_session(&self) -> Result<(), ObjectsError> {
        let report = SessionReport { oldest_open: self.pins.oldest(), unowned: self.files.unowned_uploads() };
        let renewed = self.names.renew_session(report).await;
        if matches!(renewed, Err(fdfs_namespace::NamespaceError::Fenced)) {
            self.fenced.notify_one();
        }
        Ok(renewed?)
    }

    /// Waits until another gateway takes this one for dead: then it commits no content any more, and has to be started anew.
    pub async fn fenced(&self) {
        self.fenced.notified().await;
    }
}

/// Files of this process without a name, and since when they have been seen.
pub(crate) type UnnamedFiles = HashMap<FileId, Instant>;

/// Tells of a session that has just been found dead.
fn report(session: &Session) {
    let Session { session, host, unowned, .. } = session;
    metrics::counter!("fdfs_objects_dead_sessions_total").increment(1);
    info!(session, host, "a session is gone: what it left is swept");
    if *unowned > 0 {
        metrics::counter!("fdfs_objects_possible_leaks_total").increment(1);
        warn!(
            session,
            host,
            uploads = unowned,
            "it uploaded to storages that keep no owners: a file of its last moments may be left there without a name"
        );
    }
}

#[cfg(test)]
mod tests;

/// Tokens read at once.
const PAGE: usize = 500;
/// No write takes so long between the end of its upload and its commit.
const OLD: Duration = Duration::from_secs(600);
