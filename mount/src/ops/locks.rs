//! Locks of files: fcntl and flock, across mounts.

use std::time::Duration;

use fdfs_objects::{ChangeKind, Lock, LockKind, LockOwner};
use fuser::FileHandle;
use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

use crate::error::FsError;
use crate::file_system::FileSystem;
use crate::locks::Holder;

/// A lock that a program asks for or gives back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The file.
    pub(crate) inode: u64,
    /// The handle it is asked for with.
    pub(crate) handle: FileHandle,
    /// The owner as the kernel names it.
    pub(crate) owner: u64,
    /// The lock.
    pub(crate) lock: Lock,
}

impl Wanted {
    fn of(&self) -> LockOwner {
        LockOwner { inode: self.inode, owner: self.owner }
    }
}

/// What is in the way of a lock, if anything is.
pub(crate) async fn test(fs: &FileSystem, wanted: Wanted) -> Result<Option<Lock>, FsError> {
    Ok(fs.objects.lock_conflict(wanted.of(), wanted.lock).await?)
}

/// Takes a lock that nothing is in the way of. What others wrote under theirs is seen from here on.
pub(crate) async fn take(fs: &FileSystem, wanted: Wanted) -> Result<(), FsError> {
    let Wanted { inode, handle, owner, lock } = wanted;
    fs.locks.note(inode, Holder { owner, handle, kind: lock.kind });
    if fs.objects.lock(wanted.of(), lock).await?.is_some() {
        return Err(FsError::Locked);
    }
    if let Some(file) = fs.files.get(inode) {
        let seen = file.revalidate(fs).await;
        if seen.is_err() {
            fs.objects.unlock(wanted.of(), lock).await?;
        }
        return seen;
    }
    Ok(())
}

/// Takes a lock as soon as nothing is in the way; gives up when the program is to be woken up by a signal.
pub(crate) async fn wait(
    fs: &FileSystem,
    wanted: Wanted,
    is_interrupted: impl Fn() -> bool,
) -> Result<(), FsError> {
    // Before the first look, so that nothing is missed between a look and a wait.
    let mut changes = fs.objects.changes();
    loop {
        match take(fs, wanted).await {
            Err(FsError::Locked) => {}
            done => return done,
        }
        let mut looks = 0..LOOKS;
        while looks.next().is_some() {
            if is_interrupted() || fs.is_ending() {
                return Err(FsError::Interrupted);
            }
            let given_back = async {
                loop {
                    match changes.recv().await {
                        Ok(change) if change.kind == ChangeKind::Unlocked && change.inode == wanted.inode => {
                            return;
                        }
                        Ok(change) if change.kind == ChangeKind::Missed => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            if tokio::time::timeout(LOOK_AROUND, given_back).await.is_ok() {
                break;
            }
        }
    }
}

/// Gives a range back. What was written under it is committed first, so that the next who takes it sees that.
pub(crate) async fn give_back(fs: &FileSystem, wanted: Wanted) -> Result<(), FsError> {
    if !fs.locks.has(wanted.inode, wanted.owner, wanted.lock.kind) {
        return Ok(());
    }
    if let Some(file) = fs.files.get(wanted.inode)
        && let Err(error) = file.flush(fs).await
    {
        warn!(ino = wanted.inode, %error, "what was written under a lock is not committed; fsync and close tell it");
    }
    Ok(fs.objects.unlock(wanted.of(), wanted.lock).await?)
}

/// A process closed a file: its locks of ranges go, whichever descriptor it took them with.
pub(crate) async fn closed(fs: &FileSystem, inode: u64, owner: u64) -> Result<(), FsError> {
    let done = |holder: &Holder| holder.owner == owner && holder.kind == LockKind::Range;
    give_back_all(fs, inode, fs.locks.take(inode, done)).await
}

/// Nobody has a handle any more: what was locked through it is not.
pub(crate) async fn released(fs: &FileSystem, inode: u64, handle: FileHandle) -> Result<(), FsError> {
    give_back_all(fs, inode, fs.locks.take(inode, |holder| holder.handle == handle)).await
}

async fn give_back_all(fs: &FileSystem, inode: u64, holders: Vec<Holder>) -> Result<(), FsError> {
    for Holder { owner, kind, .. } in holders {
        let all = Lock { kind, start: 0, end: u64::MAX, exclusive: false, pid: 0 };
        fs.objects.unlock(LockOwner { inode, owner }, all).await?;
    }
    Ok(())
}

/// How often who waits looks whether a signal came: the kernel tells that to nobody.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// Looks after which a lock is tried again though nobody gave it back: its holder may be dead.
const LOOKS: u32 = 10;
