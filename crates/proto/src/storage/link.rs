//! `CREATE_LINK` (20): make a symbolic link to a file, for content that is there already.
//!
//! ```text
//!  0               8               16                 24         40           56             62
//!  | master length | source length | signature length | group [16] | prefix [16] | extension [6] |
//!  | master ... | source ... | signature ... |
//!
//!  answer: | group, 0-padded [16] | filename ... |
//! ```

use fdfs_types::{Extension, FileId, GroupName, RemoteFilename, SlavePrefix};

use crate::file_id::read_filename_length;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Makes a symbolic link to a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateLinkRequest {
    /// The group.
    pub group: GroupName,
    /// The file that the link's name derives from; without one it gets a new name.
    pub master: Option<RemoteFilename>,
    /// What the link's name has in addition to that of its master.
    pub prefix: Option<SlavePrefix>,
    /// Extension of the link's name.
    pub extension: Extension,
    /// What the link leads to.
    pub source: RemoteFilename,
    /// Signature of the content, 1 to 63 bytes.
    pub signature: Vec<u8>,
}

impl CreateLinkRequest {
    /// Longest signature, in bytes.
    pub const MAX_SIGNATURE_LEN: usize = 63;

    /// Most bytes that both names and the signature have together.
    const MAX_VARIABLE_LEN: usize = 256;
}

impl Encode for CreateLinkRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        let master = self.master.as_ref().map_or("", RemoteFilename::as_str);
        writer.length(master.len());
        writer.length(self.source.as_str().len());
        writer.length(self.signature.len());
        writer.group(&self.group);
        writer.padded(self.prefix.as_ref().map_or("", SlavePrefix::as_str), SlavePrefix::MAX_LEN);
        writer.padded(self.extension.as_str(), Extension::MAX_LEN);
        writer.text(master);
        writer.text(self.source.as_str());
        writer.bytes(&self.signature);
    }
}

impl Decode for CreateLinkRequest {
    const NAME: &'static str = "CreateLinkRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let master_length = read_filename_length(reader, "master length")?;
        let source_length = read_filename_length(reader, "source length")?;
        let signature_length = reader.length("signature length", Self::MAX_SIGNATURE_LEN)?;
        if signature_length == 0 {
            return Err(reader.invalid("signature length", "there must be a signature"));
        }
        let sum = master_length + source_length + signature_length;
        if sum > Self::MAX_VARIABLE_LEN {
            return Err(reader.invalid("signature length", format_args!("all lengths add up to {sum}")));
        }
        let group = reader.group()?;
        let prefix = reader.padded_option("prefix", SlavePrefix::MAX_LEN)?;
        let extension = reader.padded("extension", Extension::MAX_LEN)?;
        let master = if master_length == 0 { None } else { Some(reader.word("master", master_length)?) };
        let source = reader.word("source", source_length)?;
        let signature = reader.bytes("signature", signature_length)?.to_vec();
        Ok(Self { group, master, prefix, extension, source, signature })
    }
}

impl Request for CreateLinkRequest {
    const COMMAND: Command = Command::CREATE_LINK;
    type Response = FileId;
}
