//! From whom a storage gets old files, and what became of identities (77, 78, 79, 86, 87, 88).

use fdfs_proto::cluster::{
    ChangelogRequest, ReportIpChangedRequest, SyncDestQueryRequest, SyncDestRequest, SyncNotifyRequest,
    SyncSource, SyncSourceRequest, SyncSourceResponse,
};
use fdfs_proto::{Header, Status};
use fdfs_rules::{Member, SyncRange};
use tracing::{error, warn};

use crate::answer::{Answer, Denial, Outcome, read};
use crate::core::{Core, now};
use crate::session::{Role, Session};

impl Core {
    pub(super) fn sync_destination(&self, member: &Member, _: SyncDestRequest) -> Outcome {
        let (range, actions) = self.state.lock().cluster.sync_destination_request(member, now())?;
        Ok(Answer::with(&response(range)).after(actions))
    }

    pub(super) fn sync_destination_query(&self, member: &Member, _: SyncDestQueryRequest) -> Outcome {
        Ok(Answer::with(&response(self.state.lock().cluster.sync_destination_query(member)?)))
    }

    pub(super) fn sync_notify(&self, member: &Member, request: &SyncNotifyRequest) -> Outcome {
        let until = request.until;
        let range = request.source.map(|source| SyncRange { source, until });
        Ok(Answer::done(self.state.lock().cluster.sync_notify(member, range)?))
    }

    pub(super) fn sync_source(&self, session: &Session, header: &Header, body: &[u8]) -> Outcome {
        let mut state = self.state.lock();
        if !state.knows_peer(session.peer) {
            warn!(peer = %session.peer, "sync source asked for by a stranger");
            return Err(Status::EACCES.into());
        }
        let SyncSourceRequest { group, storage_id } = read(header, body)?;
        let (range, actions) = state.cluster.sync_source_request(&group, &storage_id)?;
        Ok(Answer::with(&response(range)).after(actions))
    }

    pub(super) fn changelog(&self, session: &Session, header: &Header, body: &[u8]) -> Outcome {
        let mut state = self.state.lock();
        let joined = match &session.role {
            Role::Storage { member, .. } => Some((member.group, member.id)),
            _ if !state.knows_peer(session.peer) && !state.cluster.remembers_peer(session.peer) => {
                warn!(peer = %session.peer, "changelog asked for by a stranger");
                return Err(Status::EACCES.into());
            }
            _ => None,
        };
        let request: ChangelogRequest = read(header, body)?;
        let ((Some((group, id)), None) | (None, Some((group, id)))) = (joined, request.storage) else {
            return Err(Status::EINVAL.into());
        };
        let offset = state.cluster.changelog_offset(&group, &id)?;
        let lines = self.disk.changelog_from(offset).map_err(|error| {
            error!(%error, "changelog cannot be read");
            Denial::Status(error.raw_os_error().map_or(Status::EIO, Status::from_errno))
        })?;
        let seen = offset.min(self.disk.changelog_length()) + lines.len() as u64;
        let actions = state.cluster.changelog_seen(&group, &id, seen);
        Ok(Answer { body: lines, ..Answer::default() }.after(actions))
    }

    pub(super) fn report_ip_changed(&self, session: &Session, header: &Header, body: &[u8]) -> Outcome {
        let request: ReportIpChangedRequest = match read(header, body) {
            Err(_) if self.uses_ids() && body.len() == 108 => {
                return Err(Denial::Echo(Status::EOPNOTSUPP, body.to_vec()));
            }
            other => other?,
        };
        if self.uses_ids() {
            return Err(Denial::Echo(Status::EOPNOTSUPP, body.to_vec()));
        }
        if !self.adjusts_changed_ips {
            return Err(Status::EACCES.into());
        }
        let ReportIpChangedRequest { group, old_ip, new_ip } = request;
        let peer = session.peer;
        let mut state = self.state.lock();
        Ok(Answer::done(state.cluster.report_ip_changed(&group, old_ip, new_ip, peer, now())?))
    }

    fn uses_ids(&self) -> bool {
        self.state.lock().cluster.settings().ids.is_some()
    }
}

fn response(range: Option<SyncRange>) -> SyncSourceResponse {
    let source = range.map(|SyncRange { source, until }| SyncSource { id: source, until });
    SyncSourceResponse { source }
}
