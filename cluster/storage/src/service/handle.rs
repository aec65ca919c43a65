//! What a request without content does.

use std::net::IpAddr;

use fdfs_proto::{Encode, Request};
use fdfs_types::{GroupName, RemoteFilename};

use crate::{error::Refusal, shared::Shared};

/// A request without content: read whole, handled in one go, answered in one write.
pub(super) trait Handle: Request + Send + 'static {
    /// What is answered.
    type Answer: Encode + Send + 'static;

    /// Longest body.
    const LIMIT: usize = SMALL;

    /// The group it is about, where it names one.
    fn group(&self) -> Option<GroupName> {
        None
    }

    /// The file it is about, for the access log.
    fn filename(&self) -> Option<&RemoteFilename> {
        None
    }

    /// Whether it is about a private file, which strangers are not told of.
    fn is_private(&self) -> bool {
        self.filename().is_some_and(RemoteFilename::is_private)
    }

    /// Whether it may have to wait for the disk for long. `is_durable` says that changes have to reach the disk.
    fn may_wait(&self, is_durable: bool) -> bool {
        is_durable
    }

    /// Does what it asks for.
    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Self::Answer, Refusal>;
}

/// Longest request without content and metadata: two names, their lengths, and some room.
pub(super) const SMALL: usize = 1024;

/// Longest request that carries metadata, or many numbers.
pub(super) const LARGE: usize = 256 * 1024;
