//! Names of files inside a group.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Extension, NameFields, ParseNameError, TrunkSlot};

/// The name of a file inside its group, for example `M00/01/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt`.
///
/// The shape is checked once, so that a name can neither leave its store path nor meet a control
/// character: `Mxx/` with upper-case hex digits, two sub-directories in upper-case hex, and one last
/// component that is not `.` or `..`. Names made before store paths existed have no `Mxx/`; they
/// belong to store path 0. What the last component means is told by [`Self::fields`].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RemoteFilename(Box<str>);

/// A sub-directory pair of a store path, `HH/LL`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subdir {
    /// First level.
    pub high: u8,
    /// Second level.
    pub low: u8,
}

/// What kind of file a name stands for, as far as the name tells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FileKind {
    /// An ordinary file, or a link to one (which looks the same).
    Normal,
    /// A file that can be changed; slaves of appender files carry the same mark.
    Appender,
    /// A file whose name is derived from another's.
    Slave,
    /// A small file in a slot of a trunk file.
    Trunk(TrunkSlot),
}

/// Why a text is not a [`RemoteFilename`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseRemoteFilenameError {
    /// It has 10 bytes or less.
    #[error("file name has {len} bytes, too few for a directory and a name")]
    TooShort {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// It has more than 127 bytes.
    #[error("file name has {len} bytes, more than 127")]
    TooLong {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// It begins with `M` but not with `M`, two upper-case hex digits and a slash.
    #[error("store path is not M, two upper-case hex digits and a slash")]
    BadStorePath,
    /// The directories are not `HH/LL/` in upper-case hex.
    #[error("sub-directories are not HH/LL/ in upper-case hex")]
    BadSubdir,
    /// The last component has a slash, a NUL or another control byte, or is `.` or `..`.
    #[error("last component holds a slash or a control byte, or is a directory")]
    BadName,
}

impl RemoteFilename {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 127;
    /// A name has more bytes than this.
    pub const TOO_SHORT: usize = 10;
    /// Length of a normal or appender file's name, in bytes.
    pub const NORMAL_LEN: usize = 44;
    /// Length of a trunk file's name, in bytes.
    pub const TRUNK_LEN: usize = Self::NORMAL_LEN + TrunkSlot::ENCODED_LEN;
    const PREFIX_LEN: usize = 4;
    const SUBDIR_LEN: usize = 6;

    /// The name of a new file from its parts; `tail` ends it (digits, dot and extension, or what a
    /// slave adds).
    pub fn compose(
        store_path: u8,
        subdir: Subdir,
        fields: &NameFields,
        slot: Option<TrunkSlot>,
        tail: &str,
    ) -> Result<Self, ParseRemoteFilenameError> {
        let slot = slot.map(TrunkSlot::encode).unwrap_or_default();
        let Subdir { high, low } = subdir;
        format!("M{store_path:02X}/{high:02X}/{low:02X}/{}{slot}{tail}", fields.encode()).parse()
    }

    /// The name as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Index of the store path: 0 for `M00`.
    pub fn store_path(&self) -> u8 {
        if self.has_store_path() { hex_pair(&self.0.as_bytes()[1..3]).expect("checked when made") } else { 0 }
    }

    /// Whether the name begins with `Mxx/`.
    pub fn has_store_path(&self) -> bool {
        self.0.starts_with('M')
    }

    /// The name without `Mxx/`: where the file lies below a store path's `data`.
    pub fn local_path(&self) -> &str {
        if self.has_store_path() { &self.0[Self::PREFIX_LEN..] } else { &self.0 }
    }

    /// Its directories.
    pub fn subdir(&self) -> Subdir {
        let bytes = self.local_path().as_bytes();
        let level = |at: usize| hex_pair(&bytes[at..at + 2]).expect("checked when made");
        Subdir { high: level(0), low: level(3) }
    }

    /// The last component.
    pub fn base_name(&self) -> &str {
        &self.local_path()[Self::SUBDIR_LEN..]
    }

    /// What the name tells about the file.
    pub fn fields(&self) -> Result<NameFields, ParseNameError> {
        let text = self.base_name().as_bytes().get(..NameFields::ENCODED_LEN).ok_or(ParseNameError)?;
        NameFields::decode(text)
    }

    /// What kind of file this is, by its flags and its length.
    pub fn kind(&self) -> Result<FileKind, ParseNameError> {
        let fields = self.fields()?;
        let length = Self::PREFIX_LEN + self.local_path().len();
        let trunk = fields.size.has_trunk_bit();
        if fields.size.is_appender() {
            Ok(FileKind::Appender)
        } else if length > Self::TRUNK_LEN || (length > Self::NORMAL_LEN && !trunk) {
            Ok(FileKind::Slave)
        } else if trunk && length == Self::TRUNK_LEN {
            Ok(self.trunk_part().map_or(FileKind::Normal, FileKind::Trunk))
        } else {
            Ok(FileKind::Normal)
        }
    }

    /// Whether the file is private: it is given to members alone, not to whoever knows its name.
    pub fn is_private(&self) -> bool {
        self.fields().is_ok_and(|fields| fields.size.is_private())
    }

    /// The slot that a trunk file, or a slave of one, names.
    pub fn trunk_part(&self) -> Option<TrunkSlot> {
        let from = NameFields::ENCODED_LEN;
        let has_bit = self.fields().ok()?.size.has_trunk_bit();
        let text = self.base_name().as_bytes().get(from..from + TrunkSlot::ENCODED_LEN)?;
        has_bit.then(|| TrunkSlot::decode(text)).flatten()
    }

    /// The last 7 bytes, or fewer if the name is shorter: where digits and extension stand.
    pub fn tail(&self) -> &str {
        let name = self.base_name();
        let from = name.len().saturating_sub(Extension::TAIL_LEN);
        name.get(from..).unwrap_or(name)
    }

    /// The same store path and directories with another last component.
    pub fn with_base_name(&self, name: &str) -> Result<Self, ParseRemoteFilenameError> {
        let directories = self.0.len() - self.base_name().len();
        format!("{}{name}", &self.0[..directories]).parse()
    }
}

impl FromStr for RemoteFilename {
    type Err = ParseRemoteFilenameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let len = text.len();
        if len <= Self::TOO_SHORT {
            return Err(ParseRemoteFilenameError::TooShort { len });
        }
        if len > Self::MAX_LEN {
            return Err(ParseRemoteFilenameError::TooLong { len });
        }
        let bytes = text.as_bytes();
        let local = match bytes {
            [b'M', high, low, b'/', rest @ ..] => {
                hex_pair(&[*high, *low]).ok_or(ParseRemoteFilenameError::BadStorePath)?;
                rest
            }
            [b'M', ..] => return Err(ParseRemoteFilenameError::BadStorePath),
            _ => bytes,
        };
        let name = match local {
            [h1, h2, b'/', l1, l2, b'/', name @ ..] => {
                hex_pair(&[*h1, *h2])
                    .and(hex_pair(&[*l1, *l2]))
                    .ok_or(ParseRemoteFilenameError::BadSubdir)?;
                name
            }
            _ => return Err(ParseRemoteFilenameError::BadSubdir),
        };
        let control = name.iter().any(|byte| byte.is_ascii_control() || *byte == b'/');
        if control || matches!(name, b"" | b"." | b"..") {
            return Err(ParseRemoteFilenameError::BadName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RemoteFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RemoteFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteFilename({:?})", &*self.0)
    }
}

impl AsRef<str> for RemoteFilename {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads two upper-case hex digits.
fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    match digits {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
