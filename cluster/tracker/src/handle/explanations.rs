//! Commands of ours: what this tracker can do, and why storages are in their states (200, 220).

use fdfs_proto::ours::{Capabilities, ExplainRequest, ExplainResponse, Explanation, Hello, HelloRequest};

use crate::answer::{Answer, Outcome};
use crate::core::Core;

impl Core {
    pub(super) fn hello(&self, _: HelloRequest) -> Outcome {
        Ok(Answer::with(&Hello {
            version: Hello::VERSION,
            capabilities: Capabilities::EXPLAIN_STORAGES,
            software: concat!("fdfs ", env!("CARGO_PKG_VERSION")).to_owned(),
        }))
    }

    pub(super) fn explain_storages(&self, request: &ExplainRequest) -> Outcome {
        let state = self.state.lock();
        let group = state.cluster.group(&request.group)?;
        let storages = group.storages().map(|storage| {
            Ok(Explanation {
                id: storage.id,
                status: storage.status,
                since: storage.since,
                reason: state.cluster.explain(&group.name, &storage.id)?,
            })
        });
        Ok(Answer::with(&ExplainResponse { storages: storages.collect::<Result<_, fdfs_rules::Refusal>>()? }))
    }
}
