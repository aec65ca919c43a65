//! File IDs: what clients keep.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{GroupName, ParseGroupNameError, ParseRemoteFilenameError, RemoteFilename};

/// The ID of a file: its group and its name in the group, for example
/// `group1/M00/01/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId {
    /// The group that holds the file.
    pub group: GroupName,
    /// Its name there.
    pub filename: RemoteFilename,
}

/// Why a text is not a [`FileId`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseFileIdError {
    /// No slash separates group and name.
    #[error("file id has no slash between group and name")]
    NoGroup,
    /// The group is not one.
    #[error("file id: {0}")]
    Group(#[from] ParseGroupNameError),
    /// The name is not one.
    #[error("file id: {0}")]
    Filename(#[from] ParseRemoteFilenameError),
}

impl FromStr for FileId {
    type Err = ParseFileIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, filename) = text.split_once('/').ok_or(ParseFileIdError::NoGroup)?;
        Ok(Self { group: group.parse()?, filename: filename.parse()? })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.filename)
    }
}

impl serde::Serialize for FileId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for FileId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
