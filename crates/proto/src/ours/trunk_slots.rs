//! `TRUNK_SLOTS` (209): what became of slots, and several new ones, in one go.
//!
//! ```text
//!  request: | group [16] | store path | u32 size | u32 count | n times: outcome, space [15] |
//!  answer:  | n times: space [15] |
//!  outcome: 0 filled, 1 not used, 2 something was in it
//! ```

use fdfs_types::GroupName;

use crate::sync::TrunkSpace;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Tells the trunk server what became of slots, and asks it for others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkSlotsRequest {
    /// The group.
    pub group: GroupName,
    /// Index of the store path.
    pub store_path: u8,
    /// Bytes of each, its header included.
    pub size: u32,
    /// How many are wanted; there may come fewer, but one.
    pub count: u32,
    /// What became of slots given out before.
    pub outcomes: Vec<(SlotOutcome, TrunkSpace)>,
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlotOutcome {
    /// It has a file now.
    Filled,
    /// Nothing was written.
    Unused,
    /// Something was in it.
    Occupied,
}

/// Slots.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrunkSlotsResponse {
    /// The slots.
    pub slots: Vec<TrunkSpace>,
}

impl TrunkSlotsRequest {
    /// Most slots that are given out at once.
    pub const MOST: u32 = 64;
    /// Most outcomes in one request.
    pub const MOST_OUTCOMES: usize = 256;
}

impl Encode for TrunkSlotsRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.u8(self.store_path);
        writer.u32(self.size);
        writer.u32(self.count);
        for (outcome, space) in &self.outcomes {
            writer.u8(match outcome {
                SlotOutcome::Filled => 0,
                SlotOutcome::Unused => 1,
                SlotOutcome::Occupied => 2,
            });
            space.write(writer);
        }
    }
}

impl Decode for TrunkSlotsRequest {
    const NAME: &'static str = "TrunkSlotsRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let outcome = |reader: &mut Reader<'_>| {
            let outcome = match reader.u8("outcome")? {
                0 => SlotOutcome::Filled,
                1 => SlotOutcome::Unused,
                2 => SlotOutcome::Occupied,
                other => return Err(reader.invalid("outcome", other)),
            };
            Ok((outcome, TrunkSpace::read(reader)?))
        };
        Ok(Self {
            group: reader.group()?,
            store_path: reader.u8("store path")?,
            size: reader.u32("size")?,
            count: reader.u32("count")?,
            outcomes: reader.repeat_to_end(outcome)?,
        })
    }
}

impl Request for TrunkSlotsRequest {
    const COMMAND: Command = Command::TRUNK_SLOTS;
    type Response = TrunkSlotsResponse;
}

impl Encode for TrunkSlotsResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        for space in &self.slots {
            space.write(writer);
        }
    }
}

impl Decode for TrunkSlotsResponse {
    const NAME: &'static str = "TrunkSlotsResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { slots: reader.repeat_to_end(TrunkSpace::read)? })
    }
}
