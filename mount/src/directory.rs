//! Reading a directory: one walk for each handle, page by page.

use fdfs_objects::{DirectoryEntry, ObjectsError};
use tokio::sync::Mutex;

use crate::file_system::FileSystem;

/// A directory that a program has open.
pub(crate) struct OpenDirectory {
    /// The directory.
    pub(crate) inode: u64,
    walk: Mutex<Walk>,
}

/// Where a walk is. The entry with the cookie `n` is the `n`-th that was found; 1 and 2 are `.` and `..`.
#[derive(Default)]
struct Walk {
    /// Where every page seen so far began: the cookie before its first entry, and what to ask for it with.
    pages: Vec<(u64, Option<Vec<u8>>)>,
    /// Which of them is at hand.
    at: usize,
    entries: Vec<DirectoryEntry>,
    next: Option<Vec<u8>>,
}

impl OpenDirectory {
    /// A walk that has not begun.
    pub(crate) fn new(inode: u64) -> Self {
        Self { inode, walk: Mutex::default() }
    }

    /// Gives the entries after `cookie` (2 is before the first) with their cookies to `take`, until it is full or there are none.
    pub(crate) async fn read(
        &self,
        fs: &FileSystem,
        cookie: u64,
        take: &mut (dyn FnMut(u64, &DirectoryEntry) -> bool + Send),
    ) -> Result<(), ObjectsError> {
        let mut walk = self.walk.lock().await;
        walk.seek(fs, self.inode, cookie).await?;
        let mut cookie = cookie;
        loop {
            let (first, _) = walk.pages[walk.at];
            let skip = usize::try_from(cookie - first).unwrap_or(usize::MAX);
            for entry in walk.entries.iter().skip(skip) {
                cookie += 1;
                if take(cookie, entry) {
                    return Ok(());
                }
            }
            let Some(next) = walk.next.take() else { return Ok(()) };
            let page = (first + walk.entries.len() as u64, Some(next));
            cookie = cookie.max(page.0);
            let at = walk.at + 1;
            walk.pages.truncate(at);
            walk.pages.push(page);
            walk.load(fs, self.inode, at).await?;
        }
    }
}

impl Walk {
    /// Has the page at hand in which the entry after `cookie` is, or after which it comes.
    async fn seek(&mut self, fs: &FileSystem, inode: u64, cookie: u64) -> Result<(), ObjectsError> {
        if cookie <= DOTS || self.pages.is_empty() {
            self.pages = vec![(DOTS, None)];
            return self.load(fs, inode, 0).await;
        }
        let at = self.pages.partition_point(|(first, _)| *first <= cookie).saturating_sub(1);
        if at == self.at { Ok(()) } else { self.load(fs, inode, at).await }
    }

    async fn load(&mut self, fs: &FileSystem, inode: u64, at: usize) -> Result<(), ObjectsError> {
        let after = self.pages[at].1.clone();
        let page = fs.objects.read_directory(inode, after.clone(), PAGE).await;
        let page = page.inspect_err(|_| {
            // What is at hand is of another page: the next read begins anew from what is known.
            self.at = usize::MAX;
        })?;
        (self.at, self.entries, self.next) = (at, page.entries, page.next);
        Ok(())
    }
}

/// The cookie of `..`, after which the entries come.
pub(crate) const DOTS: u64 = 2;
/// Entries asked for at once.
const PAGE: usize = 1_000;
