//! The grammar of native paths.

use fdfs_conf::UrlForm;
use fdfs_types::{FileId, GroupName, ParseFileIdError, ParseGroupNameError, RemoteFilename};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::Query;

/// A request target, decoded and taken apart. Whether it names a file is told by [`Self::file_id`]: tokens
/// are checked before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The path without its leading slash.
    path: String,
    /// Where the group ends, if there is one.
    group: Option<usize>,
    /// What the query asks for.
    pub query: Query,
}

/// Why a request target is not a native path. All are answered with 400.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseTargetError {
    /// A percent escape is cut short, not hex, or stands for a NUL or for what is no UTF-8.
    #[error("bad percent escape in the path")]
    BadEscape,
    /// The path leaves the root by `..`.
    #[error("path leaves the root")]
    AboveRoot,
    /// The path is longer than 512 bytes.
    #[error("path is longer than 512 bytes")]
    TooLong,
    /// The path is too short for a group and a file name.
    #[error("path is not /GROUP/Mxx/HH/LL/NAME")]
    TooShort,
    /// The group is none.
    #[error("path is not /GROUP/Mxx/HH/LL/NAME: {0}")]
    Group(#[from] ParseGroupNameError),
    /// The path is not a file ID.
    #[error("path is not /GROUP/Mxx/HH/LL/NAME: {0}")]
    NotAFile(#[from] ParseFileIdError),
    /// The name is shorter than any file's, or its first 27 characters are not base64.
    #[error("last component of the path is not a file name")]
    NotAName,
    /// The file is not given to whoever knows its name; answered with 403.
    #[error("the file is private")]
    Private,
}

impl Target {
    const MAX_LEN: usize = 512;
    const MIN_PART: usize = 22;

    /// Takes the path and query of a request apart.
    pub fn parse(path: &str, query: Option<&str>, form: UrlForm) -> Result<Self, ParseTargetError> {
        if path.len() > Self::MAX_LEN {
            return Err(ParseTargetError::TooLong);
        }
        let path = match path.strip_prefix('/') {
            Some(rest) if is_plain(rest) => rest.to_owned(),
            _ => normalise(&decode(path)?)?,
        };
        let without_group = match form {
            UrlForm::WithGroup => false,
            UrlForm::WithoutGroup => true,
            UrlForm::Either => is_store_path(&path),
        };
        let group = match without_group {
            true => None,
            false => Some(path.find('/').ok_or(ParseTargetError::TooShort)?),
        };
        let target = Self { path, group, query: query.map(Query::parse).unwrap_or_default() };
        if target.name().len() < Self::MIN_PART { Err(ParseTargetError::TooShort) } else { Ok(target) }
    }

    /// The name without its group, as tokens are made of it.
    pub fn name(&self) -> &str {
        self.group.map_or(&self.path, |end| &self.path[end + 1..])
    }

    fn group(&self) -> Option<&str> {
        self.group.map(|end| &self.path[..end])
    }

    /// The path, decoded, with its group if it has one.
    pub fn path(&self) -> String {
        format!("/{}", self.path)
    }

    /// The file. `own_group` is the group of paths without one; such paths are refused if it is absent.
    pub fn file_id(&self, own_group: Option<GroupName>) -> Result<FileId, ParseTargetError> {
        let group = match self.group() {
            Some(group) => group.parse()?,
            None => own_group.ok_or(ParseTargetError::TooShort)?,
        };
        let name = self.name();
        if !is_store_path(name) {
            return Err(ParseTargetError::NotAName);
        }
        let filename: Result<RemoteFilename, _> =
            match name[..3].bytes().any(|byte| byte.is_ascii_lowercase()) {
                true => format!("{}{}", name[..3].to_ascii_uppercase(), &name[3..]).parse(),
                false => name.parse(),
            };
        let filename = filename.map_err(ParseFileIdError::from)?;
        let fields = filename.fields().ok().filter(|_| name.len() >= RemoteFilename::NORMAL_LEN);
        match fields {
            None => Err(ParseTargetError::NotAName),
            Some(fields) if fields.size.is_private() => Err(ParseTargetError::Private),
            Some(_) => Ok(FileId { group, filename }),
        }
    }
}

/// Whether a path without its leading slash has nothing to be decoded, joined or resolved.
fn is_plain(path: &str) -> bool {
    let mut after_slash = true;
    path.bytes().all(|byte| {
        let is_plain = byte != b'%' && !(after_slash && matches!(byte, b'/' | b'.'));
        after_slash = byte == b'/';
        is_plain
    })
}

/// Percent-decodes a path strictly.
fn decode(path: &str) -> Result<String, ParseTargetError> {
    let bytes = path.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let escape = bytes.get(at + 1..at + 3).ok_or(ParseTargetError::BadEscape)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) || escape == b"00" {
            return Err(ParseTargetError::BadEscape);
        }
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| ParseTargetError::BadEscape)?;
    Ok(decoded.into_owned())
}

/// Joins repeated slashes and resolves `.` and `..`; the result has no leading slash.
fn normalise(path: &str) -> Result<String, ParseTargetError> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(ParseTargetError::AboveRoot)?;
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

/// Whether a path begins with a store path, its digits in either case.
fn is_store_path(path: &str) -> bool {
    matches!(path.as_bytes(), [b'M', high, low, b'/', ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use fdfs_types::FileId;

    use super::{ParseTargetError as Error, Target, UrlForm};

    const NAME: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";

    fn parse(path: &str) -> Result<FileId, Error> {
        Target::parse(path, None, UrlForm::WithGroup)?.file_id(None)
    }

    #[test]
    fn a_path_is_a_file_id() {
        let id = format!("group1/{NAME}");
        for path in
            [format!("/{id}"), format!("//group1//{NAME}"), format!("/group1/{}", NAME.replace('/', "%2F"))]
        {
            assert_eq!(parse(&path).unwrap().to_string(), id, "{path}");
        }
        let with_dots = format!("/group1/M00/00/07/../07/{}", &NAME[10..]);
        assert_eq!(parse(&with_dots).unwrap().to_string(), id);
        let lower = parse(&format!("/{}", id.replace("M00", "M0a"))).unwrap();
        assert_eq!(lower.to_string(), id.replace("M00", "M0A"));
    }

    #[test]
    fn a_path_has_a_group_or_none_as_configured() {
        let own = "group7".parse().ok();
        let ask = |path: &str, form| Target::parse(path, None, form).and_then(|target| target.file_id(own));
        let (with, without) = (format!("/group1/{NAME}"), format!("/{NAME}"));
        assert_eq!(ask(&without, UrlForm::WithoutGroup).unwrap().to_string(), format!("group7/{NAME}"));
        assert_eq!(ask(&without, UrlForm::Either).unwrap().to_string(), format!("group7/{NAME}"));
        assert_eq!(ask(&with, UrlForm::Either).unwrap().to_string(), format!("group1/{NAME}"));
        assert!(ask(&with, UrlForm::WithoutGroup).is_err() && ask(&without, UrlForm::WithGroup).is_err());
        assert!(Target::parse(&without, None, UrlForm::Either).unwrap().file_id(None).is_err());
    }

    #[test]
    fn nothing_outside_the_store_path_can_be_named() {
        let cases = [
            ("/../../group1/etc/passwd".to_owned(), Error::AboveRoot),
            (format!("/group1/{NAME}%00"), Error::BadEscape),
            (format!("/group1/{NAME}%4"), Error::BadEscape),
            (format!("/group1/{NAME}{}", "x".repeat(500)), Error::TooLong),
            ("/group1/M00/00/00/no-longer.jpg".to_owned(), Error::NotAName),
            ("/group1/M00/00/00/short.jpg".to_owned(), Error::TooShort),
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
        let escaped = Target::parse(&format!("/group1/{NAME}%3Ffilename=a.txt"), None, UrlForm::WithGroup);
        assert_eq!(escaped.unwrap().query.filename, None);
    }
}
