//! Headers that ask for what is not served: they are refused, never ignored.

use fdfs_objects::access::CannedAcl;
use http::HeaderMap;

use crate::error::{ErrorCode, S3Error};

/// Refuses a request that asks for something not served.
pub(crate) fn refuse_unsupported(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        let harmless = match name {
            "x-amz-acl" => value.to_str().is_ok_and(|name| CannedAcl::parse(name).is_some()),
            "x-amz-storage-class" => value == "STANDARD",
            "x-amz-bucket-object-lock-enabled" => value == "false",
            "x-amz-object-ownership" => true,
            "x-amz-write-offset-bytes" | "x-amz-mfa" => false,
            _ => !REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
        };
        if !harmless {
            return Err(S3Error::from(ErrorCode::NotImplemented)
                .detail("Header", name)
                .detail("Value", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    Ok(())
}

const REFUSED_PREFIXES: &[&str] = &[
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-grant-",
    "x-amz-expected-bucket-owner",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &'static str, value: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        refuse_unsupported(&headers).is_err()
    }

    #[test]
    fn what_would_not_be_honoured_is_refused() {
        assert!(refused("x-amz-server-side-encryption", "AES256"));
        assert!(refused("x-amz-server-side-encryption-customer-key", "x"));
        assert!(refused("x-amz-acl", "public-read-write"));
        assert!(refused("x-amz-storage-class", "GLACIER"));
        assert!(refused("x-amz-write-offset-bytes", "5"));
        assert!(refused("x-amz-grant-read", "id=1"));
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        assert!(!refused("x-amz-acl", "private"));
        assert!(!refused("x-amz-acl", "public-read"));
        assert!(!refused("x-amz-storage-class", "STANDARD"));
        assert!(!refused("x-amz-meta-a", "b"));
        assert!(!refused("x-amz-date", "20130524T000000Z"));
    }
}
