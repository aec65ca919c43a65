//! One connection from its first request to its last.

use std::sync::Arc;

use fdfs_net::{Connection, NetError, Service};
use fdfs_proto::tracker::SetTrunkServerResponse;
use fdfs_proto::{Command, Header, Status};
use metrics::counter;
use tracing::{Instrument, debug, debug_span};

use crate::answer::{Answer, Denial, Outcome};
use crate::core::Core;
use crate::session::{Role, Session};

/// Answers what connects to the tracker.
#[derive(Debug)]
pub(crate) struct TrackerService {
    pub(crate) core: Arc<Core>,
}

/// No request of the protocol has a longer body.
const MAX_BODY: usize = 64 * 1024;

impl Service for TrackerService {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let peer = connection.peer();
        let local = connection.local().ip().to_canonical();
        let mut session = Session::new(peer.ip().to_canonical(), local);
        let span = debug_span!("connection", %peer);
        let talk = async {
            if let Err(error) = self.talk(&mut connection, &mut session).await {
                debug!(%error, "connection ended");
            }
            connection.close().await;
            if let Role::Storage { member, .. } = &session.role {
                let actions = self.core.state.lock().cluster.disconnected(member);
                self.core.carry_out(actions).await;
            }
        };
        talk.instrument(span).await;
    }
}

impl TrackerService {
    async fn talk(&self, connection: &mut Connection, session: &mut Session) -> Result<(), NetError> {
        while let Some(header) = connection.next_request().await? {
            let outcome = if header.length > MAX_BODY as u64 {
                Err(Denial::Status(Status::EINVAL))
            } else {
                let body = connection.read_body(MAX_BODY).await?;
                let admitted = match header.command {
                    Command::JOIN => self.core.admit(session, body).await,
                    _ => Ok(()),
                };
                admitted.map_err(Denial::from).and_then(|()| self.core.answer(session, &header, body))
            };
            self.respond(connection, &header, outcome).await?;
        }
        Ok(())
    }

    async fn respond(
        &self,
        connection: &mut Connection,
        header: &Header,
        outcome: Outcome,
    ) -> Result<(), NetError> {
        let denial = match self.prepare(outcome).await {
            Ok(body) => {
                self.core.requests.count(header.command, Status::OK);
                return connection.respond(&body).await;
            }
            Err(denial) => denial,
        };
        let (Denial::Status(status) | Denial::Echo(status, _)) = &denial;
        self.core.requests.count(header.command, *status);
        // Commands of members are refused so to everybody else.
        if *status == Status::EACCES && header.command != Command::SET_TRUNK_SERVER {
            let command = header.command.name().unwrap_or("unknown");
            counter!("fdfs_tracker_strangers_total", "command" => command).increment(1);
        }
        debug!(cmd = ?header.command, %status, "request refused");
        match denial {
            Denial::Status(status) => connection.respond_status(status).await,
            Denial::Echo(status, body) => {
                let head = Header { status, ..Header::response(body.len() as u64) };
                connection.respond_raw(head, &body).await
            }
        }
    }

    /// Does what has to be done before an answer is sent.
    async fn prepare(&self, outcome: Outcome) -> Result<Vec<u8>, Denial> {
        let Answer { body, actions, elect } = outcome?;
        if !actions.is_empty() {
            self.core.carry_out(actions).await;
        }
        match elect {
            None => Ok(body),
            Some(group) => {
                let storage_id = self.core.elect_trunk_server(group).await?;
                Ok(Answer::with(&SetTrunkServerResponse { storage_id }).body)
            }
        }
    }
}
