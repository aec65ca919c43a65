//! Storages join and report (59, 72 to 74, 76, 81, 83, 84, 85, 89).

use std::net::IpAddr;

use fdfs_proto::cluster::{
    BeatRequest, ChangeStatusRequest, DiskUsageRequest, FetchTrunkFidRequest, FetchTrunkFidResponse,
    JoinRequest, JoinResponse, Notification, ReplicaChangeRequest, ReportStatusRequest,
    ReportTrunkFidRequest, ReportTrunkFreeRequest, SyncReportRequest,
};
use fdfs_proto::{Brief, Decode, Header, Status};
use fdfs_rules::{Action, Claim, LeaderNews, Member, Refusal, Space, StatusReport, TrackerAddress};
use fdfs_types::StorageStatus;
use tracing::{error, warn};

use super::lookups::brief;
use crate::answer::{Answer, Outcome, read};
use crate::core::{Core, State, now};
use crate::session::{Role, Session};

impl Core {
    pub(super) fn join(&self, session: &mut Session, header: &Header, body: &[u8]) -> Outcome {
        let peer = session.peer;
        let request = match JoinRequest::decode(body) {
            Ok(request) if header.length == body.len() as u64 => request,
            Ok(_) => return Err(Status::EINVAL.into()),
            Err(error) => {
                error!(%peer, %error, "join refused");
                return Err(error.status().into());
            }
        };
        match self.try_join(session, &request) {
            Ok(answer) => Ok(answer),
            Err(refusal) => {
                error!(%peer, group = %request.group, %refusal, "join refused");
                Err(refusal.into())
            }
        }
    }

    fn try_join(&self, session: &mut Session, request: &JoinRequest) -> Result<Answer, Refusal> {
        let trackers =
            request.trackers.iter().map(TrackerAddress::try_from).collect::<Result<Vec<_>, _>>()?;
        let local = self.local_addresses(session, &trackers, request.tracker_ip);
        let asked = fdfs_rules::JoinRequest {
            group: request.group,
            claim: Claim {
                port: request.port,
                path_count: request.store_path_count,
                subdir_count: request.subdir_count,
            },
            upload_priority: request.upload_priority,
            join_time: request.joined,
            up_time: request.started,
            version: request.version.clone(),
            initial: request.is_initial,
            status: request.status,
            id: request.storage_id,
            peer: session.peer,
        };
        let length = self.disk.changelog_length();
        let mut state = self.state.lock();
        state.leadership.check_list(&trackers, &local)?;
        let (joined, actions) = state.cluster.join(&asked, length)?;
        state.leadership.on_list(&trackers, &local, now())?;
        let before = std::mem::replace(&mut session.role, Role::Storage { member: joined.member, heard: 0 });
        let mut actions = actions;
        if let Role::Storage { member, .. } = before {
            // Another storage spoke here; one that joins twice has a newer session now.
            actions.extend(state.cluster.disconnected(&member));
        }
        let response = JoinResponse { status: joined.status, sync_source: joined.sync_source };
        Ok(Answer::with(&response).after(actions))
    }

    /// The addresses by which a storage reaches this tracker. Behind a forwarded one only the storage
    /// knows it; where the list has the true one, what the storage says may be that of another tracker.
    pub(crate) fn local_addresses(
        &self,
        session: &Session,
        trackers: &[TrackerAddress],
        told: Option<IpAddr>,
    ) -> Vec<IpAddr> {
        let reached =
            |address: &TrackerAddress| address.port == self.port && address.addresses.contains(session.local);
        let believed = if trackers.iter().any(reached) { None } else { told };
        [Some(session.local), believed.map(|ip| ip.to_canonical())].into_iter().flatten().collect()
    }

    pub(super) fn beat(&self, session: &mut Session, member: &Member, request: BeatRequest) -> Outcome {
        let mut state = self.state.lock();
        let actions = state.cluster.beat(member, request.stat.map(|stat| *stat), now())?;
        notify(&mut state, session, member, actions)
    }

    pub(super) fn disk_usage(
        &self,
        session: &mut Session,
        member: &Member,
        request: &DiskUsageRequest,
    ) -> Outcome {
        let paths: Vec<_> = request
            .store_paths
            .iter()
            .map(|path| Space { total_mb: path.total_mb, free_mb: path.free_mb })
            .collect();
        let mut state = self.state.lock();
        let actions = state.cluster.disk_usage(member, &paths)?;
        notify(&mut state, session, member, actions)
    }

    pub(super) fn sync_report(
        &self,
        session: &mut Session,
        member: &Member,
        request: &SyncReportRequest,
    ) -> Outcome {
        let rows: Vec<_> = request.rows.iter().map(|row| (row.source, row.until)).collect();
        let mut state = self.state.lock();
        let actions = state.cluster.sync_report(member, &rows)?;
        notify(&mut state, session, member, actions)
    }

    pub(super) fn replica_change(&self, member: &Member, request: &ReplicaChangeRequest) -> Outcome {
        let reports: Vec<_> = request.storages.iter().filter_map(report).collect();
        Ok(Answer::done(self.state.lock().cluster.replica_change(member, &reports)?))
    }

    pub(super) fn change_status(&self, member: &Member, request: ChangeStatusRequest) -> Outcome {
        Ok(Answer::done(self.state.lock().cluster.change_status(member, request.status)?))
    }

    pub(super) fn report_status(&self, session: &Session, header: &Header, body: &[u8]) -> Outcome {
        let mut state = self.state.lock();
        if !state.knows_peer(session.peer) {
            warn!(peer = %session.peer, "status of a storage reported by a stranger");
            return Err(Status::EACCES.into());
        }
        let request: ReportStatusRequest = read(header, body)?;
        let report = report(&request.storage).ok_or(Status::EINVAL)?;
        Ok(Answer::done(state.cluster.report_status(&request.group, &report)?))
    }

    pub(super) fn fetch_trunk_fid(&self, member: &Member, _: FetchTrunkFidRequest) -> Outcome {
        let trunk_file_id = self.state.lock().cluster.trunk_file_id(member)?;
        Ok(Answer::with(&FetchTrunkFidResponse { trunk_file_id }))
    }

    pub(super) fn report_trunk_fid(&self, member: &Member, request: ReportTrunkFidRequest) -> Outcome {
        let actions = self.state.lock().cluster.report_trunk_file_id(member, request.trunk_file_id)?;
        Ok(Answer::done(actions))
    }

    pub(super) fn report_trunk_free(&self, member: &Member, request: ReportTrunkFreeRequest) -> Outcome {
        self.state.lock().cluster.report_trunk_free(member, request.free_mb)?;
        Ok(Answer::default())
    }
}

fn report(brief: &Brief) -> Option<StatusReport> {
    Some(StatusReport { id: brief.id?, status: brief.status, ip: brief.ip, port: brief.port })
}

/// The answer to a report: what the storage has not heard yet.
fn notify(state: &mut State, session: &mut Session, member: &Member, actions: Vec<Action>) -> Outcome {
    let leader = state.leadership.leader().map(TrackerAddress::first);
    let news = LeaderNews {
        changes: state.leadership.changes(),
        leader: leader.map(|leader| (leader.ip(), leader.port())),
    };
    let Role::Storage { heard, .. } = &mut session.role else { return Err(Status::EACCES.into()) };
    let told = state.cluster.notification(member, news, heard, session.peer)?;
    let leader = told.leader.map(|(ip, port)| {
        let id: String = ip.to_string().chars().take(fdfs_types::StorageId::MAX_LEN).collect();
        Brief { status: StorageStatus::Init, port, id: id.parse().ok(), ip: Some(ip) }
    });
    let trunk_server = told.trunk_server.map(|server| server.as_ref().map_or(Brief::NOBODY, brief));
    let members = told.storages.map(|storages| storages.iter().map(brief).collect());
    Ok(Answer::with(&Notification { leader, trunk_server, members }).after(actions))
}
