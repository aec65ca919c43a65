//! Where to upload, read and change files (101 to 107).

use std::net::SocketAddr;

use fdfs_proto::Status;
use fdfs_proto::tracker::{
    QueryFetchAllRequest, QueryFetchAllResponse, QueryFetchOneRequest, QueryFetchOneResponse,
    QueryStoreAllRequest, QueryStoreAllResponse, QueryStoreInGroupAllRequest, QueryStoreInGroupOneRequest,
    QueryStoreOneRequest, QueryStoreOneResponse, QueryUpdateRequest,
};
use fdfs_rules::{Endpoint, FetchTarget, FileOrigin, HowMany, Refusal};
use fdfs_types::{FileId, GroupName};

use crate::answer::{Answer, Denial, Outcome};
use crate::core::{Core, now};
use crate::session::Session;

impl Core {
    pub(super) fn query_store_one(&self, session: &Session, _: QueryStoreOneRequest) -> Outcome {
        self.store_one(session, None)
    }

    pub(super) fn query_store_in_group_one(
        &self,
        session: &Session,
        request: &QueryStoreInGroupOneRequest,
    ) -> Outcome {
        self.store_one(session, Some(&request.group))
    }

    pub(super) fn query_store_all(&self, session: &Session, _: QueryStoreAllRequest) -> Outcome {
        self.store_all(session, None)
    }

    pub(super) fn query_store_in_group_all(
        &self,
        session: &Session,
        request: &QueryStoreInGroupAllRequest,
    ) -> Outcome {
        self.store_all(session, Some(&request.group))
    }

    pub(super) fn query_fetch_one(&self, session: &Session, request: &QueryFetchOneRequest) -> Outcome {
        self.one(self.fetch(session, &request.file_id, HowMany::One)?)
    }

    pub(super) fn query_update(&self, session: &Session, request: &QueryUpdateRequest) -> Outcome {
        let FileId { group, filename } = &request.file_id;
        let mut state = self.state.lock();
        state.cluster.group(group)?;
        let origin = FileOrigin::of(filename).map_err(|_| Status::EINVAL)?;
        self.one(state.cluster.query_update(group, &origin, session.peer)?)
    }

    pub(super) fn query_fetch_all(&self, session: &Session, request: &QueryFetchAllRequest) -> Outcome {
        let FetchTarget { group, servers } = self.fetch(session, &request.file_id, HowMany::All)?;
        let storages = servers.iter().map(socket).collect();
        Ok(Answer::with(&QueryFetchAllResponse { ip_width: self.ip_width, group, storages }))
    }

    fn fetch(&self, session: &Session, file: &FileId, how_many: HowMany) -> Result<FetchTarget, Denial> {
        let FileId { group, filename } = file;
        let mut state = self.state.lock();
        state.cluster.group(group)?;
        let origin = FileOrigin::of(filename).map_err(|_| Status::EINVAL)?;
        Ok(state.cluster.query_fetch(group, &origin, how_many, session.peer, now())?)
    }

    fn one(&self, target: FetchTarget) -> Outcome {
        let FetchTarget { group, servers } = target;
        let storage = servers.first().map(socket).ok_or(Refusal::NotFound)?;
        Ok(Answer::with(&QueryFetchOneResponse { ip_width: self.ip_width, group, storage }))
    }

    fn store_one(&self, session: &Session, group: Option<&GroupName>) -> Outcome {
        let target = self.state.lock().cluster.query_store(group, HowMany::One, session.peer)?;
        let storage = target.servers.first().map(socket).ok_or(Refusal::NotFound)?;
        Ok(Answer::with(&QueryStoreOneResponse {
            ip_width: self.ip_width,
            group: target.group,
            storage,
            store_path: target.path,
        }))
    }

    fn store_all(&self, session: &Session, group: Option<&GroupName>) -> Outcome {
        let target = self.state.lock().cluster.query_store(group, HowMany::All, session.peer)?;
        Ok(Answer::with(&QueryStoreAllResponse {
            ip_width: self.ip_width,
            group: target.group,
            storages: target.servers.iter().map(socket).collect(),
            store_path: target.path,
        }))
    }
}

fn socket(endpoint: &Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.ip, endpoint.port)
}
