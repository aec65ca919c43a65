//! Which storages to upload to, one after another.

use std::net::SocketAddr;

use fdfs_net::CallError;
use fdfs_proto::Status;
use fdfs_proto::tracker::{
    QueryStoreAllRequest, QueryStoreInGroupAllRequest, QueryStoreInGroupOneRequest, QueryStoreOneRequest,
    QueryUpdateRequest,
};

use super::recent::UnderWay;
use super::{UploadKind, UploadSpec};
use crate::{Client, ClientError};

/// A storage and the store path to use there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) store_path: Option<u8>,
}

/// The storages that were tried, and those to try.
pub(super) struct Targets<'a> {
    client: &'a Client,
    spec: &'a UploadSpec,
    tried: Vec<SocketAddr>,
    last: Option<(SocketAddr, CallError)>,
    under_way: UnderWay<'a>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(client: &'a Client, spec: &'a UploadSpec) -> Self {
        let under_way = client.inner().recent_targets.begin();
        Self { client, spec, tried: Vec::new(), last: None, under_way }
    }

    /// The next storage. [`ClientError::Unavailable`] when all have failed for now.
    pub(super) async fn next(&mut self) -> Result<Target, ClientError> {
        if let Some(address) = self.spec.storage {
            return self.untried(Target { address, store_path: self.spec.store_path });
        }
        if let UploadKind::Slave { master, .. } = &self.spec.kind {
            let request = QueryUpdateRequest { file_id: master.clone() };
            let answer = self.client.inner().trackers.ask(&request).await?;
            return self.untried(Target { address: answer.storage, store_path: None });
        }
        for _ in 0..ASK_FOR_ONE {
            let target = self.ask_for_one().await?;
            if !self.tried.contains(&target.address) && !self.is_silent(target) {
                return Ok(target);
            }
        }
        let mut untried = self.ask_for_all().await?;
        untried.retain(|target| !self.tried.contains(&target.address));
        let first = untried.iter().position(|target| !self.is_silent(*target)).unwrap_or(0);
        untried.get(first).copied().ok_or_else(|| self.exhausted())
    }

    fn is_silent(&self, target: Target) -> bool {
        self.client.inner().servers.is_silent(target.address)
    }

    /// Takes note that a storage cannot take the file now.
    pub(super) fn failed(&mut self, target: Target, error: CallError) {
        let kind = self.spec.command().name().unwrap_or("unknown");
        metrics::counter!("fdfs_client_replica_failures_total", "command" => kind).increment(1);
        self.under_way.forget(target.address);
        self.tried.push(target.address);
        self.last = Some((target.address, error));
    }

    /// Those that have failed may be tried again.
    pub(super) fn again(&mut self) {
        self.tried.clear();
    }

    fn untried(&mut self, target: Target) -> Result<Target, ClientError> {
        if self.tried.contains(&target.address) { Err(self.exhausted()) } else { Ok(target) }
    }

    fn exhausted(&mut self) -> ClientError {
        match self.last.take() {
            Some((_, CallError::Status(Status::ENOSPC))) => ClientError::NoSpace,
            Some((address, error)) => ClientError::unavailable(
                format!("no storage takes the file; {address}: {error}"),
                Some(error),
            ),
            None => ClientError::unavailable("no storage takes the file", None),
        }
    }

    async fn ask_for_one(&self) -> Result<Target, ClientError> {
        let recent = self.under_way.answer(self.spec.group).filter(|_| self.tried.is_empty());
        if let Some((address, store_path)) = recent {
            return Ok(self.target(address, store_path));
        }
        let trackers = &self.client.inner().trackers;
        let answer = match self.spec.group {
            Some(group) => trackers.ask(&QueryStoreInGroupOneRequest { group }).await,
            None => trackers.ask(&QueryStoreOneRequest).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.explain(error).await),
        };
        self.under_way.note(self.spec.group, answer.storage, answer.store_path);
        Ok(self.target(answer.storage, answer.store_path))
    }

    /// A storage and the store path that a tracker names, but for what was asked for.
    fn target(&self, address: SocketAddr, store_path: u8) -> Target {
        let store_path = self.spec.store_path.or(Some(store_path).filter(|index| *index < 0x80));
        Target { address, store_path }
    }

    async fn ask_for_all(&self) -> Result<Vec<Target>, ClientError> {
        let trackers = &self.client.inner().trackers;
        let answer = match self.spec.group {
            Some(group) => trackers.ask(&QueryStoreInGroupAllRequest { group }).await,
            None => trackers.ask(&QueryStoreAllRequest).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.explain(error).await),
        };
        let store_path = self.spec.store_path;
        Ok(answer.storages.into_iter().map(|address| Target { address, store_path }).collect())
    }

    /// "Not found" means that the group does not exist, or that nobody in it takes uploads now.
    async fn explain(&self, error: ClientError) -> ClientError {
        if !matches!(error, ClientError::NotFound) {
            return error;
        }
        if let Some(group) = self.spec.group {
            match self.client.inner().new_topology().await {
                Ok(topology) if !topology.groups.contains_key(&group) => return ClientError::NotFound,
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        ClientError::unavailable("no storage takes uploads", None)
    }
}

/// The tracker takes turns: it is asked so often for one storage that was not tried before.
const ASK_FOR_ONE: u32 = 2;
