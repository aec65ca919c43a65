//! What trackers say to each other (58, 61 to 63, 65 to 68).

use std::sync::Arc;

use fdfs_proto::Status;
use fdfs_proto::cluster::{
    CommitNextLeaderRequest, JoinLeaderRequest, NotifyNextLeaderRequest, PingLeaderRequest,
    PingLeaderResponse, ReselectLeaderRequest, SysFileRequest, SysFileResponse, SysFilesEndRequest,
    SysFilesStartRequest,
};
use fdfs_rules::{DataFile, TrackerAddress, TrackerStatus};
use tracing::{error, info, warn};

use crate::answer::{Answer, Denial, Outcome};
use crate::core::{Core, State, now};
use crate::disk;
use crate::session::{Role, Session};

impl Core {
    pub(super) fn join_leader(&self, session: &mut Session, request: &JoinLeaderRequest) -> Outcome {
        let mut state = self.state.lock();
        if !state.leadership.is_leading() {
            return Err(Status::EOPNOTSUPP.into());
        }
        if !matches!(session.role, Role::Anybody) {
            return Err(Status::EEXIST.into());
        }
        let status = TrackerStatus {
            version: request.version.clone(),
            up_time: request.started,
            last_heartbeat: now(),
            ..TrackerStatus::default()
        };
        let address = state.leadership.on_follower(session.peer, request.port, status)?;
        info!(peer = %session.peer, tracker = %address.first(), "tracker follows");
        session.role = Role::Follower { address, told: None };
        Ok(Answer::default())
    }

    pub(super) fn ping_leader(&self, session: &mut Session, request: PingLeaderRequest) -> Outcome {
        let mut state = self.state.lock();
        if !state.leadership.is_leading() {
            return Err(Status::EOPNOTSUPP.into());
        }
        let Role::Follower { address, told } = &mut session.role else {
            return Err(Status::EINVAL.into());
        };
        state.leadership.on_follower_ping(address, request.connections, now())?;
        let trunk_servers = state.cluster.trunk_servers();
        if told.as_ref() == Some(&trunk_servers) {
            return Ok(Answer::default());
        }
        *told = Some(trunk_servers.clone());
        Ok(Answer::with(&PingLeaderResponse { trunk_servers }))
    }

    pub(super) fn notify_next_leader(&self, session: &Session, request: NotifyNextLeaderRequest) -> Outcome {
        let candidate = TrackerAddress::from(request.leader);
        let mut state = self.state.lock();
        check_tracker(&state, session, &candidate)?;
        let (answer, changes) = state.leadership.on_notify(&candidate, now());
        if !changes.is_empty() {
            error!(peer = %session.peer, other = %request.leader, "two leaders; this one resigns");
        }
        let actions = self.follow_up(&mut state, changes);
        drop(state);
        match answer {
            Ok(()) => Ok(Answer::done(actions)),
            Err(refusal) => {
                self.carry_out_later(actions);
                Err(refusal.into())
            }
        }
    }

    pub(super) fn commit_next_leader(&self, session: &Session, request: CommitNextLeaderRequest) -> Outcome {
        let candidate = TrackerAddress::from(request.leader);
        let mut state = self.state.lock();
        check_tracker(&state, session, &candidate)?;
        let changes = state.leadership.on_commit(&candidate, now())?;
        Ok(Answer::done(self.follow_up(&mut state, changes)))
    }

    pub(super) fn reselect_leader(&self, session: &Session, _: ReselectLeaderRequest) -> Outcome {
        let mut state = self.state.lock();
        let joined = matches!(session.role, Role::Storage { .. });
        if state.leadership.is_leading() && !joined && !state.knows_peer(session.peer) {
            warn!(peer = %session.peer, "a stranger wants another leader");
            return Err(Status::EACCES.into());
        }
        let changes = state.leadership.on_reselect(now())?;
        warn!(peer = %session.peer, "a storage has seen two leaders; choosing again");
        Ok(Answer::done(self.follow_up(&mut state, changes)))
    }

    pub(super) fn start_sys_files(&self, session: &mut Session, _: SysFilesStartRequest) -> Outcome {
        let state = self.state.lock();
        check_member(&state, session)?;
        if state.cluster.groups().is_empty() {
            return Err(Status::ENOENT.into());
        }
        session.sys_files = Some(self.snapshot(&state)?);
        Ok(Answer::default())
    }

    pub(super) fn sys_file(&self, session: &mut Session, request: SysFileRequest) -> Outcome {
        let files = match &session.sys_files {
            Some(files) => Arc::clone(files),
            None => {
                let state = self.state.lock();
                check_member(&state, session)?;
                self.snapshot(&state)?
            }
        };
        let file = &files[usize::from(request.file.to_wire())];
        let rest = usize::try_from(request.offset).ok().and_then(|offset| file.get(offset..));
        let rest = rest.ok_or(Status::EINVAL)?;
        let bytes = rest.get(..SysFileResponse::MAX_PIECE).unwrap_or(rest).to_vec();
        Ok(Answer::with(&SysFileResponse { size: file.len() as u64, bytes }))
    }

    pub(super) fn end_sys_files(&self, session: &mut Session, _: SysFilesEndRequest) -> Outcome {
        session.sys_files = None;
        Ok(Answer::default())
    }

    /// The files as another tracker fetches them. They do not change under its hands, and no lock
    /// waits for it.
    fn snapshot(&self, state: &State) -> Result<Arc<[Vec<u8>; 4]>, Denial> {
        let file = |file| disk::render(file, &state.cluster).into_bytes();
        let changelog = self.disk.whole_changelog().map_err(|error| {
            error!(%error, "changelog cannot be read");
            Denial::Status(Status::EIO)
        })?;
        Ok(Arc::new([
            file(DataFile::Groups),
            file(DataFile::Storages),
            file(DataFile::SyncTimestamps),
            changelog,
        ]))
    }
}

/// Only trackers of the list name leaders, and only trackers of the list can be named.
fn check_tracker(state: &State, session: &Session, candidate: &TrackerAddress) -> Result<(), Denial> {
    if !state.leadership.is_listed(candidate) {
        return Err(Status::ENOENT.into());
    }
    if !state.leadership.knows_peer(session.peer) {
        warn!(peer = %session.peer, "a stranger names a leader");
        return Err(Status::EACCES.into());
    }
    Ok(())
}

fn check_member(state: &State, session: &Session) -> Result<(), Denial> {
    if state.knows_peer(session.peer) { Ok(()) } else { Err(Status::EACCES.into()) }
}
