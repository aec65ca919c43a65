//! The grammar of native paths.

use fdfs_types::{FileId, GroupName, ParseFileIdError};
use percent_encoding::percent_decode_str;
use thiserror::Error;

/// A parsed request target: which file, and what the query asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NativePath {
    /// The file.
    pub id: FileId,
    /// Value of the query's `filename`: offer the content as a download under this name.
    pub attachment: Option<String>,
    /// Whether the request was already forwarded once (`redirect` in the query).
    pub forwarded: bool,
}

/// Why a request target is not a native path. All are answered with 400.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseNativePathError {
    /// A percent escape is cut short, not hex, or stands for a NUL.
    #[error("bad percent escape in the path")]
    BadEscape,
    /// The path leaves the root by `..`.
    #[error("path leaves the root")]
    AboveRoot,
    /// The path is longer than 512 bytes.
    #[error("path is longer than 512 bytes")]
    TooLong,
    /// The path is not a file ID.
    #[error("path is not /GROUP/Mxx/HH/LL/NAME: {0}")]
    NotAFile(#[from] ParseFileIdError),
    /// The name is shorter than any file's, or its first 27 characters are not base64.
    #[error("last component of the path is not a file name")]
    NotAName,
}

impl NativePath {
    const MAX_LEN: usize = 512;
    const MAX_PARAMETERS: usize = 32;
    const MIN_NAME_LEN: usize = 44;

    /// Parses the path and query of a request. `own_group` is the group of paths that begin with
    /// the store path (`/M00/…`); without it such paths are refused.
    pub fn parse(
        path: &str,
        query: Option<&str>,
        own_group: Option<GroupName>,
    ) -> Result<Self, ParseNativePathError> {
        if path.len() > Self::MAX_LEN {
            return Err(ParseNativePathError::TooLong);
        }
        let path = normalise(&decode(path)?)?;
        let id: FileId = match own_group {
            Some(group) if is_store_path(&path) => {
                FileId { group, filename: path.parse().map_err(ParseFileIdError::from)? }
            }
            _ => canonical(&path).parse()?,
        };
        let long_enough = id.filename.as_str().len() >= Self::MIN_NAME_LEN;
        if !long_enough || !id.filename.has_store_path() || id.filename.fields().is_err() {
            return Err(ParseNativePathError::NotAName);
        }
        let mut parsed = Self { id, attachment: None, forwarded: false };
        for (name, value) in query.into_iter().flat_map(parameters).take(Self::MAX_PARAMETERS) {
            match name {
                "filename" if parsed.attachment.is_none() => parsed.attachment = Some(decode_value(value)),
                "redirect" => parsed.forwarded = true,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// Percent-decodes a path strictly.
fn decode(path: &str) -> Result<String, ParseNativePathError> {
    let bytes = path.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let escape = bytes.get(at + 1..at + 3).ok_or(ParseNativePathError::BadEscape)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) || escape == b"00" {
            return Err(ParseNativePathError::BadEscape);
        }
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| ParseNativePathError::BadEscape)?;
    Ok(decoded.into_owned())
}

/// Joins repeated slashes and resolves `.` and `..`; the result has no leading slash.
fn normalise(path: &str) -> Result<String, ParseNativePathError> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(ParseNativePathError::AboveRoot)?;
            }
            _ => segments.push(segment),
        }
    }
    // A trailing slash makes the last component empty, which no file name is.
    if path.ends_with('/') {
        segments.push("");
    }
    Ok(segments.join("/"))
}

/// Whether a path begins with a store path instead of a group.
fn is_store_path(path: &str) -> bool {
    matches!(path.as_bytes(), [b'M', high, low, b'/', ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Store path digits of either case are accepted in URLs; file IDs have upper case.
fn canonical(path: &str) -> String {
    match path.split_once('/') {
        Some((group, name)) if is_store_path(name) => {
            format!("{group}/{}{}", name[..3].to_ascii_uppercase(), &name[3..])
        }
        _ => path.to_owned(),
    }
}

/// The `key=value` pieces of a query; pieces without `=` or without a key are no parameters.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|piece| piece.split_once('=')).filter(|(name, _)| !name.is_empty())
}

/// A query value: `+` is a space, broken escapes stay as they are.
fn decode_value(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{NativePath, ParseNativePathError as Error};

    const NAME: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";

    fn parse(path: &str) -> Result<NativePath, Error> {
        NativePath::parse(path, None, None)
    }

    #[test]
    fn a_path_is_a_file_id() {
        let id = format!("group1/{NAME}");
        for path in
            [format!("/{id}"), format!("//group1//{NAME}"), format!("/group1/{}", NAME.replace('/', "%2F"))]
        {
            assert_eq!(parse(&path).unwrap().id.to_string(), id, "{path}");
        }
        let with_dots = format!("/group1/M00/00/07/../07/{}", &NAME[10..]);
        assert_eq!(parse(&with_dots).unwrap().id.to_string(), id);
    }

    #[test]
    fn a_path_without_a_group_belongs_to_the_own_group() {
        let own = "group7".parse().ok();
        let path = format!("/{NAME}");
        assert_eq!(NativePath::parse(&path, None, own).unwrap().id.to_string(), format!("group7/{NAME}"));
        assert_eq!(parse(&path), Err(Error::NotAName));
    }

    #[test]
    fn nothing_outside_the_store_path_can_be_named() {
        let cases = [
            ("/../../group1/etc/passwd".to_owned(), Error::AboveRoot),
            (format!("/group1/{NAME}%00"), Error::BadEscape),
            (format!("/group1/{NAME}%4"), Error::BadEscape),
            (format!("/group1/{NAME}{}", "x".repeat(500)), Error::TooLong),
            ("/group1/M00/00/00/short.jpg".to_owned(), Error::NotAName),
            (format!("/group1/M00/00/07/{}", "*".repeat(34)), Error::NotAName),
        ];
        for (path, error) in cases {
            assert_eq!(parse(&path), Err(error), "{path}");
        }
        for path in [
            "/",
            "/group1",
            "/group1/M00/00/00/",
            "/group1/M0G/00/00/x",
            "/group1/M00/00/00/..%2F..%2Fetc/passwd",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
        assert!(parse(&format!("/group1/{NAME}/")).is_err());
        assert!(
            parse(&format!("/group1/{NAME}%3Ffilename=a.txt")).is_ok_and(|path| path.attachment.is_none())
        );
    }

    #[test]
    fn the_query_names_the_download_and_marks_what_was_forwarded() {
        let query = Some("a&=b&filename=my+photo%21.jpg&filename=second&redirect=1");
        let path = NativePath::parse(&format!("/group1/{NAME}"), query, None).unwrap();
        assert_eq!(path.attachment.as_deref(), Some("my photo!.jpg"));
        assert!(path.forwarded);
        let bare =
            NativePath::parse(&format!("/group1/{NAME}"), Some("redirect&filename=%zz"), None).unwrap();
        assert_eq!((bare.attachment.as_deref(), bare.forwarded), (Some("%zz"), false));
    }
}
