//! `JOIN_FILES` (203): make one file of several, at the storage that has them.
//!
//! ```text
//!  0            16              22           38              39
//!  | group [16] | extension [6] | owner [16] | write concern, private | i32 n | n times: u8 length, filename |
//!
//!  answer: | group, 0-padded [16] | filename ... |
//! ```

use fdfs_types::{Extension, FileId, GroupName, RemoteFilename};

use super::owner::{OwnerToken, read_owner, read_short_name, write_owner, write_short_name};
use super::upload_framed::{WriteConcern, read_terms, write_terms};
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Makes one normal file of several, in the order given, on the store path of the first. The parts stay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinFilesRequest {
    /// The group.
    pub group: GroupName,
    /// Extension of the new name.
    pub extension: Extension,
    /// Whom the new file is for.
    pub owner: Option<OwnerToken>,
    /// What must be true before the answer.
    pub write_concern: WriteConcern,
    /// Whether members alone may read the new file. It has to be where a part is.
    pub private: bool,
    /// The parts, at least one; a file may stand there more than once.
    pub parts: Vec<RemoteFilename>,
}

impl JoinFilesRequest {
    /// Most parts of one file.
    pub const MAX_PARTS: usize = 10_000;

    /// Longest body.
    pub const MAX_LEN: usize = 43 + Self::MAX_PARTS * (1 + RemoteFilename::MAX_LEN);
}

impl Encode for JoinFilesRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.padded(self.extension.as_str(), Extension::MAX_LEN);
        write_owner(writer, self.owner);
        write_terms(writer, self.write_concern, self.private);
        writer.count32(self.parts.len());
        for part in &self.parts {
            write_short_name(writer, part);
        }
    }
}

impl Decode for JoinFilesRequest {
    const NAME: &'static str = "JoinFilesRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let extension = reader.padded("extension", Extension::MAX_LEN)?;
        let owner = read_owner(reader)?;
        let (write_concern, private) = read_terms(reader)?;
        let count = reader.u32("part count")?;
        if count == 0 || count as usize > Self::MAX_PARTS {
            return Err(
                reader.invalid("part count", format_args!("{count} is not in 1..={}", Self::MAX_PARTS))
            );
        }
        let parts = reader.repeat(count, read_short_name)?;
        Ok(Self { group, extension, owner, write_concern, private, parts })
    }
}

impl Request for JoinFilesRequest {
    const COMMAND: Command = Command::JOIN_FILES;
    type Response = FileId;
}
