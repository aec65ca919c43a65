//! Asking the member that has made a content for a link to it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use fdfs_net::CallError;
use fdfs_proto::ours::{Capabilities, LinkContentRequest};
use fdfs_types::{Source, StorageStatus};
use parking_lot::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::{Line, LineError, OFFLINE_PATIENCE, Relay, accepted};
use crate::shared::Shared;

/// What became of a question for a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Linked {
    /// The link is there.
    Made,
    /// There is none.
    Refused,
    /// Nobody can tell: there may be one, or come one.
    Unknown,
}

/// The member that has made a content.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    addresses: Vec<SocketAddr>,
    /// How long an upload waits for it.
    patience: Duration,
}

/// Members that took too long, which nobody waits for again at once.
#[derive(Debug, Default)]
pub(super) struct Slow(Mutex<HashMap<SocketAddr, Instant>>);

impl Shared {
    /// The member that has made a content; none where it has left, or was slow lately. What it answers counts, whatever is
    /// listed of it: it knows best whether it has the content.
    pub(crate) fn maker_of_content(&self, source: Source) -> Option<Maker> {
        let membership = self.membership.lock();
        let maker = membership.members().iter().find(|member| accepted(member, source))?;
        let patience = match maker.status {
            _ if maker.id == Some(self.identity.id) => return None,
            StorageStatus::Deleted | StorageStatus::IpChanged | StorageStatus::None => return None,
            StorageStatus::Offline => OFFLINE_PATIENCE,
            _ => WITHIN,
        };
        let addresses = self.identity.addresses_of_member(maker);
        (!self.relay.slow.has(&addresses)).then_some(Maker { addresses, patience })
    }
}

impl Relay {
    /// Asks the maker of a content to make a link.
    pub(crate) async fn link_content(&self, maker: &Maker, request: &LinkContentRequest) -> Linked {
        let linked = match timeout(maker.patience, self.linked(&maker.addresses, request)).await {
            Ok(linked) => linked,
            Err(_elapsed) => {
                self.slow.add(&maker.addresses);
                Linked::Unknown
            }
        };
        let answer = match linked {
            Linked::Made => "made",
            Linked::Refused => "refused",
            Linked::Unknown => "unknown",
        };
        metrics::counter!("fdfs_storage_links_asked_total", "answer" => answer).increment(1);
        linked
    }

    async fn linked(&self, addresses: &[SocketAddr], request: &LinkContentRequest) -> Linked {
        let mut cut_off = false;
        if let Some(line) = self.lines.take(addresses) {
            match self.linked_over(line, request).await {
                // It was closed, before or after the link was made. To ask again does no harm.
                Err(CallError::Net(_)) => cut_off = true,
                answer => return told(answer),
            }
        }
        match self.lines.connect(addresses).await {
            Ok(line) => told(self.linked_over(line, request).await),
            Err(LineError::Call(CallError::Status(_)) | LineError::NotOurs) => Linked::Refused,
            Err(error) => {
                debug!(%error, "the maker of a content cannot be asked");
                if cut_off { Linked::Unknown } else { Linked::Refused }
            }
        }
    }

    async fn linked_over(&self, mut line: Line, request: &LinkContentRequest) -> Result<bool, CallError> {
        if !line.capabilities.contains(Capabilities::LINK_CONTENT) {
            return Ok(false);
        }
        line.peer.ask(request, 0).await?;
        self.lines.keep(line);
        Ok(true)
    }
}

impl Slow {
    fn add(&self, addresses: &[SocketAddr]) {
        let mut slow = self.0.lock();
        slow.retain(|_, since| since.elapsed() < PAUSE);
        slow.extend(addresses.iter().map(|address| (*address, Instant::now())));
    }

    fn has(&self, addresses: &[SocketAddr]) -> bool {
        let slow = self.0.lock();
        addresses.iter().any(|address| slow.get(address).is_some_and(|since| since.elapsed() < PAUSE))
    }
}

fn told(answer: Result<bool, CallError>) -> Linked {
    match answer {
        Ok(true) => Linked::Made,
        Ok(false) | Err(CallError::Status(_)) => Linked::Refused,
        Err(error) => {
            debug!(%error, "the maker of a content does not say whether it has made a link");
            Linked::Unknown
        }
    }
}

/// An upload waits so long, once in a while.
const WITHIN: Duration = Duration::from_secs(10);
/// Whoever took longer is not asked for this time.
const PAUSE: Duration = Duration::from_secs(30);
