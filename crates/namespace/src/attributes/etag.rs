//! ETags.

use std::fmt;
use std::str::FromStr;

/// What S3 answers as ETag: `hex` of an MD5, or `hex-N` for content that is no single upload.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ETag {
    /// The digest: MD5 of the content or of the parts' MD5s; else something that is unlike for unlike content.
    pub digest: [u8; 16],
    /// None for plain uploads; the number of parts; 0 for content that S3 did not put.
    pub parts: Option<u32>,
}

/// The text is not an ETag that this namespace gives out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an ETag of 32 hexadecimal digits")]
pub struct ParseETagError;

impl ETag {
    /// That of content which S3 did not put: like no other.
    pub(crate) fn unknown() -> Self {
        let mut digest = [0; 16];
        fastrand::fill(&mut digest);
        Self { digest, parts: Some(0) }
    }

    pub(crate) fn from_row(digest: &[u8], parts: Option<u32>) -> Option<Self> {
        digest.try_into().ok().map(|digest| Self { digest, parts })
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.digest))?;
        self.parts.map_or(Ok(()), |parts| write!(f, "-{parts}"))
    }
}

impl FromStr for ETag {
    type Err = ParseETagError;

    /// Reads an ETag, with or without the quotes of HTTP.
    fn from_str(text: &str) -> Result<Self, ParseETagError> {
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let (digits, parts) = match text.split_once('-') {
            Some((digits, parts)) => (digits, Some(parts.parse().map_err(|_| ParseETagError)?)),
            None => (text, None),
        };
        let mut digest = [0; 16];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| ParseETagError)?;
        Ok(Self { digest, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_reads_as_it_is_written() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-12"] {
            assert_eq!(text.parse::<ETag>().unwrap().to_string(), text);
            assert_eq!(format!("\"{text}\"").parse::<ETag>().unwrap().to_string(), text);
        }
        assert_eq!("xyz".parse::<ETag>(), Err(ParseETagError));
        assert_eq!("d41d8cd98f00b204e9800998ecf8427e-x".parse::<ETag>(), Err(ParseETagError));
    }
}
