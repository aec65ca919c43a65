//! The records of one store path, for a peer that rebuilds it.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{Header, sync::PathBinlogRequest};
use tracing::{error, info, warn};

use super::{Served, StorageService, handle::SMALL};
use crate::error::Refusal;

impl StorageService {
    /// Sends the records of a store path and their length, and closes. Where the end does not tell the length, the peer
    /// has not got all.
    pub(super) async fn send_path_binlog(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request: PathBinlogRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let path = request.store_path;
        let opened = self
            .check_member(connection)
            .and_then(|()| self.check_group(Some(request.group)))
            .and_then(|()| Ok(self.shared.store.path_binlog(path)?));
        let mut binlog = match opened {
            Ok(binlog) => binlog,
            Err(refusal) => return self.refuse(connection, refusal).await,
        };
        self.shared.note_rebuilding(connection.peer_ip());
        info!(peer = %connection.peer(), path, "a peer fetches the records of a store path");
        connection.respond_raw(Header::response(PathBinlogRequest::ENDLESS), &[]).await?;
        let mut sent = 0;
        loop {
            let read = self.act(true, move |_| {
                let mut lines = String::with_capacity(AT_ONCE + Self::LONGEST_LINE);
                let has_more = binlog.read(&mut lines, AT_ONCE).map_err(Refusal::Read)?;
                Ok((binlog, lines, has_more))
            });
            let (read, lines, has_more) = match read.await {
                Ok(read) => read,
                Err(error) => {
                    error!(path, %error, "the records of a store path cannot be read to their end");
                    return Ok(closing(sent));
                }
            };
            binlog = read;
            if !lines.is_empty() {
                connection.respond_more(lines.as_bytes()).await?;
                sent += lines.len() as u64;
            }
            if !has_more {
                break;
            }
        }
        if binlog.damaged() > 0 {
            warn!(path, records = binlog.damaged(), "damaged records were left out of what a peer got");
        }
        connection.respond_more(&sent.to_be_bytes()).await?;
        Ok(closing(sent + PathBinlogRequest::TRAILER_LEN as u64))
    }

    const LONGEST_LINE: usize = 600;
}

fn closing(sent: u64) -> Served {
    Served { must_close: true, ..Served::with(Ok(()), sent) }
}

/// Bytes of lines that are read and sent at once.
const AT_ONCE: usize = 64 * 1024;
