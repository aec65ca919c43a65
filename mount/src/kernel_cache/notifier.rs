//! What the kernel is told without having asked: messages of the FUSE protocol that take back what it keeps.
//!
//! A notification may wait for a lock that a request under way holds, so that one must never be sent by whoever answers requests: but for
//! attributes of an inode that the request itself keeps from going, which waits for nothing.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Sends notifications to one mount's kernel side.
#[derive(Debug)]
pub(crate) struct Notifier(OwnedFd);

/// What of an inode is no longer true.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stale {
    /// Its attributes.
    Attributes,
    /// Its bytes as well.
    Content,
}

impl Notifier {
    /// A notifier of the session that reads from `device`.
    pub(crate) fn new(device: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(device.try_clone_to_owned()?))
    }

    /// The name is to be looked at again; true if the kernel had it. What it stands for stays open, and who is in it stays there.
    pub(crate) fn entry(&self, parent: u64, name: &[u8]) -> io::Result<bool> {
        let Ok(length) = u32::try_from(name.len()) else { return Ok(false) };
        let mut body = Vec::with_capacity(17 + name.len());
        body.extend_from_slice(&parent.to_ne_bytes());
        body.extend_from_slice(&length.to_ne_bytes());
        body.extend_from_slice(&EXPIRE_ONLY.to_ne_bytes());
        body.extend_from_slice(name);
        body.push(0);
        self.send(ENTRY, &body)
    }

    /// The inode is to be asked for again; true if the kernel knew it.
    pub(crate) fn inode(&self, inode: u64, stale: Stale) -> io::Result<bool> {
        let from: i64 = match stale {
            Stale::Attributes => -1,
            Stale::Content => 0,
        };
        let mut body = Vec::with_capacity(24);
        body.extend_from_slice(&inode.to_ne_bytes());
        body.extend_from_slice(&from.to_ne_bytes());
        body.extend_from_slice(&0_i64.to_ne_bytes());
        self.send(INODE, &body)
    }

    /// Every name is to be looked at again; an error where the kernel (before 6.16) cannot do that.
    pub(crate) fn epoch(&self) -> io::Result<()> {
        self.send(EPOCH, &[]).map(drop)
    }

    fn send(&self, code: i32, body: &[u8]) -> io::Result<bool> {
        let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&code.to_ne_bytes());
        // No request is answered by this.
        message.extend_from_slice(&0_u64.to_ne_bytes());
        message.extend_from_slice(body);
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.0, &message)) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Bytes before the body: length, code, number of the request.
const HEADER: usize = 16;
const INODE: i32 = 2;
const ENTRY: i32 = 3;
const EPOCH: i32 = 8;
/// The entry is looked up again when it is used next; without this it is torn out of the tree.
const EXPIRE_ONLY: u32 = 1;
