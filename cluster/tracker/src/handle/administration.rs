//! Removing storages and groups, and choosing trunk servers (93, 94, 108).

use fdfs_proto::tracker::{
    DeleteGroupRequest, DeleteStorageRequest, SetTrunkServerRequest, SetTrunkServerResponse,
};
use fdfs_rules::TrunkAnswer;

use crate::answer::{Answer, Outcome};
use crate::core::{Core, now};

impl Core {
    pub(super) fn delete_storage(&self, request: &DeleteStorageRequest) -> Outcome {
        let DeleteStorageRequest { group, storage_id } = request;
        let actions = self.state.lock().cluster.delete_storage(group, storage_id, now())?;
        Ok(Answer::done(actions))
    }

    pub(super) fn delete_group(&self, request: &DeleteGroupRequest) -> Outcome {
        Ok(Answer::done(self.state.lock().cluster.delete_group(&request.group)?))
    }

    pub(super) fn set_trunk_server(&self, request: &SetTrunkServerRequest) -> Outcome {
        let SetTrunkServerRequest { group, storage_id } = request;
        let (answer, actions) = self.state.lock().cluster.set_trunk_server(group, storage_id.as_ref())?;
        Ok(match answer {
            TrunkAnswer::Server(storage_id) => {
                Answer::with(&SetTrunkServerResponse { storage_id }).after(actions)
            }
            TrunkAnswer::Elect => Answer { elect: Some(*group), ..Answer::default() },
        })
    }
}
