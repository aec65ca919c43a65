//! Views of this process that keep what they were told: mounts, whose kernel does. A change that came another way is answered when they know of it.

use std::sync::Arc;
use std::time::Duration;

use fdfs_namespace::Origin;
use tokio::sync::{Notify, watch};

use crate::objects::Objects;

/// A view that follows the changes: says how far it has come.
#[derive(Debug)]
pub struct View {
    seen: watch::Sender<u64>,
    wanted: Arc<Notify>,
}

/// A view as those see it who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    seen: watch::Receiver<u64>,
    wanted: Arc<Notify>,
}

impl View {
    /// Returns when somebody waits for this view to see what there is; at once if somebody came since the last time.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Every change up to this number is seen.
    pub fn has_seen(&self, number: u64) {
        self.seen.send_if_modified(|seen| {
            let newer = number > *seen;
            *seen = number.max(*seen);
            newer
        });
    }
}

impl Objects {
    /// A view of now: what S3 and others change through these objects is answered when it has seen it, or after a second. It is forgotten when it is dropped.
    pub fn view(&self) -> View {
        let (sender, seen) = watch::channel(self.names.announced());
        let wanted = Arc::new(Notify::new());
        self.views.lock().push(Watched { seen, wanted: Arc::clone(&wanted) });
        View { seen: sender, wanted }
    }

    /// Waits until all views have seen what was committed here. What a view itself changes waits for none.
    pub(crate) async fn seen(&self) {
        if Origin::current().is_some() {
            return;
        }
        let views: Vec<Watched> = {
            let mut views = self.views.lock();
            if views.is_empty() {
                return;
            }
            views.retain(|view| view.seen.has_changed().is_ok());
            views.clone()
        };
        let number = self.names.announced();
        for Watched { mut seen, wanted } in views {
            if *seen.borrow() < number {
                wanted.notify_one();
            }
            // An error means that the view has ended.
            if tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen >= number)).await.is_err() {
                metrics::counter!("fdfs_objects_late_views_total").increment(1);
            }
        }
    }
}

/// How long a view may hold up an answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;
    use crate::testing::MemoryFiles;
    use crate::{Defaults, Namespace, NewBucketOptions, Settings};

    #[tokio::test]
    async fn a_change_is_answered_when_every_view_has_seen_it() {
        let names = Namespace::in_memory(Defaults::default()).unwrap();
        let objects = Objects::new(names, Arc::new(MemoryFiles::default()), Settings::default());
        let (view, gone) = (objects.view(), objects.view());
        drop(gone);
        let origin = Origin::unique();
        origin.scope(objects.create_bucket("photos", NewBucketOptions::default())).await.unwrap();

        let mut waiting = pin!(objects.seen());
        assert!(poll!(&mut waiting).is_pending());
        view.wanted().await;
        view.has_seen(objects.namespace().announced() - 1);
        assert!(poll!(&mut waiting).is_pending());
        view.has_seen(objects.namespace().announced());
        waiting.await;

        // What a view does itself does not wait for it.
        origin.scope(objects.delete_bucket("photos")).await.unwrap();
        let mut later = pin!(objects.seen());
        assert!(poll!(&mut later).is_pending());
        origin.scope(objects.seen()).await;
    }
}
