//! Names of multipart uploads.

use std::fmt;
use std::str::FromStr;

/// The ID of a multipart upload: random, so that it cannot be guessed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UploadId(pub [u8; 16]);

/// The text is not the ID of an upload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an upload ID of 32 hexadecimal digits")]
pub struct ParseUploadIdError;

impl UploadId {
    /// A new one.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        fastrand::fill(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for UploadId {
    type Err = ParseUploadIdError;

    fn from_str(text: &str) -> Result<Self, ParseUploadIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseUploadIdError)?;
        Ok(Self(bytes))
    }
}
