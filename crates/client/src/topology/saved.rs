//! Groups and storages as bytes, for a start while no tracker answers.
//!
//! ```text
//!  0       8     12
//!  | magic | CRC | length | group | length | its storages | length | group | ...
//! ```
//!
//! Groups and storages stand as the trackers tell them; lengths have 4 bytes, big-endian. The checksum is that of all that
//! follows it.

use fdfs_proto::tracker::{GroupRecord, ListStoragesResponse};
use fdfs_proto::{Decode, Encode, IpWidth};

use super::{Group, Topology};

impl Topology {
    /// All of it as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        for group in self.groups.values() {
            let storages = ListStoragesResponse { ip_width: IpWidth::Ipv6, storages: group.storages.clone() };
            for part in [group.record.encode(), storages.encode()] {
                rest.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                rest.extend(part);
            }
        }
        [MAGIC, &crc32fast::hash(&rest).to_be_bytes()[..], &rest].concat()
    }

    /// What [`Topology::to_bytes`] made; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sum, mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        if crc32fast::hash(rest) != u32::from_be_bytes(*sum) {
            return None;
        }
        let mut topology = Self::default();
        while !rest.is_empty() {
            let record = GroupRecord::decode(part(&mut rest)?).ok()?;
            let storages = ListStoragesResponse::decode(part(&mut rest)?).ok()?.storages;
            topology.groups.insert(record.group, Group { record, storages });
        }
        Some(topology)
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (part, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(part)
}

const MAGIC: &[u8] = b"FDFSTOP1";
