//! What a request is about: the service, a bucket, or an object in it.

use crate::error::{ErrorCode, S3Error};
use crate::uri;

/// The target of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// All buckets.
    Service,
    /// One bucket.
    Bucket {
        /// Its name, as sent.
        bucket: String,
    },
    /// One object.
    Object {
        /// The bucket's name, as sent.
        bucket: String,
        /// Its key, decoded: any text of 1 to 1024 bytes.
        key: String,
    },
    /// A key of bytes that are no text. S3 has none, but a mount can make such a name: it can be deleted.
    OddObject {
        /// The bucket's name, as sent.
        bucket: String,
        /// The key, decoded.
        key: Vec<u8>,
    },
}

impl Target {
    /// Reads the target from the path as sent.
    ///
    /// A host `BUCKET.suffix` names the bucket (virtual-host style); under any other host the first
    /// component of the path does (path style).
    pub(crate) fn parse(path: &str, host: &str, virtual_host_suffix: Option<&str>) -> Result<Self, S3Error> {
        let path = path.strip_prefix('/').ok_or(ErrorCode::InvalidURI)?;
        let (bucket, key) = match virtual_host_suffix.and_then(|suffix| bucket_of_host(host, suffix)) {
            Some(bucket) => (bucket, path),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (uri::decode(bucket)?, key)
            }
        };
        let key = match String::from_utf8(uri::decode_bytes(key)?) {
            Ok(key) => key,
            Err(odd) => {
                let key = odd.into_bytes();
                let is_key = !bucket.is_empty() && key.len() <= MAX_KEY_LEN && !key.contains(&0);
                return is_key.then_some(Self::OddObject { bucket, key }).ok_or(ErrorCode::InvalidURI.into());
            }
        };
        match (bucket.is_empty(), key.is_empty()) {
            (true, true) => Ok(Self::Service),
            (true, false) => Err(ErrorCode::InvalidBucketName.into()),
            (false, true) => Ok(Self::Bucket { bucket }),
            (false, false) => {
                check_key(&key)?;
                Ok(Self::Object { bucket, key })
            }
        }
    }
}

impl Target {
    /// The bucket it is about or in.
    pub(crate) fn bucket(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Bucket { bucket } | Self::Object { bucket, .. } | Self::OddObject { bucket, .. } => {
                Some(bucket)
            }
        }
    }
}

/// Refuses a key that S3 would refuse.
pub(crate) fn check_key(key: &str) -> Result<(), S3Error> {
    if key.len() > MAX_KEY_LEN {
        return Err(S3Error::from(ErrorCode::KeyTooLongError)
            .detail("Size", key.len().to_string())
            .detail("MaxSizeAllowed", MAX_KEY_LEN.to_string()));
    }
    // A NUL can stand in no XML, and so in no list.
    if key.is_empty() || key.contains('\0') {
        return Err(ErrorCode::InvalidURI.into());
    }
    Ok(())
}

/// The bucket that a host `BUCKET.suffix` names.
pub(crate) fn bucket_of_host(host: &str, suffix: &str) -> Option<String> {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.to_ascii_lowercase();
    let bucket = host.strip_suffix(&suffix.to_ascii_lowercase())?.strip_suffix('.')?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

/// Length limit of a key, in bytes of UTF-8.
const MAX_KEY_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bucket: &str, key: &str) -> Target {
        Target::Object { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn path_style_names_the_bucket_first() {
        let parse = |path| Target::parse(path, "127.0.0.1:9000", Some("s3.example.com")).unwrap();

        assert_eq!(parse("/"), Target::Service);
        assert_eq!(parse("/pets"), Target::Bucket { bucket: "pets".into() });
        assert_eq!(parse("/pets/"), Target::Bucket { bucket: "pets".into() });
        assert_eq!(parse("/pets/a%20b/%C3%A9+"), object("pets", "a b/\u{e9}+"));
        assert_eq!(parse("/pets//a//"), object("pets", "/a//"));
        assert_eq!(parse("/pets/../x"), object("pets", "../x"));
    }

    #[test]
    fn virtual_host_style_names_the_bucket_in_the_host() {
        let parse = |path, host| Target::parse(path, host, Some("s3.example.com")).unwrap();

        assert_eq!(parse("/", "pets.s3.example.com"), Target::Bucket { bucket: "pets".into() });
        assert_eq!(parse("/a/b", "pets.S3.example.com:9000"), object("pets", "a/b"));
        assert_eq!(parse("/a/b", "my.pets.s3.example.com"), object("my.pets", "a/b"));
        assert_eq!(parse("/a/b", "s3.example.com"), object("a", "b"));
        assert_eq!(parse("/a/b", "pets3.example.com"), object("a", "b"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let code = |path: &str| Target::parse(path, "", None).unwrap_err().code();

        assert_eq!(code("/b/%ff%00"), ErrorCode::InvalidURI);
        assert_eq!(code("/%ff/k"), ErrorCode::InvalidURI);
        assert_eq!(code("/b/a%00b"), ErrorCode::InvalidURI);
        assert_eq!(code("*"), ErrorCode::InvalidURI);
        assert_eq!(code("//key"), ErrorCode::InvalidBucketName);
        assert_eq!(code(&format!("/b/{}", "k".repeat(1025))), ErrorCode::KeyTooLongError);
        assert!(Target::parse(&format!("/b/{}", "k".repeat(1024)), "", None).is_ok());
    }
}
