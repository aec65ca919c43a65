//! Who a file was uploaded for, until its name is written down: `LIST_OWNED_FILES` (204) and
//! `FORGET_OWNED_FILES` (205).
//!
//! ```text
//!  204  request: | group [16] | session u64 | after u64 | i32 limit |
//!       answer:  | u8 more | n times: sequence u64, u8 length, filename |
//!  205  request: | group [16] | session u64 | n times: sequence u64 |
//! ```

use std::num::NonZeroU64;

use fdfs_types::{GroupName, RemoteFilename};

use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// Who a file was uploaded for. A storage keeps it beside the name until it is told to forget it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnerToken {
    /// The session of a gateway or a mount.
    pub session: NonZeroU64,
    /// Number of the upload in the session.
    pub sequence: u64,
}

/// Asks for the files that carry tokens of a session, in the order of their sequences.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListOwnedRequest {
    /// The group.
    pub group: GroupName,
    /// The session.
    pub session: NonZeroU64,
    /// Only files with a higher sequence.
    pub after: u64,
    /// At most so many files; the storage may answer fewer.
    pub limit: u32,
}

/// Files that carry tokens of a session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListOwnedResponse {
    /// Ask again, after the last sequence.
    pub has_more: bool,
    /// The files.
    pub files: Vec<OwnedFile>,
}

/// A file that carries a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedFile {
    /// The sequence in its token.
    pub sequence: u64,
    /// The file.
    pub filename: RemoteFilename,
}

/// The files of these tokens are in use, or gone: the tokens are not needed any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForgetOwnedRequest {
    /// The group.
    pub group: GroupName,
    /// The session.
    pub session: NonZeroU64,
    /// The sequences; one that is not there is passed over.
    pub sequences: Vec<u64>,
}

/// Reads an optional token in 16 bytes; a session of zero stands for none.
pub(super) fn read_owner(reader: &mut Reader<'_>) -> Result<Option<OwnerToken>, DecodeError> {
    let session = NonZeroU64::new(read_u64(reader, "session")?);
    let sequence = read_u64(reader, "sequence")?;
    match session {
        Some(session) => Ok(Some(OwnerToken { session, sequence })),
        None if sequence == 0 => Ok(None),
        None => Err(reader.invalid("session", "a sequence without a session")),
    }
}

/// Writes an optional token in 16 bytes.
pub(super) fn write_owner(writer: &mut Writer<'_>, owner: Option<OwnerToken>) {
    writer.bytes(&owner.map_or(0, |owner| owner.session.get()).to_be_bytes());
    writer.bytes(&owner.map_or(0, |owner| owner.sequence).to_be_bytes());
}

/// Reads a name with its length in front.
pub(super) fn read_short_name(reader: &mut Reader<'_>) -> Result<RemoteFilename, DecodeError> {
    let length = reader.u8("filename length")?;
    reader.word("filename", length.into())
}

/// Writes a name with its length in front.
pub(super) fn write_short_name(writer: &mut Writer<'_>, filename: &RemoteFilename) {
    // A name has at most 127 bytes.
    writer.u8(filename.as_str().len() as u8);
    writer.text(filename.as_str());
}

fn read_u64(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, DecodeError> {
    reader.array(field).map(u64::from_be_bytes)
}

fn read_session(reader: &mut Reader<'_>) -> Result<NonZeroU64, DecodeError> {
    NonZeroU64::new(read_u64(reader, "session")?).ok_or_else(|| reader.invalid("session", "is zero"))
}

impl Encode for ListOwnedRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.bytes(&self.session.get().to_be_bytes());
        writer.bytes(&self.after.to_be_bytes());
        writer.u32(self.limit);
    }
}

impl Decode for ListOwnedRequest {
    const NAME: &'static str = "ListOwnedRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.group()?,
            session: read_session(reader)?,
            after: read_u64(reader, "after")?,
            limit: reader.u32("limit")?,
        })
    }
}

impl Request for ListOwnedRequest {
    const COMMAND: Command = Command::LIST_OWNED_FILES;
    type Response = ListOwnedResponse;
}

impl Encode for ListOwnedResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.has_more);
        for file in &self.files {
            writer.bytes(&file.sequence.to_be_bytes());
            write_short_name(writer, &file.filename);
        }
    }
}

impl Decode for ListOwnedResponse {
    const NAME: &'static str = "ListOwnedResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let has_more = reader.flag("has more")?;
        let one = |reader: &mut Reader<'_>| {
            Ok(OwnedFile { sequence: read_u64(reader, "sequence")?, filename: read_short_name(reader)? })
        };
        Ok(Self { has_more, files: reader.repeat_to_end(one)? })
    }
}

impl Encode for ForgetOwnedRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.bytes(&self.session.get().to_be_bytes());
        for sequence in &self.sequences {
            writer.bytes(&sequence.to_be_bytes());
        }
    }
}

impl Decode for ForgetOwnedRequest {
    const NAME: &'static str = "ForgetOwnedRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let session = read_session(reader)?;
        let sequences = reader.repeat_to_end(|reader| read_u64(reader, "sequence"))?;
        Ok(Self { group, session, sequences })
    }
}

impl Request for ForgetOwnedRequest {
    const COMMAND: Command = Command::FORGET_OWNED_FILES;
    type Response = Empty;
}
