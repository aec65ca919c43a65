//! `SYNC_DELETE_FILE` (17), `SYNC_CREATE_LINK` (19) and `SYNC_RENAME_FILE` (40): changes of names for a peer.
//!
//! ```text
//!  17  | time, i32 | group [16] | filename ... |
//!  19  | link length | source length | time, i32 | group [16] | link ... | source ... |
//!  40  | new length | old length | time, i32 | group [16] | new name ... | old name ... |
//! ```
//!
//! The original answers a successful rename with as many stale bytes as the request has; they are dropped.

use fdfs_types::{FileId, GroupName, RemoteFilename, Timestamp};

use crate::file_id::read_filename_length;
use crate::{Command, Decode, DecodeError, Empty, Encode, Ignored, Reader, Request, Writer};

/// A file is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncDeleteRequest {
    /// The file; its name may be that of metadata.
    pub file_id: FileId,
    /// When it was removed.
    pub time: Timestamp,
}

/// A new symbolic link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncCreateLinkRequest {
    /// The group.
    pub group: GroupName,
    /// The link.
    pub link: RemoteFilename,
    /// What it leads to.
    pub source: RemoteFilename,
    /// When it was made.
    pub time: Timestamp,
}

/// A file has a new name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncRenameRequest {
    /// The group.
    pub group: GroupName,
    /// The name now.
    pub new_name: RemoteFilename,
    /// The name before.
    pub old_name: RemoteFilename,
    /// When it was renamed.
    pub time: Timestamp,
}

impl Encode for SyncDeleteRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.time32(self.time);
        self.file_id.write(writer);
    }
}

impl Decode for SyncDeleteRequest {
    const NAME: &'static str = "SyncDeleteRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let time = reader.time32("time")?;
        Ok(Self { file_id: FileId::read(reader)?, time })
    }
}

impl Request for SyncDeleteRequest {
    const COMMAND: Command = Command::SYNC_DELETE_FILE;
    type Response = Empty;
}

impl Encode for SyncCreateLinkRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        write_pair(writer, &self.link, &self.source, self.time, &self.group);
    }
}

impl Decode for SyncCreateLinkRequest {
    const NAME: &'static str = "SyncCreateLinkRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (link, source, time, group) =
            read_pair(reader, ["link length", "source length", "link", "source"])?;
        Ok(Self { group, link, source, time })
    }
}

impl Request for SyncCreateLinkRequest {
    const COMMAND: Command = Command::SYNC_CREATE_LINK;
    type Response = Empty;
}

impl Encode for SyncRenameRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        write_pair(writer, &self.new_name, &self.old_name, self.time, &self.group);
    }
}

impl Decode for SyncRenameRequest {
    const NAME: &'static str = "SyncRenameRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (new_name, old_name, time, group) =
            read_pair(reader, ["new length", "old length", "new name", "old name"])?;
        Ok(Self { group, new_name, old_name, time })
    }
}

impl Request for SyncRenameRequest {
    const COMMAND: Command = Command::SYNC_RENAME_FILE;
    type Response = Ignored;
}

fn write_pair(
    writer: &mut Writer<'_>,
    first: &RemoteFilename,
    second: &RemoteFilename,
    time: Timestamp,
    group: &GroupName,
) {
    writer.length(first.as_str().len());
    writer.length(second.as_str().len());
    writer.time32(time);
    writer.group(group);
    writer.text(first.as_str());
    writer.text(second.as_str());
}

fn read_pair(
    reader: &mut Reader<'_>,
    [first_length, second_length, first, second]: [&'static str; 4],
) -> Result<(RemoteFilename, RemoteFilename, Timestamp, GroupName), DecodeError> {
    let first_length = read_filename_length(reader, first_length)?;
    let second_length = read_filename_length(reader, second_length)?;
    let time = reader.time32("time")?;
    let group = reader.group()?;
    Ok((reader.word(first, first_length)?, reader.word(second, second_length)?, time, group))
}
