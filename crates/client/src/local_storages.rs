//! Storages on this machine, which lend the files that they have.
//!
//! A file that lies on this machine is read where it lies: the storage opens it and passes the descriptor on, so that what it
//! would not send it does not lend either. Whatever stands against that is no error: the file is asked for as any other is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use fdfs_net::{Borrower, CallError, FileContent, NetError};
use fdfs_proto::ours::LendFileRequest;
use fdfs_types::{FileId, FileKind};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;
use tracing::debug;

use crate::Client;
use crate::topology::Group;

/// Connections to the storages of this machine, and which are none.
#[derive(Debug, Default)]
pub(crate) struct LocalStorages {
    known: Mutex<HashMap<SocketAddr, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Not asked before then.
    not_before: Option<Instant>,
    /// Connections that wait. Each belongs to the runtime it was made on, so that no other thread is woken for it.
    idle: Vec<(Id, Borrower)>,
}

impl LocalStorages {
    /// A connection to a storage of this machine; none where that is not one.
    fn take(&self, address: SocketAddr, runtime: Id) -> Option<Borrower> {
        {
            let mut known = self.known.lock();
            let known = known.entry(address).or_default();
            if known.not_before.is_some_and(|at| Instant::now() < at) {
                return None;
            }
            if let Some(at) = known.idle.iter().rposition(|(of, _)| *of == runtime) {
                return Some(known.idle.swap_remove(at).1);
            }
        }
        match Borrower::connect(address) {
            Ok(borrower) => Some(borrower),
            Err(error) => {
                debug!(%address, %error, "not a storage of this machine");
                self.avoid(address, AGAIN);
                None
            }
        }
    }

    fn keep(&self, address: SocketAddr, runtime: Id, borrower: Borrower) {
        let mut known = self.known.lock();
        let known = known.entry(address).or_default();
        if known.idle.len() < MOST_IDLE {
            known.idle.push((runtime, borrower));
        }
    }

    fn avoid(&self, address: SocketAddr, time: Duration) {
        let mut known = self.known.lock();
        let known = known.entry(address).or_default();
        known.not_before = Some(Instant::now() + time);
        known.idle.clear();
    }
}

impl Client {
    /// The content of a file that lies on this machine, as a storage here lends it; `length` bytes of it are going to be read.
    ///
    /// `None` for every other file, and where a storage here does not lend: it has the file not yet, or in a trunk file, or only
    /// for members; it runs as another user; it does not answer. Files that can change are not lent.
    pub async fn open_here(&self, file_id: &FileId, length: u64) -> Option<FileContent> {
        let fields = file_id.filename.fields().ok()?;
        let is_fixed = matches!(file_id.filename.kind(), Ok(FileKind::Normal));
        if !self.options().local_reads || !is_fixed || fields.size.is_private() {
            return None;
        }
        let size = fields.size.size()?;
        let runtime = Handle::try_current().ok()?.id();
        let inner = self.inner();
        let topology = inner.topology.get_if_cheap(&inner.trackers, self.options().topology_max_age).await?;
        let group = topology.groups.get(&file_id.group)?;
        let request = LendFileRequest { length, file_id: file_id.clone() };
        for address in
            group.active().filter(|storage| storage.rw_mode.is_readable()).filter_map(Group::address)
        {
            if let Some(content) = inner.lent.get(file_id, address) {
                return Some(content);
            }
            let Some(mut borrower) = inner.local.take(address, runtime) else { continue };
            match borrower.borrow(&request, PATIENCE).await {
                Ok(lent) if lent.place.size == size => {
                    inner.local.keep(address, runtime, borrower);
                    return Some(inner.lent.content(file_id, address, lent));
                }
                Ok(lent) => debug!(%file_id, %address, bytes = lent.place.size, "lent file has another size"),
                Err(CallError::Status(status)) => {
                    debug!(%file_id, %address, ?status, "file is not lent");
                    inner.local.keep(address, runtime, borrower);
                }
                // A connection that was kept may have ended with its storage.
                Err(error) => {
                    debug!(%file_id, %address, %error, "storage of this machine does not answer");
                    metrics::counter!("fdfs_client_local_storage_failures_total").increment(1);
                    let is_silent = matches!(error, CallError::Net(NetError::Timeout));
                    inner.local.avoid(address, if is_silent { SILENT_TIME } else { PAUSE });
                }
            }
        }
        None
    }
}

/// A storage of this machine opens a file at once, or has trouble with its disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// For so long nobody asks a storage again that closed its connection: it may have been restarted.
const PAUSE: Duration = Duration::from_secs(1);
/// The same of one that did not answer in time.
const SILENT_TIME: Duration = Duration::from_secs(30);
/// For so long a storage is known not to be on this machine.
const AGAIN: Duration = Duration::from_secs(10);
/// Most connections that wait, for each storage.
const MOST_IDLE: usize = 64;
