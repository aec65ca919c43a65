//! Requests: each file answers one family of commands.

mod administration;
mod explanations;
mod lists;
mod lookups;
mod membership;
mod queries;
mod statistics;
mod synchronisation;
mod trackers;

use fdfs_proto::{ActiveTestRequest, Command, Header, Status};
use fdfs_rules::Member;

use crate::answer::{Answer, Denial, Outcome, read};
use crate::core::Core;
use crate::session::{Role, Session};

impl Core {
    /// Answers a request. Nothing here waits: what takes time is left as actions.
    pub(crate) fn answer(&self, session: &mut Session, header: &Header, body: &[u8]) -> Outcome {
        match header.command {
            Command::ACTIVE_TEST => read::<ActiveTestRequest>(header, body).map(|_| Answer::default()),

            Command::QUERY_STORE_ONE => self.query_store_one(session, read(header, body)?),
            Command::QUERY_STORE_ALL => self.query_store_all(session, read(header, body)?),
            Command::QUERY_STORE_IN_GROUP_ONE => self.query_store_in_group_one(session, &read(header, body)?),
            Command::QUERY_STORE_IN_GROUP_ALL => self.query_store_in_group_all(session, &read(header, body)?),
            Command::QUERY_FETCH_ONE => self.query_fetch_one(session, &read(header, body)?),
            Command::QUERY_FETCH_ALL => self.query_fetch_all(session, &read(header, body)?),
            Command::QUERY_UPDATE => self.query_update(session, &read(header, body)?),

            Command::LIST_ONE_GROUP => self.list_one_group(&read(header, body)?),
            Command::LIST_ALL_GROUPS => self.list_all_groups(read(header, body)?),
            Command::LIST_STORAGES => self.list_storages(session, &read(header, body)?),

            Command::GET_LEADER => self.get_leader(session, read(header, body)?),
            Command::TRACKER_CLUSTER_STAT => self.tracker_cluster_stat(session, read(header, body)?),
            Command::STORAGE_CLUSTER_STAT => self.storage_cluster_stat(read(header, body)?),
            Command::STORAGE_VOLUME_STAT => self.storage_volume_stat(read(header, body)?),

            Command::DELETE_STORAGE => self.delete_storage(&read(header, body)?),
            Command::DELETE_GROUP => self.delete_group(&read(header, body)?),
            Command::SET_TRUNK_SERVER => self.set_trunk_server(&read(header, body)?),

            Command::STORAGE_GET_MY_IP => self.get_my_ip(session, &read(header, body)?),
            Command::FETCH_STORAGE_IDS => self.fetch_storage_ids(read(header, body)?),
            Command::GET_SERVER_ID => self.get_server_id(&read(header, body)?),
            Command::STORAGE_GET_STATUS => self.get_storage_status(&read(header, body)?),
            Command::PARAMETER_REQ => self.parameters(read(header, body)?),
            Command::GET_GROUP_NAME => self.get_group_name(session, header, body),
            Command::TRACKER_GET_STATUS => self.get_tracker_status(read(header, body)?),

            Command::JOIN => self.join(session, header, body),
            Command::REPORT_STATUS => self.report_status(session, header, body),
            Command::REPORT_IP_CHANGED => self.report_ip_changed(session, header, body),
            Command::CHANGELOG_REQ => self.changelog(session, header, body),
            Command::SYNC_SRC_REQ => self.sync_source(session, header, body),

            Command::BEAT
            | Command::REPORT_DISK_USAGE
            | Command::SYNC_REPORT
            | Command::REPLICA_CHANGE
            | Command::STORAGE_CHANGE_STATUS
            | Command::SYNC_DEST_REQ
            | Command::SYNC_DEST_QUERY
            | Command::SYNC_NOTIFY
            | Command::FETCH_TRUNK_FID
            | Command::REPORT_TRUNK_FID
            | Command::REPORT_TRUNK_FREE => self.answer_member(session, header, body),

            Command::TRACKER_JOIN_LEADER => self.join_leader(session, &read(header, body)?),
            Command::TRACKER_PING_LEADER => self.ping_leader(session, read(header, body)?),
            Command::NOTIFY_NEXT_LEADER => self.notify_next_leader(session, read(header, body)?),
            Command::COMMIT_NEXT_LEADER => self.commit_next_leader(session, read(header, body)?),
            Command::NOTIFY_RESELECT_LEADER => self.reselect_leader(session, read(header, body)?),
            Command::GET_SYS_FILES_START => self.start_sys_files(session, read(header, body)?),
            Command::GET_ONE_SYS_FILE => self.sys_file(session, read(header, body)?),
            Command::GET_SYS_FILES_END => self.end_sys_files(session, read(header, body)?),

            Command::HELLO => self.hello(read(header, body)?),
            Command::EXPLAIN_STORAGES => self.explain_storages(&read(header, body)?),

            _ => Err(Status::EINVAL.into()),
        }
    }

    /// Commands that need a connection that has joined, whatever their body.
    fn answer_member(&self, session: &mut Session, header: &Header, body: &[u8]) -> Outcome {
        let member = session.member()?;
        match header.command {
            Command::BEAT => self.beat(session, &member, read(header, body)?),
            Command::REPORT_DISK_USAGE => self.disk_usage(session, &member, &read(header, body)?),
            Command::SYNC_REPORT => self.sync_report(session, &member, &read(header, body)?),
            Command::REPLICA_CHANGE => self.replica_change(&member, &read(header, body)?),
            Command::STORAGE_CHANGE_STATUS => self.change_status(&member, read(header, body)?),
            Command::SYNC_DEST_REQ => self.sync_destination(&member, read(header, body)?),
            Command::SYNC_DEST_QUERY => self.sync_destination_query(&member, read(header, body)?),
            Command::SYNC_NOTIFY => self.sync_notify(&member, &read(header, body)?),
            Command::FETCH_TRUNK_FID => self.fetch_trunk_fid(&member, read(header, body)?),
            Command::REPORT_TRUNK_FID => self.report_trunk_fid(&member, read(header, body)?),
            Command::REPORT_TRUNK_FREE => self.report_trunk_free(&member, read(header, body)?),
            _ => Err(Status::EINVAL.into()),
        }
    }
}

impl Session {
    /// The storage that has joined on this connection.
    fn member(&self) -> Result<Member, Denial> {
        match &self.role {
            Role::Storage { member, .. } => Ok(*member),
            _ => Err(Status::EACCES.into()),
        }
    }
}
