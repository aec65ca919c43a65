//! `DEAD_LETTERS` (206): changes that other members did not take, as the storage that sends them tells.
//!
//! ```text
//!  request: | group [16] | member [16] | u8 try again |
//!  answer:  | u32 total | n times: member [16], tried i64, u32 tries, u8 status, u16 length, record |
//! ```

use fdfs_types::{GroupName, StorageId, Timestamp};

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, STORAGE_ID_WIDTH, Writer};

/// Asks for the changes that members did not take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLettersRequest {
    /// The group.
    pub group: GroupName,
    /// Only those for this member.
    pub member: Option<StorageId>,
    /// Try them again now.
    pub try_again: bool,
}

/// Changes that members did not take.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeadLettersResponse {
    /// How many there are; the list may have fewer.
    pub total: u32,
    /// The first of them, at most [`Self::MOST`].
    pub letters: Vec<DeadLetter>,
}

/// A change that a member did not take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// The member.
    pub member: StorageId,
    /// When it was tried last.
    pub tried: Timestamp,
    /// How often it was tried since it is among these.
    pub tries: u32,
    /// The last answer; 0 where the file could not be read, or the target of a link was missing there.
    pub status: u8,
    /// The record of the binlog: time, letter and names.
    pub record: String,
}

impl DeadLettersResponse {
    /// Most letters in one list.
    pub const MOST: usize = 1000;
}

impl Encode for DeadLettersRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.storage_id(self.member.as_ref());
        writer.u8(self.try_again.into());
    }
}

impl Decode for DeadLettersRequest {
    const NAME: &'static str = "DeadLettersRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let member = reader.padded_option("member", STORAGE_ID_WIDTH)?;
        let try_again = match reader.u8("try again")? {
            0 => false,
            1 => true,
            other => return Err(reader.invalid("try again", other)),
        };
        Ok(Self { group, member, try_again })
    }
}

impl Request for DeadLettersRequest {
    const COMMAND: Command = Command::DEAD_LETTERS;
    type Response = DeadLettersResponse;
}

impl Encode for DeadLettersResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.total);
        for DeadLetter { member, tried, tries, status, record } in &self.letters {
            writer.storage_id(Some(member));
            writer.time(*tried);
            writer.u32(*tries);
            writer.u8(*status);
            let record = &record[..record.floor_char_boundary(u16::MAX.into())];
            writer.bytes(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
            writer.text(record);
        }
    }
}

impl Decode for DeadLettersResponse {
    const NAME: &'static str = "DeadLettersResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let one = |reader: &mut Reader<'_>| {
            Ok(DeadLetter {
                member: reader.padded("member", STORAGE_ID_WIDTH)?,
                tried: reader.time("tried")?,
                tries: reader.u32("tries")?,
                status: reader.u8("status")?,
                record: {
                    let length = u16::from_be_bytes([reader.u8("length")?, reader.u8("length")?]);
                    reader.text("record", length.into())?.to_owned()
                },
            })
        };
        let total = reader.u32("total")?;
        Ok(Self { total, letters: reader.repeat_to_end(one)? })
    }
}
