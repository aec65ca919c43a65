//! Metadata of files: pairs of name and value.

use std::collections::BTreeMap;

use thiserror::Error;

/// Metadata in its canonical form: names are unique and sorted by bytes.
///
/// On the wire and in the sidecar file it is `name 0x02 value` records separated by 0x01, without a
/// trailing separator. Names have 1 to 64 bytes and none of 0x00, 0x01, 0x02; values have up to 256
/// bytes and neither 0x00 nor 0x01. Bytes are kept as they are: old clients send any character set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata(BTreeMap<Box<[u8]>, Box<[u8]>>);

/// Why bytes are not [`Metadata`], or a pair does not fit in.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseMetadataError {
    /// A record has no 0x02 between name and value.
    #[error("metadata record {record} has no separator 0x02 between name and value")]
    NoSeparator {
        /// Which record, from 0 on.
        record: usize,
    },
    /// A name is empty or longer than 64 bytes.
    #[error("metadata name of record {record} has {len} bytes; 1 to 64 are allowed")]
    NameLength {
        /// Which record, from 0 on.
        record: usize,
        /// Its length, in bytes.
        len: usize,
    },
    /// A value is longer than 256 bytes.
    #[error("metadata value of record {record} has {len} bytes, more than 256")]
    ValueTooLong {
        /// Which record, from 0 on.
        record: usize,
        /// Its length, in bytes.
        len: usize,
    },
    /// A separator or a NUL stands inside a name or a value.
    #[error("metadata record {record} holds a byte that separates records or fields, or a NUL")]
    BadByte {
        /// Which record, from 0 on.
        record: usize,
    },
}

impl Metadata {
    /// Longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 64;
    /// Longest value, in bytes.
    pub const MAX_VALUE_LEN: usize = 256;
    const RECORD_SEPARATOR: u8 = 0x01;
    const FIELD_SEPARATOR: u8 = 0x02;

    /// No metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads records as a client or a sidecar file holds them. The last of several records with one
    /// name wins. No bytes are no metadata.
    pub fn decode(bytes: &[u8]) -> Result<Self, ParseMetadataError> {
        let mut metadata = Self::new();
        if bytes.is_empty() {
            return Ok(metadata);
        }
        for (record, row) in bytes.split(|&byte| byte == Self::RECORD_SEPARATOR).enumerate() {
            let middle = row.iter().position(|&byte| byte == Self::FIELD_SEPARATOR);
            let middle = middle.ok_or(ParseMetadataError::NoSeparator { record })?;
            metadata.insert_record(record, &row[..middle], &row[middle + 1..])?;
        }
        Ok(metadata)
    }

    /// The records, sorted by name.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in &self.0 {
            if !bytes.is_empty() {
                bytes.push(Self::RECORD_SEPARATOR);
            }
            bytes.extend_from_slice(name);
            bytes.push(Self::FIELD_SEPARATOR);
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// Adds a pair, or replaces the value of its name.
    pub fn insert(&mut self, name: &[u8], value: &[u8]) -> Result<(), ParseMetadataError> {
        self.insert_record(self.0.len(), name, value)
    }

    /// Takes over every pair of `newer`; its values win.
    pub fn merge(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// Removes a pair; whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }

    /// The value of a name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(|value| &**value)
    }

    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert_record(&mut self, record: usize, name: &[u8], value: &[u8]) -> Result<(), ParseMetadataError> {
        if name.is_empty() || name.len() > Self::MAX_NAME_LEN {
            return Err(ParseMetadataError::NameLength { record, len: name.len() });
        }
        if value.len() > Self::MAX_VALUE_LEN {
            return Err(ParseMetadataError::ValueTooLong { record, len: value.len() });
        }
        let splits = |byte: &u8| matches!(*byte, 0 | Self::RECORD_SEPARATOR);
        if name.iter().any(|byte| splits(byte) || *byte == Self::FIELD_SEPARATOR) || value.iter().any(splits)
        {
            return Err(ParseMetadataError::BadByte { record });
        }
        self.0.insert(name.into(), value.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Metadata, ParseMetadataError};

    #[test]
    fn records_come_back_sorted_and_the_last_duplicate_wins() {
        let metadata = Metadata::decode(b"width\x02160\x01height\x0280\x01width\x021024").unwrap();
        assert_eq!(metadata.encode(), b"height\x0280\x01width\x021024");
        assert_eq!(metadata.get(b"width"), Some(&b"1024"[..]));
    }

    #[test]
    fn only_the_first_separator_of_a_record_ends_the_name() {
        let metadata = Metadata::decode(b"a\x02b\x02c").unwrap();
        assert_eq!(metadata.get(b"a"), Some(&b"b\x02c"[..]));
        assert_eq!(Metadata::decode(b"a\x02").unwrap().get(b"a"), Some(&b""[..]));
    }

    #[test]
    fn malformed_rows_are_refused_by_their_number() {
        let long_name = [b"n".repeat(65), b"\x02v".to_vec()].concat();
        let long_value = [b"n\x02".to_vec(), b"v".repeat(257)].concat();
        let cases = [
            (&b"a\x02b\x01c"[..], ParseMetadataError::NoSeparator { record: 1 }),
            (b"a\x02b\x01", ParseMetadataError::NoSeparator { record: 1 }),
            (b"\x02b", ParseMetadataError::NameLength { record: 0, len: 0 }),
            (&long_name, ParseMetadataError::NameLength { record: 0, len: 65 }),
            (&long_value, ParseMetadataError::ValueTooLong { record: 0, len: 257 }),
            (b"a\x02b\0c", ParseMetadataError::BadByte { record: 0 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(Metadata::decode(bytes), Err(error));
        }
    }

    proptest! {
        #[test]
        fn what_decodes_has_one_form(bytes in proptest::collection::vec(0u8..5, 0..60)) {
            if let Ok(metadata) = Metadata::decode(&bytes) {
                prop_assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata));
            }
        }
    }
}
