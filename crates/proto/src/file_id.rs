//! Group and file name, as many messages carry them.
//!
//! ```text
//!  0                 16
//!  | group, 0-padded | filename ... |
//! ```

use fdfs_types::{FileId, RemoteFilename};

use crate::{Decode, DecodeError, Encode, Reader, Writer};

impl Encode for FileId {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.text(self.filename.as_str());
    }
}

impl Decode for FileId {
    const NAME: &'static str = "FileId";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, filename: reader.rest_word("filename")? })
    }
}

/// Reads a name of `length` bytes that must have at least `min`.
pub(crate) fn read_filename(
    reader: &mut Reader<'_>,
    field: &'static str,
    length: usize,
    min: usize,
) -> Result<RemoteFilename, DecodeError> {
    let filename: RemoteFilename = reader.word(field, length)?;
    if length < min {
        return Err(reader.invalid(field, format_args!("{length} bytes, less than {min}")));
    }
    Ok(filename)
}

/// Reads the length of a name.
pub(crate) fn read_filename_length(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<usize, DecodeError> {
    reader.length(field, RemoteFilename::MAX_LEN)
}

/// The length of a head that consists of `fixed` bytes and one name, whose length stands first.
pub(crate) fn head_length_of_name(
    message: &'static str,
    fixed: &[u8],
    fixed_len: usize,
) -> Result<usize, DecodeError> {
    Ok(fixed_len + read_filename_length(&mut Reader::new(message, fixed), "filename length")?)
}
