//! One line of the binlog: `ts SP op SP rest LF`.

use std::fmt;

use fdfs_types::Timestamp;
use thiserror::Error;

/// A record: what happened to a file, when, and who asked for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Record {
    /// Seconds since 1970; not monotonic from line to line.
    pub timestamp: i64,
    /// Whether a client or a peer asked for the change.
    pub origin: Origin,
    /// The change.
    pub change: Change,
}

/// Who asked for a change: the case of the operation's letter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// A client; upper case.
    Source,
    /// A peer that replicates; lower case.
    Replica,
}

/// What happened. Names are logic names (`M00/HH/LL/...`), of sidecars with `-m`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub enum Change {
    /// `C`: a file or a sidecar was made.
    Create { name: Box<str> },
    /// `D`: a file, link or sidecar was deleted.
    Delete { name: Box<str> },
    /// `U`: a sidecar was rewritten.
    Update { name: Box<str> },
    /// `A`: bytes were put behind the end, which was `offset`.
    Append { name: Box<str>, offset: u64, length: u64 },
    /// `M`: bytes were overwritten.
    Modify { name: Box<str>, offset: u64, length: u64 },
    /// `T`: the size was changed.
    Truncate { name: Box<str>, old_size: u64, new_size: u64 },
    /// `L`: a link was made; the source may be missing, then the link itself tells it.
    Link { name: Box<str>, source: Option<Box<str>> },
    /// `R`: an appender file got its final name.
    Rename { name: Box<str>, old_name: Box<str> },
}

/// Why a line is not a [`Record`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RecordError {
    /// A link record without the link's name, as the original writes it for replicated links and for
    /// slaves kept as links. It says nothing, so that a reader goes on behind it.
    #[error("link record without a link name")]
    LinkWithoutName,
    /// Not three fields.
    #[error("a record has a time, a letter and a name")]
    Fields,
    /// The time is not a number.
    #[error("time is not a number")]
    Timestamp,
    /// The letter is not one of the sixteen.
    #[error("unknown operation {0:?}")]
    Operation(char),
    /// The name is shorter than any, or the rest of the line longer than 512 bytes.
    #[error("name has {0} bytes")]
    NameLength(usize),
    /// The rest of an append, modify, truncate or rename record has not the right fields.
    #[error("wrong fields behind the name")]
    Arguments,
    /// The line is not UTF-8.
    #[error("not UTF-8")]
    Text,
}

impl Record {
    /// Longest rest of a line that is read. (The original stops at 127, which two long names exceed.)
    pub const MAX_REST: usize = 512;
    const MIN_NAME: usize = 11;

    /// A change made for a client.
    pub fn source(timestamp: i64, change: Change) -> Self {
        Self { timestamp, origin: Origin::Source, change }
    }

    /// A change that a peer has sent, with the time it told.
    pub fn replica(time: Timestamp, change: Change) -> Self {
        Self { timestamp: time.0, origin: Origin::Replica, change }
    }

    /// Reads a line without its LF.
    pub fn parse(line: &[u8]) -> Result<Self, RecordError> {
        let line = std::str::from_utf8(line).map_err(|_| RecordError::Text)?;
        let mut fields = line.splitn(3, ' ');
        let (Some(timestamp), Some(letter), Some(rest)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(RecordError::Fields);
        };
        let timestamp = timestamp.parse().map_err(|_| RecordError::Timestamp)?;
        let mut letters = letter.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else {
            return Err(RecordError::Fields);
        };
        if rest.len() > Self::MAX_REST {
            return Err(RecordError::NameLength(rest.len()));
        }
        let origin = if letter.is_ascii_lowercase() { Origin::Replica } else { Origin::Source };
        let change = Change::parse(letter.to_ascii_uppercase(), rest)?;
        Ok(Self { timestamp, origin, change })
    }
}

impl Change {
    /// The name that changed.
    pub fn name(&self) -> &str {
        match self {
            Self::Create { name }
            | Self::Delete { name }
            | Self::Update { name }
            | Self::Append { name, .. }
            | Self::Modify { name, .. }
            | Self::Truncate { name, .. }
            | Self::Link { name, .. }
            | Self::Rename { name, .. } => name,
        }
    }

    /// The other name of a link or rename.
    pub fn other_name(&self) -> Option<&str> {
        match self {
            Self::Link { source, .. } => source.as_deref(),
            Self::Rename { old_name, .. } => Some(old_name),
            _ => None,
        }
    }

    fn letter(&self) -> char {
        match self {
            Self::Create { .. } => 'C',
            Self::Delete { .. } => 'D',
            Self::Update { .. } => 'U',
            Self::Append { .. } => 'A',
            Self::Modify { .. } => 'M',
            Self::Truncate { .. } => 'T',
            Self::Link { .. } => 'L',
            Self::Rename { .. } => 'R',
        }
    }

    fn parse(letter: char, rest: &str) -> Result<Self, RecordError> {
        let checked = |name: &str| {
            if name.len() < Record::MIN_NAME {
                Err(RecordError::NameLength(name.len()))
            } else {
                Ok(name.into())
            }
        };
        let numbers = || {
            let mut fields = rest.split(' ');
            let (Some(name), Some(first), Some(second), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(RecordError::Arguments);
            };
            let number = |text: &str| text.parse::<u64>().map_err(|_| RecordError::Arguments);
            Ok((checked(name)?, number(first)?, number(second)?))
        };
        let names = || rest.split_once(' ').map_or((rest, None), |(name, other)| (name, Some(other)));
        match letter {
            'C' => Ok(Self::Create { name: checked(rest)? }),
            'D' => Ok(Self::Delete { name: checked(rest)? }),
            'U' => Ok(Self::Update { name: checked(rest)? }),
            'A' => numbers().map(|(name, offset, length)| Self::Append { name, offset, length }),
            'M' => numbers().map(|(name, offset, length)| Self::Modify { name, offset, length }),
            'T' => numbers().map(|(name, old_size, new_size)| Self::Truncate { name, old_size, new_size }),
            'L' => match names() {
                ("", _) => Err(RecordError::LinkWithoutName),
                (name, source) => {
                    Ok(Self::Link { name: checked(name)?, source: source.map(checked).transpose()? })
                }
            },
            'R' => {
                let (name, old_name) = names();
                let old_name = checked(old_name.ok_or(RecordError::Arguments)?)?;
                Ok(Self::Rename { name: checked(name)?, old_name })
            }
            letter => Err(RecordError::Operation(letter)),
        }
    }
}

/// The line, without its LF.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.origin {
            Origin::Source => self.change.letter(),
            Origin::Replica => self.change.letter().to_ascii_lowercase(),
        };
        write!(f, "{} {letter} {}", self.timestamp, self.change.name())?;
        match &self.change {
            Change::Append { offset, length, .. } | Change::Modify { offset, length, .. } => {
                write!(f, " {offset} {length}")
            }
            Change::Truncate { old_size, new_size, .. } => write!(f, " {old_size} {new_size}"),
            Change::Link { source: Some(other), .. } | Change::Rename { old_name: other, .. } => {
                write!(f, " {other}")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_names_of_the_greatest_length_fit_a_record() {
        let name = |last: char| format!("M00/00/00/{}{last}", "x".repeat(116));
        let change = Change::Rename { name: name('a').into(), old_name: name('b').into() };
        let line = Record::source(1, change).to_string();
        assert_eq!(Record::parse(line.as_bytes()).expect("record").to_string(), line);
    }

    #[test]
    fn every_captured_line_is_read_and_written_back() {
        for name in [
            "sync_binlog.source.000",
            "sync_binlog.replica.000",
            "sync_binlog_with_link_and_rename.source.000",
        ] {
            for line in crate::tests::vector(name).lines() {
                assert_eq!(Record::parse(line.as_bytes()).unwrap().to_string(), line, "{name}");
            }
        }
    }

    #[test]
    fn both_damaged_links_of_the_original_are_told_from_other_errors() {
        let line = b"1795327180 L  M00/00/00/fwAAAmsChM2AKOpBAAAABpnybIo161.txt";
        assert_eq!(Record::parse(line), Err(RecordError::LinkWithoutName));
        assert_eq!(Record::parse(b"1795327180 l "), Err(RecordError::LinkWithoutName));
    }

    #[test]
    fn malformed_lines_are_refused() {
        let name = "M00/00/00/a";
        for (line, error) in [
            ("1 C", RecordError::Fields),
            ("", RecordError::Fields),
            ("x C M00/00/00/a", RecordError::Timestamp),
            ("1 X M00/00/00/a", RecordError::Operation('X')),
            ("1 CC M00/00/00/a", RecordError::Fields),
            ("1 C short", RecordError::NameLength(5)),
            (&format!("1 A {name} 1"), RecordError::Arguments),
            (&format!("1 A {name} 1 2 3"), RecordError::Arguments),
            (&format!("1 T {name} 1 -2"), RecordError::Arguments),
            (&format!("1 R {name}"), RecordError::Arguments),
        ] {
            assert_eq!(Record::parse(line.as_bytes()), Err(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_not_without_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::parse(&line);
        }

        #[test]
        fn what_parses_is_written_back(line in "[0-9]{1,10} [CcDdUuAaMmTtLlRr] M00/00/00/[a-z]{1,5}( [0-9]{1,4}){0,2}") {
            if let Ok(record) = Record::parse(line.as_bytes()) {
                prop_assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
            }
        }
    }
}
