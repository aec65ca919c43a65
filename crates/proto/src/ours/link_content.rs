//! `LINK_CONTENT` (210): a link to a content, from the member that has stored the content.
//!
//! ```text
//!  request: | link length u64 | group [16] | link ... | content ... |
//!  answer:  nothing
//! ```

use fdfs_types::{GroupName, RemoteFilename};

use crate::file_id::read_filename_length;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// Asks the member that has stored a content to make a link to it, of the name that an equal upload elsewhere gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkContentRequest {
    /// The group.
    pub group: GroupName,
    /// The name.
    pub link: RemoteFilename,
    /// The content.
    pub content: RemoteFilename,
}

impl Encode for LinkContentRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.link.as_str().len());
        writer.group(&self.group);
        writer.text(self.link.as_str());
        writer.text(self.content.as_str());
    }
}

impl Decode for LinkContentRequest {
    const NAME: &'static str = "LinkContentRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_filename_length(reader, "link length")?;
        let group = reader.group()?;
        let link = reader.word("link", length)?;
        Ok(Self { group, link, content: reader.rest_word("content")? })
    }
}

impl Request for LinkContentRequest {
    const COMMAND: Command = Command::LINK_CONTENT;
    type Response = Empty;
}
