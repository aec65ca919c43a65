//! What a tracker tells of the trunk server, and what the trunk server tells it.

use fdfs_conf::ClusterParameters;
use fdfs_net::{CallError, Lease};
use fdfs_proto::{
    Brief, Status,
    cluster::{FetchTrunkFidRequest, ReportTrunkFidRequest, ReportTrunkFreeRequest},
    tracker::ParametersRequest,
};
use tracing::{info, warn};

use super::{MIB, Reporter};

/// What the tracker was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    trunk_file_id: u32,
    free_mb: Option<u64>,
}

impl Reporter {
    /// The leader has told who the trunk server is.
    pub(super) async fn trunk_server_is(&self, lease: &mut Lease, server: &Brief) -> Result<(), CallError> {
        let shared = &self.shared;
        if server.id.is_some() && !shared.trunk.is_on() {
            let answer = lease.ask(&ParametersRequest, super::MAX_ANSWER).await?;
            match ClusterParameters::from_reply(&answer.text) {
                Ok(parameters) => shared.switch_trunk_on(&parameters),
                Err(error) => warn!(%error, "the parameters of the tracker cannot be understood"),
            }
        }
        if shared.trunk.set_server(server) {
            info!(storage_id = ?server.id, "trunk server of the group");
        }
        let store = shared.store.clone();
        let changed = if server.id == Some(shared.identity.id) {
            let Some(settings) = shared.trunk.office_settings() else { return Ok(()) };
            let newest = lease.ask(&FetchTrunkFidRequest, 4).await?.trunk_file_id;
            tokio::task::spawn_blocking(move || store.take_trunk_office(settings, newest)).await
        } else {
            if !store.is_trunk_server() {
                return Ok(());
            }
            tokio::task::spawn_blocking(move || store.leave_trunk_office()).await
        };
        match changed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the office of the trunk server cannot be changed"),
            Err(error) => warn!(%error, "the office of the trunk server cannot be changed"),
        }
        Ok(())
    }

    /// As the trunk server, tells the newest trunk file and how much is free.
    pub(super) async fn report_trunk(&self, lease: &mut Lease, told: &mut Told) -> Result<(), CallError> {
        let store = &self.shared.store;
        let Some(free) = store.trunk_free() else { return Ok(()) };
        let trunk_file_id = store.init_flag().current_trunk_file_id;
        if trunk_file_id > told.trunk_file_id
            && taken(lease.ask(&ReportTrunkFidRequest { trunk_file_id }, 0).await)?
        {
            told.trunk_file_id = trunk_file_id;
        }
        let free_mb = free / MIB;
        if told.free_mb != Some(free_mb) && taken(lease.ask(&ReportTrunkFreeRequest { free_mb }, 0).await)? {
            told.free_mb = Some(free_mb);
        }
        Ok(())
    }
}

/// Whether a tracker takes a report. A follower may not have heard yet who the trunk server is.
fn taken<T>(answer: Result<T, CallError>) -> Result<bool, CallError> {
    match answer {
        Ok(_) => Ok(true),
        Err(CallError::Status(Status::EINVAL)) => Ok(false),
        Err(error) => Err(error),
    }
}
