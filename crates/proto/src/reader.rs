//! Taking a message apart, field by field.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use fdfs_types::{GroupName, StorageStatus, Timestamp};

use crate::DecodeError;

/// Takes the fields of one message from its bytes, in order.
///
/// Every method names the field it reads, so that an error can. Nothing is copied and nothing is allocated
/// by a length that the message declares: what is not there is an error first.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the body of the message called `message`.
    pub const fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self { message, rest: body }
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(field, length));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let [byte] = self.array(field)?;
        Ok(byte)
    }

    /// One byte that stands for no or yes; everything but zero is yes.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.u8(field)? != 0)
    }

    /// A signed integer of four bytes.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// An integer of four bytes that must not be below zero.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let value = self.i32(field)?;
        u32::try_from(value).map_err(|_| self.invalid(field, format_args!("{value} is below zero")))
    }

    /// A signed integer of eight bytes.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// An integer of eight bytes that must not be below zero.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let value = self.i64(field)?;
        u64::try_from(value).map_err(|_| self.invalid(field, format_args!("{value} is below zero")))
    }

    /// A length in eight bytes: not below zero, and not above `max`.
    pub fn length(&mut self, field: &'static str, max: usize) -> Result<usize, DecodeError> {
        let value = self.u64(field)?;
        match usize::try_from(value) {
            Ok(length) if length <= max => Ok(length),
            _ => Err(self.invalid(field, format_args!("{value} is more than {max}"))),
        }
    }

    /// A number in eight bytes that lies in `range`.
    pub fn number<T>(&mut self, field: &'static str, range: RangeInclusive<T>) -> Result<T, DecodeError>
    where
        T: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        let value = self.i64(field)?;
        match T::try_from(value) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => {
                let (low, high) = (range.start(), range.end());
                Err(self.invalid(field, format_args!("{value} is not in {low}..={high}")))
            }
        }
    }

    /// A number in eight bytes; below zero stands for none.
    pub fn number_or_none<T>(&mut self, field: &'static str) -> Result<Option<T>, DecodeError>
    where
        T: TryFrom<i64>,
    {
        let value = self.i64(field)?;
        if value < 0 {
            return Ok(None);
        }
        match T::try_from(value) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.invalid(field, format_args!("{value} is too large"))),
        }
    }

    /// Seconds since 1970 in eight bytes.
    pub fn time(&mut self, field: &'static str) -> Result<Timestamp, DecodeError> {
        self.i64(field).map(Timestamp)
    }

    /// Seconds since 1970 in four bytes, read as unsigned so that they last until 2106.
    pub fn time32(&mut self, field: &'static str) -> Result<Timestamp, DecodeError> {
        let seconds = u32::from_be_bytes(self.array(field)?);
        Ok(Timestamp(seconds.into()))
    }

    /// The state of a storage.
    pub fn storage_status(&mut self, field: &'static str) -> Result<StorageStatus, DecodeError> {
        let byte = self.u8(field)?;
        StorageStatus::from_wire(byte)
            .ok_or_else(|| self.invalid(field, format_args!("{byte} is not the state of a storage")))
    }

    /// The name of a group in its field of 16 bytes.
    pub fn group(&mut self) -> Result<GroupName, DecodeError> {
        self.padded("group", GroupName::MAX_LEN)
    }

    /// An address in a field of `width` bytes; `None` for an empty one.
    pub fn ip(&mut self, field: &'static str, width: usize) -> Result<Option<IpAddr>, DecodeError> {
        self.padded_option(field, width)
    }

    /// An address that must be there, in a field of `width` bytes.
    pub fn known_ip(&mut self, field: &'static str, width: usize) -> Result<IpAddr, DecodeError> {
        self.padded(field, width)
    }

    /// A port in a field of four bytes; 0 stands for an unknown one.
    pub fn port32(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        let value = self.i32(field)?;
        u16::try_from(value).map_err(|_| self.invalid(field, format_args!("{value} is not a port")))
    }

    /// A port in a field of eight bytes; 0 stands for an unknown one.
    pub fn port64(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        let value = self.i64(field)?;
        u16::try_from(value).map_err(|_| self.invalid(field, format_args!("{value} is not a port")))
    }

    /// Text in a field of `width` bytes: what stands before the first NUL, or all of it.
    pub fn padded_text(&mut self, field: &'static str, width: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(field, width)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(width);
        self.text_of(field, bytes.get(..end).unwrap_or(bytes))
    }

    /// A word of the domain in a field of `width` bytes.
    pub fn padded<T>(&mut self, field: &'static str, width: usize) -> Result<T, DecodeError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.padded_text(field, width)?;
        self.parse(field, text)
    }

    /// A word of the domain in a field of `width` bytes, or nothing when the field has no text.
    pub fn padded_option<T>(&mut self, field: &'static str, width: usize) -> Result<Option<T>, DecodeError>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.padded_text(field, width)? {
            "" => Ok(None),
            text => self.parse(field, text).map(Some),
        }
    }

    /// Text of exactly `length` bytes, without NUL.
    pub fn text(&mut self, field: &'static str, length: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(field, length)?;
        if bytes.contains(&0) {
            return Err(self.invalid(field, "contains NUL"));
        }
        self.text_of(field, bytes)
    }

    /// A word of the domain of exactly `length` bytes.
    pub fn word<T>(&mut self, field: &'static str, length: usize) -> Result<T, DecodeError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(field, length)?;
        self.parse(field, text)
    }

    /// `count` times what `one` reads. The message ends with an error before a wrong count takes memory.
    pub fn repeat<T>(
        &mut self,
        count: u32,
        one: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(one(self)?);
        }
        Ok(items)
    }

    /// What `one` reads, up to the end.
    pub fn repeat_to_end<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        while !self.is_empty() {
            items.push(one(self)?);
        }
        Ok(items)
    }

    /// All bytes up to the end.
    pub const fn rest(&mut self) -> &'a [u8] {
        let (rest, end) = self.rest.split_at(self.rest.len());
        self.rest = end;
        rest
    }

    /// The text up to the end, without NUL.
    pub fn rest_text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        self.text(field, self.rest.len())
    }

    /// The lines up to the end; each ends with a line feed, so that one that is cut is not taken for whole.
    pub fn rest_lines(
        &mut self,
        field: &'static str,
    ) -> Result<impl Iterator<Item = &'a str> + Clone + use<'a>, DecodeError> {
        let text = self.rest_text(field)?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(self.invalid(field, "the last line has no line feed"));
        }
        Ok(text.split_terminator('\n'))
    }

    /// A word of the domain up to the end.
    pub fn rest_word<T>(&mut self, field: &'static str) -> Result<T, DecodeError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.word(field, self.rest.len())
    }

    /// Number of bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether all bytes are read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the message: nothing may be left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { message: self.message, extra: extra as u64 }),
        }
    }

    /// An error about the value of a field.
    pub fn invalid(&self, field: &'static str, reason: impl Display) -> DecodeError {
        DecodeError::Invalid { message: self.message, field, reason: reason.to_string().into() }
    }

    /// Turns text of a field into a word of the domain.
    pub fn parse<T>(&self, field: &'static str, text: &str) -> Result<T, DecodeError>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.parse().map_err(|error| self.invalid(field, error))
    }

    fn text_of(&self, field: &'static str, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
        str::from_utf8(bytes).map_err(|_| self.invalid(field, "not UTF-8 text"))
    }

    const fn truncated(&self, field: &'static str, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            message: self.message,
            field,
            needed: needed as u64,
            left: self.rest.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_message_and_field() {
        let mut reader = Reader::new("Sample", &[0, 0, 0]);
        assert_eq!(reader.i64("offset").unwrap_err().to_string(), "Sample: offset needs 8 bytes, 3 are left");
        assert_eq!(reader.finish().unwrap_err().to_string(), "Sample: 3 bytes follow the last field");
    }

    #[test]
    fn a_declared_length_is_never_believed() {
        let mut reader = Reader::new("Sample", &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(
            reader.length("name length", 127).unwrap_err().to_string(),
            "Sample: name length: 9223372036854775807 is more than 127"
        );
    }

    #[test]
    fn padded_text_ends_at_the_first_nul_or_fills_the_field() {
        let mut reader = Reader::new("Sample", b"ab\0cabcd");
        assert_eq!(reader.padded_text("first", 4), Ok("ab"));
        assert_eq!(reader.padded_text("second", 4), Ok("abcd"));
        assert!(reader.is_empty());
    }

    #[test]
    fn unpadded_text_has_no_nul() {
        let mut reader = Reader::new("Sample", b"a\0b");
        assert_eq!(reader.rest_text("name").unwrap_err().to_string(), "Sample: name: contains NUL");
    }

    #[test]
    fn integers_below_zero_are_refused_where_they_count_something() {
        let bytes = (-5_i64).to_be_bytes();
        assert_eq!(Reader::new("Sample", &bytes).i64("n"), Ok(-5));
        assert_eq!(
            Reader::new("Sample", &bytes).u64("n").unwrap_err().to_string(),
            "Sample: n: -5 is below zero"
        );
        assert!(Reader::new("Sample", &bytes).port64("port").is_err());
    }
}
