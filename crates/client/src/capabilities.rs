//! Which storages are ours, and what they can do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use fdfs_net::CallError;
use fdfs_proto::Status;
use fdfs_proto::ours::{Capabilities, Hello, HelloRequest};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::servers::Servers;

/// What servers answered to our hello.
#[derive(Debug, Default)]
pub(crate) struct CapabilityCache {
    known: Mutex<HashMap<SocketAddr, (Instant, Capabilities)>>,
}

impl CapabilityCache {
    /// What a server can do beyond the original protocol; nothing if it is an original one.
    pub(crate) async fn get(
        &self,
        servers: &Servers,
        address: SocketAddr,
    ) -> Result<Capabilities, CallError> {
        if let Some((at, capabilities)) = self.known.lock().get(&address)
            && at.elapsed() < MAX_AGE
        {
            return Ok(*capabilities);
        }
        let hello = Hello {
            version: Hello::VERSION,
            capabilities: Capabilities::default(),
            software: concat!("fdfs-client ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let capabilities = match servers.ask(address, &HelloRequest(hello)).await {
            Ok(answer) => answer.capabilities,
            Err(CallError::Status(Status::EINVAL)) => Capabilities::default(),
            Err(error) => return Err(error),
        };
        self.known.lock().insert(address, (Instant::now(), capabilities));
        Ok(capabilities)
    }

    /// A server may be another one now.
    pub(crate) fn forget(&self, address: SocketAddr) {
        self.known.lock().remove(&address);
    }
}

/// A server is asked again after this time: it may have been replaced by a newer one.
const MAX_AGE: Duration = Duration::from_secs(600);
