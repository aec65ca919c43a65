//! The cluster as an origin: whichever storage has the file.

use std::ops::Range;

use fdfs_client::{ByteRange, Client, ClientError, Trail};
use fdfs_types::{FileId, NameFields};
use futures_util::TryStreamExt as _;
use tracing::warn;

use super::{Blocks, Identity, Origin, OriginError};

/// Files of all groups, read by the storage protocol.
#[derive(Clone, Debug)]
pub struct Cluster(Client);

impl Cluster {
    /// Reads through `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

impl Origin for Cluster {
    fn stat(&self, id: &FileId) -> impl Future<Output = Result<Identity, OriginError>> + Send + 'static {
        let (client, id) = (self.0.clone(), id.clone());
        async move {
            let info = client.stat(&id).await.map_err(|error| failure(&id, &error))?;
            let immutable = crate::is_immutable(&id.filename);
            // Replicas may tell another time or checksum of the same bytes; the name tells one.
            let fields = id.filename.fields().ok().filter(|_| immutable);
            let modified = fields.as_ref().map_or(info.created, NameFields::created);
            let crc32 = fields.map_or(info.crc32, |fields| fields.crc32);
            Ok(Identity { size: info.size, modified, crc32 })
        }
    }

    fn read(&self, id: &FileId, identity: Identity, range: Range<u64>) -> Blocks {
        let (client, id) = (self.0.clone(), id.clone());
        let part = ByteRange::of(range.start, range.end - range.start);
        let trail = Trail::followed();
        let download = async move {
            let download = client.download_version(&id, part, identity.size, identity.modified).await;
            let download = download.map_err(|error| failure(&id, &error))?;
            if download.length() != range.end - range.start {
                return Err(OriginError::Changed);
            }
            Ok(download.into_stream().map_err(move |error| failure(&id, &error)))
        };
        Box::pin(futures_util::stream::once(Trail::follow_if(trail, download)).try_flatten())
    }
}

fn failure(id: &FileId, error: &ClientError) -> OriginError {
    match error {
        ClientError::NotFound => OriginError::NotFound,
        ClientError::Refused { .. } => OriginError::Foreign,
        error => {
            warn!(file_id = %id, %error, "no storage serves a file");
            OriginError::Unavailable(error.to_string().into())
        }
    }
}
