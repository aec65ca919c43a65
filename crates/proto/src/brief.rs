//! The shortest description of a server, as members of the cluster exchange it.
//!
//! ```text
//!  0        1      5         21        67
//!  | status | port | id [16] | ip [46] |
//! ```

use std::net::IpAddr;

use fdfs_types::{StorageId, StorageStatus};

use crate::{CLUSTER_IP_WIDTH, Decode, DecodeError, Encode, Reader, STORAGE_ID_WIDTH, Writer};

/// A storage or a tracker in a list, 67 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Brief {
    /// Its state; of a tracker always [`StorageStatus::Init`].
    pub status: StorageStatus,
    /// Its port; 0 where it is not known.
    pub port: u16,
    /// Its ID; of a tracker its address cut to 15 characters. `None` where the brief stands for nobody.
    pub id: Option<StorageId>,
    /// Its address; `None` where the brief stands for nobody.
    pub ip: Option<IpAddr>,
}

impl Brief {
    /// Size on the wire.
    pub const LEN: usize = 67;

    /// Nobody: all zeros, as "there is no trunk server" is told.
    pub const NOBODY: Self = Self { status: StorageStatus::Init, port: 0, id: None, ip: None };
}

impl Encode for Brief {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.status.to_wire());
        writer.port32(self.port);
        writer.storage_id(self.id.as_ref());
        writer.ip(self.ip, CLUSTER_IP_WIDTH);
    }
}

impl Decode for Brief {
    const NAME: &'static str = "Brief";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            status: reader.storage_status("status")?,
            port: reader.port32("port")?,
            id: reader.padded_option("id", STORAGE_ID_WIDTH)?,
            ip: reader.ip("ip", CLUSTER_IP_WIDTH)?,
        })
    }
}
