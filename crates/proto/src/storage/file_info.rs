//! `QUERY_FILE_INFO` (22): size, time and checksum of a file.
//!
//! ```text
//!  0                 16                       answer: 0      8       16       24           40|70
//!  | group, 0-padded | filename ... |                 | size | mtime | CRC-32 | ip [16|46] |
//! ```
//!
//! The request's header carries flags in its status byte.

use std::net::IpAddr;

use fdfs_types::{FileId, Timestamp};

use crate::{Command, Decode, DecodeError, Encode, IpWidth, Reader, Request, Status, Writer};

/// Asks for size, time and checksum of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileInfoRequest {
    /// The file.
    pub file_id: FileId,
    /// Do not compute the checksum of a file whose name does not have it; answer zero.
    pub skip_crc32: bool,
    /// Do not log that the file is missing.
    pub is_silent: bool,
}

/// Size, time and checksum of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileInfoResponse {
    /// How wide the address is written.
    pub ip_width: IpWidth,
    /// Length of the content.
    pub size: u64,
    /// When the content changed; clients show it as the time of creation.
    pub modified: Timestamp,
    /// Checksum of the content. The original extends its sign to 64 bits.
    pub crc32: u32,
    /// The storage that took the upload, where its address is known.
    pub source: Option<IpAddr>,
}

const SKIP_CRC32: u8 = 1;
const SILENT: u8 = 2;

impl Encode for FileInfoRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.file_id.write(writer);
    }
}

impl Decode for FileInfoRequest {
    const NAME: &'static str = "FileInfoRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { file_id: FileId::read(reader)?, skip_crc32: false, is_silent: false })
    }
}

impl Request for FileInfoRequest {
    const COMMAND: Command = Command::QUERY_FILE_INFO;
    type Response = FileInfoResponse;

    fn flags(&self) -> Status {
        Status(if self.skip_crc32 { SKIP_CRC32 } else { 0 } | if self.is_silent { SILENT } else { 0 })
    }

    fn set_flags(&mut self, flags: Status) {
        self.skip_crc32 = flags.0 & SKIP_CRC32 != 0;
        self.is_silent = flags.0 & SILENT != 0;
    }
}

impl Encode for FileInfoResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.size);
        writer.time(self.modified);
        writer.i64(self.crc32.cast_signed().into());
        writer.ip(self.source, self.ip_width.terminated());
    }
}

impl Decode for FileInfoResponse {
    const NAME: &'static str = "FileInfoResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let is_wide = reader.remaining() == 3 * size_of::<u64>() + IpWidth::Ipv6.terminated();
        let ip_width = if is_wide { IpWidth::Ipv6 } else { IpWidth::Ipv4 };
        Ok(Self {
            ip_width,
            size: reader.u64("size")?,
            modified: reader.time("modification time")?,
            // Only the lower half counts: some servers extend the sign, some do not.
            crc32: (reader.i64("CRC-32")? & i64::from(u32::MAX)) as u32,
            source: reader.ip("source", ip_width.terminated())?,
        })
    }
}
