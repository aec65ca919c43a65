//! `TRUNK_ALLOC_SPACE` (27) to `TRUNK_TRUNCATE_BINLOG_FILE` (33): slots of trunk files, and the log of the free ones.
//!
//! ```text
//!  27  | group [16] | i32 size | u8 store path |     answer: | space [15] |
//!  28  | group [16] | space [15] |                   the header's status says how the upload went
//!  29  | group [16] | space [15] |
//!  30  | lines ... |
//!  31                                                answer: | i64 size |
//!
//!  space:  0            1      2     3                15
//!          | store path | high | low | trunk id, offset, size: i32 each |
//! ```

use fdfs_types::{GroupName, Subdir, TrunkSlot};

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Status, Writer};

/// A slot of a trunk file, with the file's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrunkSpace {
    /// Index of the store path.
    pub store_path: u8,
    /// The directories of the trunk file.
    pub subdir: Subdir,
    /// The slot.
    pub slot: TrunkSlot,
}

/// Asks the trunk server for a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkAllocRequest {
    /// The group.
    pub group: GroupName,
    /// Bytes wanted, the slot's header included.
    pub size: u32,
    /// Index of the store path.
    pub store_path: u8,
}

/// Tells the trunk server what became of a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkConfirmRequest {
    /// The group.
    pub group: GroupName,
    /// The slot.
    pub space: TrunkSpace,
    /// How the upload went; travels in the header.
    pub outcome: Status,
}

/// Gives a slot back to the trunk server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkFreeRequest {
    /// The group.
    pub group: GroupName,
    /// The slot.
    pub space: TrunkSpace,
}

/// Lines of the trunk server's log, for a peer's copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkSyncBinlogRequest {
    /// Whole lines, at least one.
    pub lines: String,
}

empty_request! {
    /// Asks for the size of the trunk binlog.
    TrunkBinlogSizeRequest, TRUNK_GET_BINLOG_SIZE, TrunkBinlogSizeResponse
}

empty_request! {
    /// Makes a storage forget how far its peers have the trunk binlog.
    TrunkDeleteMarksRequest, TRUNK_DELETE_BINLOG_MARKS, Empty
}

empty_request! {
    /// Makes a storage empty its copy of the trunk binlog.
    TrunkTruncateBinlogRequest, TRUNK_TRUNCATE_BINLOG_FILE, Empty
}

/// The size of the trunk binlog.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TrunkBinlogSizeResponse {
    /// In bytes.
    pub size: u64,
}

impl Encode for TrunkSpace {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.store_path);
        writer.u8(self.subdir.high);
        writer.u8(self.subdir.low);
        writer.u32(self.slot.trunk_id);
        writer.u32(self.slot.offset);
        writer.u32(self.slot.allocated);
    }
}

impl Decode for TrunkSpace {
    const NAME: &'static str = "TrunkSpace";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            store_path: reader.u8("store path")?,
            subdir: Subdir { high: reader.u8("first directory")?, low: reader.u8("second directory")? },
            slot: TrunkSlot {
                trunk_id: reader.u32("trunk id")?,
                offset: reader.u32("offset")?,
                allocated: reader.u32("size")?,
            },
        })
    }
}

impl Encode for TrunkAllocRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.u32(self.size);
        writer.u8(self.store_path);
    }
}

impl Decode for TrunkAllocRequest {
    const NAME: &'static str = "TrunkAllocRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, size: reader.u32("size")?, store_path: reader.u8("store path")? })
    }
}

impl Request for TrunkAllocRequest {
    const COMMAND: Command = Command::TRUNK_ALLOC_SPACE;
    type Response = TrunkSpace;
}

impl Encode for TrunkConfirmRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        self.space.write(writer);
    }
}

impl Decode for TrunkConfirmRequest {
    const NAME: &'static str = "TrunkConfirmRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, space: TrunkSpace::read(reader)?, outcome: Status::OK })
    }
}

impl Request for TrunkConfirmRequest {
    const COMMAND: Command = Command::TRUNK_ALLOC_CONFIRM;
    type Response = Empty;

    fn flags(&self) -> Status {
        self.outcome
    }

    fn set_flags(&mut self, flags: Status) {
        self.outcome = flags;
    }
}

impl Encode for TrunkFreeRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        self.space.write(writer);
    }
}

impl Decode for TrunkFreeRequest {
    const NAME: &'static str = "TrunkFreeRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, space: TrunkSpace::read(reader)? })
    }
}

impl Request for TrunkFreeRequest {
    const COMMAND: Command = Command::TRUNK_FREE_SPACE;
    type Response = Empty;
}

impl Encode for TrunkSyncBinlogRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&self.lines);
    }
}

impl Decode for TrunkSyncBinlogRequest {
    const NAME: &'static str = "TrunkSyncBinlogRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let lines = reader.rest_text("lines")?;
        if !lines.ends_with('\n') {
            return Err(reader.invalid("lines", "the last one has no line feed"));
        }
        Ok(Self { lines: lines.to_owned() })
    }
}

impl Request for TrunkSyncBinlogRequest {
    const COMMAND: Command = Command::TRUNK_SYNC_BINLOG;
    type Response = Empty;
}

impl Encode for TrunkBinlogSizeResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.size);
    }
}

impl Decode for TrunkBinlogSizeResponse {
    const NAME: &'static str = "TrunkBinlogSizeResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { size: reader.u64("size")? })
    }
}
