//! Putting a message together, field by field.

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId, Timestamp};

use crate::STORAGE_ID_WIDTH;

/// Appends the fields of a message to a buffer.
///
/// Integers are big-endian. Counts above `i64::MAX` do not occur: the types they come from are bounded.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// No or yes as one byte, 0 or 1.
    pub fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// A signed integer of four bytes.
    pub fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    /// An integer of four bytes that is read as signed.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.min(i32::MAX.unsigned_abs()).to_be_bytes());
    }

    /// A signed integer of eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// An integer of eight bytes that is read as signed.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.min(i64::MAX.unsigned_abs()).to_be_bytes());
    }

    /// A length, in eight bytes.
    pub fn length(&mut self, value: usize) {
        self.u64(value as u64);
    }

    /// Seconds since 1970 in eight bytes.
    pub fn time(&mut self, time: Timestamp) {
        self.i64(time.0);
    }

    /// Seconds since 1970 in four bytes; a time outside 1970 to 2106 becomes the nearest end.
    pub fn time32(&mut self, time: Timestamp) {
        let seconds = u32::try_from(time.0.max(0)).unwrap_or(u32::MAX);
        self.bytes(&seconds.to_be_bytes());
    }

    /// The name of a group in its field of 16 bytes.
    pub fn group(&mut self, group: &GroupName) {
        self.padded(group.as_str(), GroupName::MAX_LEN);
    }

    /// The ID of a storage in its field of 16 bytes; none leaves it empty.
    pub fn storage_id(&mut self, id: Option<&StorageId>) {
        self.padded(id.map_or("", StorageId::as_str), STORAGE_ID_WIDTH);
    }

    /// An address in a field of `width` bytes; none leaves it empty.
    pub fn ip(&mut self, ip: Option<IpAddr>, width: usize) {
        self.padded(&ip.map(|ip| ip.to_string()).unwrap_or_default(), width);
    }

    /// A number of items, in four bytes.
    pub fn count32(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// A port in a field of four bytes.
    pub fn port32(&mut self, value: u16) {
        self.i32(value.into());
    }

    /// A port in a field of eight bytes.
    pub fn port64(&mut self, value: u16) {
        self.i64(value.into());
    }

    /// Text as it is.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Text in a field of `width` bytes, the rest filled with NUL; text that is longer is cut.
    pub fn padded(&mut self, text: &str, width: usize) {
        let end = text.floor_char_boundary(width);
        self.text(text.get(..end).unwrap_or_default());
        self.out.resize(self.out.len() + width - end, 0);
    }

    /// Text in a field of `width` bytes, whose last byte is always NUL.
    pub fn terminated(&mut self, text: &str, width: usize) {
        self.padded(text, width.saturating_sub(1));
        self.u8(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_text_fills_its_field_exactly() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.padded("ab", 4);
        writer.padded("abcdef", 4);
        writer.padded("abcé", 4);
        writer.terminated("abcd", 4);
        assert_eq!(out, b"ab\0\0abcdabc\0abc\0");
    }

    #[test]
    fn a_count_stays_readable_as_a_signed_number() {
        let mut out = Vec::new();
        Writer::new(&mut out).u64(u64::MAX);
        assert_eq!(out, i64::MAX.to_be_bytes());
    }
}
