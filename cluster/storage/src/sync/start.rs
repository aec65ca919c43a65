//! From where on a peer gets the binlog.

use std::{
    io,
    path::{Path, PathBuf},
};

use fdfs_proto::cluster::SyncSource;
use fdfs_store::{Binlog, Mark, Position, Store};
use fdfs_types::{StorageId, StorageStatus, Timestamp};
use tracing::{info, warn};

use crate::{shared::Shared, tracker::Identity};

/// What is stored about a peer.
pub(super) struct Stored {
    mark: Option<Mark>,
}

/// What a tracker has to be asked before it is known from where on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Question {
    /// Nothing: go on from the mark.
    None,
    /// From whom the peer gets the old files.
    Source,
}

impl Stored {
    /// Reads the mark of a peer. One that cannot be read, or lies behind the end of the binlog, is as good as none.
    pub(super) fn load(shared: &Shared, peer: StorageId) -> io::Result<Self> {
        let path = adopt_mark(shared, peer);
        let mark = match Mark::load(&path) {
            Ok(mark) => mark,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                warn!(%error, "the mark cannot be read: it is made anew, and records are sent again");
                metrics::counter!("fdfs_sync_marks_rebuilt_total").increment(1);
                None
            }
            Err(error) => return Err(error),
        };
        let end = shared.store.binlog().end();
        let mark = mark.filter(|mark| {
            if mark.position > end {
                warn!(?mark.position, ?end, "the mark lies behind the binlog's end: it is made anew");
            }
            mark.position <= end
        });
        Ok(Self { mark })
    }

    /// What to ask a tracker.
    pub(super) fn question(&self, status: StorageStatus) -> Question {
        match self.mark {
            None => Question::Source,
            Some(_) if status <= StorageStatus::Syncing => Question::Source,
            Some(_) => Question::None,
        }
    }

    /// The mark to go on from, without an answer of a tracker.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The mark to go on from, with the answer of a tracker.
    pub(super) fn begin(
        &self,
        shared: &Shared,
        status: StorageStatus,
        source: Option<&SyncSource>,
    ) -> io::Result<Mark> {
        let is_source = source.is_some_and(|source| source.id == shared.identity.id);
        if let (Some(mark), Some(source)) = (self.mark, source)
            && is_source
            && mark.need_sync_old
            && mark.until_timestamp == source.until.0.max(0).unsigned_abs()
        {
            // The same old files as before: a tracker has forgotten how far they were. A peer that begins anew is given
            // another time.
            return Ok(mark);
        }
        if let Some(mark) = self.mark
            && status > StorageStatus::WaitSync
            && (mark.need_sync_old || !is_source)
        {
            return Ok(mark);
        }
        let until = source.map_or(Timestamp::ZERO, |source| source.until);
        let mut mark = Mark {
            need_sync_old: is_source,
            until_timestamp: until.0.max(0).unsigned_abs(),
            ..Mark::default()
        };
        if let Some(source) = source.filter(|_| !is_source) {
            mark.position = newer_than(shared.store.binlog(), Timestamp(until.0.saturating_sub(MARGIN)))?;
            // What the source has not got from here, it cannot have given to the peer.
            let path = mark_path(&shared.store, &shared.identity, source.id);
            let known = Mark::load(&path).ok().flatten().map_or(Position::default(), |mark| mark.position);
            mark.position = mark.position.min(known);
        }
        info!(?mark, "replication begins");
        Ok(mark)
    }
}

/// Where the mark of a peer is.
pub(super) fn mark_path(store: &Store, identity: &Identity, peer: StorageId) -> PathBuf {
    let name = match identity.parameters.use_storage_id {
        true => format!("{peer}.mark"),
        false => format!("{peer}_{}.mark", identity.port),
    };
    store.sync_directory().join(name)
}

/// Where the mark of a peer is; one from before the cluster had storage IDs is taken over.
fn adopt_mark(shared: &Shared, peer: StorageId) -> PathBuf {
    let identity = &shared.identity;
    let path = mark_path(&shared.store, identity, peer);
    if !identity.parameters.use_storage_id || path.exists() {
        return path;
    }
    let ips = identity.ids.iter().filter(|entry| entry.id == peer).flat_map(|entry| &entry.address.ips);
    for ip in ips {
        let old = path.with_file_name(format!("{ip}_{}.mark", identity.port));
        if std::fs::rename(&old, &path).is_ok() {
            info!(from = %old.display(), to = %path.display(), "the mark of a peer goes by its id now");
            break;
        }
    }
    path
}

/// Moves the mark of a peer that has left, and what it did not take, to the name that it has now, or aside where it has none.
/// The list may have told the new name before the changelog did: what is sent there already keeps its own mark.
pub(super) fn move_mark(path: &Path, new: Option<PathBuf>) {
    let is_free = |path: &PathBuf| !path.exists() && !path.with_extension("failed").exists();
    let moves = match new.filter(is_free) {
        Some(new) => {
            [(path.to_owned(), new.clone()), (path.with_extension("failed"), new.with_extension("failed"))]
        }
        None => {
            let now = jiff::Zoned::now().strftime("%Y%m%d%H%M%S").to_string();
            let aside = |path: PathBuf| (path.clone(), path.with_added_extension(&now));
            [aside(path.to_owned()), aside(path.with_extension("failed"))]
        }
    };
    for (from, to) in moves {
        match std::fs::rename(&from, &to) {
            Ok(()) => info!(from = %from.display(), to = %to.display(), "the peer has left the group"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                warn!(path = %from.display(), %error, "what is known of a peer that has left stays");
            }
        }
    }
}

/// Where the first record begins that is not older than `time`.
fn newer_than(binlog: &Binlog, time: Timestamp) -> io::Result<Position> {
    let mut reader = binlog.reader(Position::default());
    while let Some(entry) = reader.next_entry()? {
        if entry.record.is_ok_and(|record| record.timestamp >= time.0) {
            return Ok(entry.start);
        }
    }
    Ok(reader.position())
}

/// Records of this many seconds before the tracker's boundary are sent as well: clocks differ, and times in the binlog do
/// not only rise. What the peer has is answered 17 without content.
const MARGIN: i64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_peer_follows_its_address_unless_it_is_sent_to_there_already() {
        let dir = tempfile::tempdir().expect("directory");
        let [old, new] = ["10.0.0.1_23000.mark", "10.0.0.2_23000.mark"].map(|name| dir.path().join(name));
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let names = || std::fs::read_dir(dir.path()).expect("directory").count();
        std::fs::write(&old, "first").expect("mark");
        std::fs::write(old.with_extension("failed"), "letters").expect("letters");
        move_mark(&old, Some(new.clone()));
        assert_eq!((read(&new).as_deref(), names()), (Some("first"), 2));
        assert_eq!(read(&new.with_extension("failed")).as_deref(), Some("letters"));
        std::fs::write(&old, "second").expect("mark");
        move_mark(&old, Some(new.clone()));
        assert_eq!((read(&new).as_deref(), read(&old), names()), (Some("first"), None, 3));
        move_mark(&new, None);
        assert_eq!((read(&new), names()), (None, 3));
    }
}
