//! Files that a storage of this machine has lent a moment ago.
//!
//! What is read again at once, as files that many ask for are, need not be borrowed again: that costs two threads a wake-up each,
//! which for a small file is more than its bytes do. A file is kept while it has its one name, so that nobody reads what was
//! deleted, and for a short while, so that its storage is heard again and no space is held.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fdfs_net::{FileContent, Lent};
use fdfs_types::FileId;
use parking_lot::Mutex;
use tokio::runtime::Handle;

/// Files that were lent a moment ago.
#[derive(Debug, Default)]
pub(crate) struct LentFiles {
    kept: Arc<Mutex<HashMap<FileId, Kept>>>,
}

#[derive(Debug)]
struct Kept {
    lender: SocketAddr,
    file: Arc<File>,
    start: u64,
    /// Looks at the files that it has outlived.
    age: u32,
    is_used: bool,
}

impl LentFiles {
    /// The file, if this storage has lent it a moment ago and still has it.
    pub(crate) fn get(&self, file_id: &FileId, lender: SocketAddr) -> Option<FileContent> {
        let (file, start) = {
            let mut kept = self.kept.lock();
            let found = kept.get_mut(file_id).filter(|found| found.lender == lender)?;
            found.is_used = true;
            (Arc::clone(&found.file), found.start)
        };
        if has_its_name(&file) {
            return Some(FileContent::part(file, start));
        }
        self.kept.lock().remove(file_id);
        None
    }

    /// The content of a file that has just been lent, which is kept if it is worth that.
    pub(crate) fn content(&self, file_id: &FileId, lender: SocketAddr, lent: Lent) -> FileContent {
        let (file, start) = (Arc::new(lent.file), lent.place.start);
        if lent.place.size <= LARGEST && has_its_name(&file) {
            let mut kept = self.kept.lock();
            let is_first = kept.is_empty();
            if kept.len() < MOST {
                let file = Arc::clone(&file);
                kept.insert(file_id.clone(), Kept { lender, file, start, age: 0, is_used: false });
            }
            drop(kept);
            if is_first && let Ok(runtime) = Handle::try_current() {
                runtime.spawn(forget(Arc::downgrade(&self.kept)));
            }
        }
        FileContent::part(file, start)
    }
}

/// Whether a file has the name that it was opened by. One of several names could have gone unnoticed.
fn has_its_name(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 1)
}

/// Gives files back, until there are none.
async fn forget(kept: Weak<Mutex<HashMap<FileId, Kept>>>) {
    let on_end = GiveBack(kept);
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(kept) = on_end.0.upgrade() else { return };
        let mut kept = kept.lock();
        kept.retain(|_, file| {
            file.age += 1;
            std::mem::take(&mut file.is_used) && file.age < OLD
        });
        if kept.is_empty() {
            return;
        }
    }
}

/// Gives all files back when nobody looks after them any more: their runtime ends.
struct GiveBack(Weak<Mutex<HashMap<FileId, Kept>>>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        if let Some(kept) = self.0.upgrade() {
            kept.lock().clear();
        }
    }
}

/// How often files are looked at: one that was not read since the last look is given back.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks a file is borrowed anew.
const OLD: u32 = 5;
/// Most files that are kept.
const MOST: usize = 256;
/// Largest file that is kept: to borrow a larger one costs little beside its bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
