//! What the answer to a storage's report tells in addition: leader, trunk server, members.
//!
//! ```text
//!  0       1
//!  | flags | leader [67], with flag 1 | trunk server [67], with flag 2 | n members [67], with flag 4 |
//! ```

use crate::{Brief, Decode, DecodeError, Encode, Reader, Writer};

/// What changed since the storage was last told on this connection. Only the leader tells anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notification {
    /// The leading tracker; a brief without address if there is none.
    pub leader: Option<Brief>,
    /// The trunk server of the group; [`Brief::NOBODY`] if there is none.
    pub trunk_server: Option<Brief>,
    /// All members of the group, the removed ones and the one that asks among them.
    pub members: Option<Vec<Brief>>,
}

impl Notification {
    /// Original storages take at most so many bytes.
    pub const MAX_LEN: usize = 1 + 34 * Brief::LEN;
}

const LEADER: u8 = 1;
const TRUNK_SERVER: u8 = 2;
const MEMBERS: u8 = 4;

impl Encode for Notification {
    fn write(&self, writer: &mut Writer<'_>) {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        writer.u8(flag(self.leader.is_some(), LEADER)
            | flag(self.trunk_server.is_some(), TRUNK_SERVER)
            | flag(self.members.is_some(), MEMBERS));
        for brief in self.leader.iter().chain(&self.trunk_server).chain(self.members.iter().flatten()) {
            brief.write(writer);
        }
    }
}

impl Decode for Notification {
    const NAME: &'static str = "Notification";

    /// Reads the body. One without any byte is one without news.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default());
        }
        let flags = reader.u8("flags")?;
        let mut one = |flag| if flags & flag == 0 { Ok(None) } else { Brief::read(reader).map(Some) };
        let (leader, trunk_server) = (one(LEADER)?, one(TRUNK_SERVER)?);
        let members = if flags & MEMBERS == 0 { None } else { Some(reader.repeat_to_end(Brief::read)?) };
        Ok(Self { leader, trunk_server, members })
    }
}
