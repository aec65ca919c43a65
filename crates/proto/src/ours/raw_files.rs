//! `LIST_RAW_FILES` (202): the files of a store path, whoever uploaded them.
//!
//! ```text
//!  0                 16           17          21
//!  | group, 0-padded | store path | i32 limit | name to go on after, or nothing |
//!
//!  answer: | u8 more | n times: u8 length, filename, i64 size, i64 mtime |
//! ```

use fdfs_types::{GroupName, RemoteFilename, Timestamp};

use super::owner::{read_short_name, write_short_name};
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Asks for the files of a store path, in the byte order of their names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListRawRequest {
    /// The group.
    pub group: GroupName,
    /// Index of the store path.
    pub store_path: u8,
    /// At most so many files; the storage may answer fewer.
    pub limit: u32,
    /// Only names behind this one.
    pub after: Option<RemoteFilename>,
}

/// Files of a store path. Neither metadata nor containers of small files are among them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListRawResponse {
    /// Ask again, after the last name.
    pub has_more: bool,
    /// The files.
    pub files: Vec<RawFile>,
}

/// One file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawFile {
    /// Its name.
    pub filename: RemoteFilename,
    /// Length of its content.
    pub size: u64,
    /// When its content changed.
    pub modified: Timestamp,
}

impl Encode for ListRawRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.u8(self.store_path);
        writer.u32(self.limit);
        if let Some(after) = &self.after {
            writer.text(after.as_str());
        }
    }
}

impl Decode for ListRawRequest {
    const NAME: &'static str = "ListRawRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.group()?,
            store_path: reader.u8("store path")?,
            limit: reader.u32("limit")?,
            after: if reader.is_empty() { None } else { Some(reader.rest_word("after")?) },
        })
    }
}

impl Request for ListRawRequest {
    const COMMAND: Command = Command::LIST_RAW_FILES;
    type Response = ListRawResponse;
}

impl Encode for ListRawResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.has_more);
        for file in &self.files {
            write_short_name(writer, &file.filename);
            writer.u64(file.size);
            writer.time(file.modified);
        }
    }
}

impl Decode for ListRawResponse {
    const NAME: &'static str = "ListRawResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let has_more = reader.flag("has more")?;
        let one = |reader: &mut Reader<'_>| {
            Ok(RawFile {
                filename: read_short_name(reader)?,
                size: reader.u64("size")?,
                modified: reader.time("modification time")?,
            })
        };
        Ok(Self { has_more, files: reader.repeat_to_end(one)? })
    }
}
