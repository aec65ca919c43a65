//! When files were read last, as relatime has it: noted in the background, at most once for each change of a file and once a day.

use std::sync::Arc;
use std::time::Duration;

use fdfs_objects::{Attributes, Kind, Objects};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::debug;

use crate::attributes::now;

/// Where it is noted that a file was opened for reading.
#[derive(Debug, Default)]
pub(crate) struct Accesses(Mutex<Option<mpsc::Sender<u64>>>);

impl Accesses {
    /// From here on accesses are noted.
    pub(crate) fn begin(&self, objects: Arc<Objects>, runtime: &Handle) {
        let (sender, mut inodes) = mpsc::channel(WAITING);
        *self.0.lock() = Some(sender);
        runtime.spawn(async move {
            while let Some(inode) = inodes.recv().await {
                // It may have gone meanwhile, and nothing depends on it.
                match objects.note_access(inode).await {
                    Ok(()) => metrics::counter!("fdfs_mount_access_times_total").increment(1),
                    Err(error) => debug!(ino = inode, %error, "an access is not noted"),
                }
            }
        });
    }

    /// Those that wait are still noted, no more.
    pub(crate) fn end(&self) {
        *self.0.lock() = None;
    }

    /// A file was opened for reading. Where too many wait, this one is not noted.
    pub(crate) fn note(&self, attributes: &Attributes) {
        if let Some(sender) = &*self.0.lock()
            && is_due(attributes, now())
        {
            let _ = sender.try_send(attributes.inode);
        }
    }
}

/// Whether the time of access is older than the last change, or than a day.
fn is_due(attributes: &Attributes, now: i64) -> bool {
    let changed = attributes.mtime.max(attributes.ctime);
    let day = i64::try_from(DAY.as_nanos()).unwrap_or(i64::MAX);
    attributes.kind == Kind::File
        && (attributes.atime <= changed || now.saturating_sub(attributes.atime) >= day)
}

/// Accesses that may wait.
const WAITING: usize = 1_024;
const DAY: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_due_after_a_change_and_after_a_day() {
        let day = DAY.as_nanos() as i64;
        let of = |atime, mtime, ctime| Attributes { atime, mtime, ctime, ..Attributes::default() };
        assert!(is_due(&of(10, 10, 5), 11) && is_due(&of(10, 5, 10), 11) && is_due(&of(10, 5, 5), 10 + day));
        assert!(!is_due(&of(10, 9, 9), 9 + day));
        assert!(!is_due(&Attributes { kind: Kind::Directory, ..of(1, 2, 2) }, 3));
    }
}
