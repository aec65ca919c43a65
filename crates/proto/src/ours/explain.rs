//! `EXPLAIN_STORAGES` (220): why the storages of a group are in their states, as a tracker sees it.
//!
//! ```text
//!  request: | group, 0-padded |
//!  answer, for every storage: | id, 0-padded to 16 | u8 status | i64 since | u8 length | words ... |
//! ```

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, STORAGE_ID_WIDTH, Writer};

/// Asks why the storages of a group are in their states.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExplainRequest {
    /// The group.
    pub group: GroupName,
}

/// The storages of a group by id, former ones too.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExplainResponse {
    /// The storages.
    pub storages: Vec<Explanation>,
}

/// Why a storage is in its state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The storage.
    pub id: StorageId,
    /// Its state.
    pub status: StorageStatus,
    /// Since when; zero if since before the tracker was started.
    pub since: Timestamp,
    /// Why, in words; of more than 255 bytes the first.
    pub reason: String,
}

impl Explanation {
    const MAX_REASON: usize = 255;
}

impl Encode for ExplainRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for ExplainRequest {
    const NAME: &'static str = "ExplainRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

impl Request for ExplainRequest {
    const COMMAND: Command = Command::EXPLAIN_STORAGES;
    type Response = ExplainResponse;
}

impl Encode for ExplainResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        for Explanation { id, status, since, reason } in &self.storages {
            writer.storage_id(Some(id));
            writer.u8(status.to_wire());
            writer.time(*since);
            let reason = &reason[..reason.floor_char_boundary(Explanation::MAX_REASON)];
            writer.u8(u8::try_from(reason.len()).unwrap_or(u8::MAX));
            writer.text(reason);
        }
    }
}

impl Decode for ExplainResponse {
    const NAME: &'static str = "ExplainResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let one = |reader: &mut Reader<'_>| {
            Ok(Explanation {
                id: reader.padded("id", STORAGE_ID_WIDTH)?,
                status: reader.storage_status("status")?,
                since: reader.time("since")?,
                reason: {
                    let length = reader.u8("length of the reason")?;
                    reader.text("reason", length.into())?.to_owned()
                },
            })
        };
        Ok(Self { storages: reader.repeat_to_end(one)? })
    }
}
