//! `SYNC_DEST_QUERY` (79), `SYNC_SRC_REQ` (86), `SYNC_DEST_REQ` (87) and `SYNC_NOTIFY` (88): from whom a new
//! storage gets the old files.
//!
//! ```text
//!  86  request: | group [16] | storage id [16] |
//!  88  request: | source [16] | until |
//!  79, 86, 87  answer: nothing, or | source [16] | until |
//! ```

use fdfs_types::{GroupName, StorageId, Timestamp};

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, STORAGE_ID_WIDTH, Writer};

empty_request! {
    /// A new storage asks for its source.
    SyncDestRequest, SYNC_DEST_REQ, SyncSourceResponse
}

empty_request! {
    /// A storage asks which source it was given before.
    SyncDestQueryRequest, SYNC_DEST_QUERY, SyncSourceResponse
}

/// A storage asks for the source of a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncSourceRequest {
    /// Their group.
    pub group: GroupName,
    /// The peer.
    pub storage_id: StorageId,
}

/// A new storage tells which source another tracker gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncNotifyRequest {
    /// The source; `None` if it needs none.
    pub source: Option<StorageId>,
    /// The source sends the files up to this time; later ones come from each peer itself.
    pub until: Timestamp,
}

/// From whom a storage gets the old files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncSourceResponse {
    /// The source; `None` if it needs none.
    pub source: Option<SyncSource>,
}

/// From whom a storage gets the old files, and which.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncSource {
    /// The source.
    pub id: StorageId,
    /// It sends the files up to this time.
    pub until: Timestamp,
}

impl Encode for SyncSourceRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.storage_id(Some(&self.storage_id));
    }
}

impl Decode for SyncSourceRequest {
    const NAME: &'static str = "SyncSourceRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        Ok(Self { group, storage_id: reader.padded("storage id", STORAGE_ID_WIDTH)? })
    }
}

impl Request for SyncSourceRequest {
    const COMMAND: Command = Command::SYNC_SRC_REQ;
    type Response = SyncSourceResponse;
}

impl Encode for SyncNotifyRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.storage_id(self.source.as_ref());
        writer.time(self.until);
    }
}

impl Decode for SyncNotifyRequest {
    const NAME: &'static str = "SyncNotifyRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let source = reader.padded_option("source", STORAGE_ID_WIDTH)?;
        Ok(Self { source, until: reader.time("until")? })
    }
}

impl Request for SyncNotifyRequest {
    const COMMAND: Command = Command::SYNC_NOTIFY;
    type Response = Empty;
}

impl Encode for SyncSourceResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        if let Some(source) = &self.source {
            writer.storage_id(Some(&source.id));
            writer.time(source.until);
        }
    }
}

impl Decode for SyncSourceResponse {
    const NAME: &'static str = "SyncSourceResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default());
        }
        let id = reader.padded("source", STORAGE_ID_WIDTH)?;
        Ok(Self { source: Some(SyncSource { id, until: reader.time("until")? }) })
    }
}
