//! Headers that ask for what is not served, or not to them: they are refused, never ignored.

use fdfs_objects::access::CannedAcl;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::ACCOUNT;
use crate::error::{ErrorCode, S3Error};
use crate::uri::Query;

/// Refuses a request that asks for something not served, or for the bucket of another account.
pub(crate) fn refuse_unsupported(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        let harmless = match name {
            "x-amz-acl" => value.to_str().is_ok_and(|name| CannedAcl::parse(name).is_some()),
            "x-amz-storage-class" => value == "STANDARD",
            "x-amz-bucket-object-lock-enabled" => value == "false",
            "x-amz-object-ownership" => true,
            "x-amz-write-offset-bytes" | "x-amz-mfa" => false,
            EXPECTED_OWNER | EXPECTED_SOURCE_OWNER => {
                check_owner(value)?;
                true
            }
            _ => !REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
        };
        if !harmless && is_no_such(name, value) {
            let code =
                if name == "x-amz-acl" { ErrorCode::InvalidArgument } else { ErrorCode::InvalidStorageClass };
            return Err(S3Error::from(code)
                .detail("ArgumentName", name)
                .detail("ArgumentValue", String::from_utf8_lossy(value.as_bytes())));
        }
        if !harmless {
            return Err(S3Error::from(ErrorCode::NotImplemented)
                .detail("Header", name)
                .detail("Value", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    Ok(())
}

/// Whether S3 itself has no such ACL or storage class.
fn is_no_such(name: &str, value: &HeaderValue) -> bool {
    let known: &[&str] = match name {
        "x-amz-acl" => OTHER_ACLS,
        "x-amz-storage-class" => OTHER_CLASSES,
        _ => return false,
    };
    !known.iter().any(|known| value == known)
}

/// Refuses what expects a bucket to belong to another account than the one that owns all.
fn check_owner(expected: &HeaderValue) -> Result<(), S3Error> {
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match expected.to_str().ok().filter(is_account) {
        Some(ACCOUNT) => Ok(()),
        Some(_) => Err(ErrorCode::AccessDenied.into()),
        None => Err(ErrorCode::InvalidBucketOwnerAWSAccountID.into()),
    }
}

/// The headers of a request, with those that a presigned URL has in its query: some SDKs put `x-amz-acl` or `x-amz-meta-...` there.
pub(crate) fn with_presigned(mut headers: HeaderMap, query: &Query) -> Result<HeaderMap, S3Error> {
    if !query.names().any(|name| name.eq_ignore_ascii_case("x-amz-signature")) {
        return Ok(headers);
    }
    for (name, value) in query.pairs() {
        let name = name.to_ascii_lowercase();
        // Checksums there are of an empty body, which is all that was known when the URL was signed.
        let is_other = !name.starts_with("x-amz-")
            || SIGNING.contains(&name.as_str())
            || name.starts_with("x-amz-checksum-")
            || name.starts_with("x-amz-sdk-");
        if is_other {
            continue;
        }
        if name.starts_with("x-amz-copy-source") {
            return Err(S3Error::from(ErrorCode::NotImplemented).detail("ArgumentName", name));
        }
        let invalid = || S3Error::from(ErrorCode::InvalidArgument).detail("ArgumentName", name.as_str());
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
        headers.entry(header).or_insert(value);
    }
    Ok(headers)
}

/// What the signature itself has in the query.
const SIGNING: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The account that the bucket is expected to belong to, and that of the bucket copied from.
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
const EXPECTED_SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";
/// Canned ACLs of S3 that are not served.
pub(crate) const OTHER_ACLS: &[&str] =
    &["public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write"];
/// Storage classes of S3 that are not served.
const OTHER_CLASSES: &[&str] = &[
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "FSX_ONTAP",
    "FSX_OPENZFS",
    "GLACIER",
    "GLACIER_IR",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "OUTPOSTS",
    "REDUCED_REDUNDANCY",
    "SNOW",
    "STANDARD_IA",
];
const REFUSED_PREFIXES: &[&str] = &[
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-grant-",
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
        assert!(refused("x-amz-server-side-encryption-customer-algorithm", "AES256"));
        assert!(refused("x-amz-server-side-encryption-customer-key-md5", "x"));
        assert!(refused("x-amz-copy-source-server-side-encryption-customer-key", "x"));
        assert!(refused("x-amz-object-lock-mode", "GOVERNANCE"));
        assert!(refused("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"));
        assert!(refused("x-amz-object-lock-legal-hold", "ON"));
        assert!(refused("x-amz-bucket-object-lock-enabled", "true"));
        assert!(refused("x-amz-acl", "public-read-write"));
        assert!(refused("x-amz-storage-class", "GLACIER"));
        assert!(refused("x-amz-write-offset-bytes", "5"));
        assert!(refused("x-amz-grant-read", "id=1"));
    }

    #[test]
    fn what_s3_does_not_know_is_invalid_and_what_it_knows_is_not_implemented() {
        for (name, value, code) in [
            ("x-amz-acl", "public-read-write", ErrorCode::NotImplemented),
            ("x-amz-acl", "authenticated-read", ErrorCode::NotImplemented),
            ("x-amz-acl", "nonsense", ErrorCode::InvalidArgument),
            ("x-amz-acl", "", ErrorCode::InvalidArgument),
            ("x-amz-storage-class", "STANDARD_IA", ErrorCode::NotImplemented),
            ("x-amz-storage-class", "standard", ErrorCode::InvalidStorageClass),
            ("x-amz-storage-class", "NONSENSE", ErrorCode::InvalidStorageClass),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(refuse_unsupported(&headers).unwrap_err().code(), code, "{name}: {value}");
        }
    }

    #[test]
    fn what_a_presigned_url_asks_for_in_its_query_counts_as_headers() {
        let with = |text: &str| with_presigned(HeaderMap::new(), &Query::parse(text).unwrap());
        let signed = "X-Amz-Signature=abc&X-Amz-Date=x";
        let headers = with(&format!("{signed}&x-amz-meta-a=b&X-Amz-Object-Lock-Mode=GOVERNANCE")).unwrap();
        assert_eq!((headers.len(), &headers["x-amz-meta-a"]), (2, &HeaderValue::from_static("b")));
        assert!(refuse_unsupported(&headers).is_err());
        assert!(with(&format!("{signed}&x-amz-checksum-crc32=AAAAAA%3D%3D")).unwrap().is_empty());
        assert!(with(&format!("{signed}&x-amz-copy-source=a%2Fb")).is_err());
        assert!(with(&format!("{signed}&x-amz-meta-a=%0A")).is_err());
        assert!(with("x-amz-meta-a=b").unwrap().is_empty());
    }

    #[test]
    fn a_bucket_that_another_account_is_expected_to_own_is_denied() {
        for name in [EXPECTED_OWNER, EXPECTED_SOURCE_OWNER] {
            let code = |value: &'static str| {
                let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
                refuse_unsupported(&headers).map_err(|error| error.code())
            };
            assert_eq!(code(ACCOUNT), Ok(()));
            assert_eq!(code("111122223333"), Err(ErrorCode::AccessDenied));
            for value in ["", "fdfs", "00000000000", "0000000000000", "00000000000a"] {
                assert_eq!(code(value), Err(ErrorCode::InvalidBucketOwnerAWSAccountID), "{value}");
            }
        }
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        assert!(!refused("x-amz-acl", "private"));
        assert!(!refused("x-amz-acl", "public-read"));
        assert!(!refused("x-amz-storage-class", "STANDARD"));
        assert!(!refused("x-amz-meta-a", "b"));
        assert!(!refused("x-amz-request-payer", "requester"));
        assert!(!refused("x-amz-bypass-governance-retention", "true"));
        assert!(!refused("x-amz-optional-object-attributes", "RestoreStatus"));
        assert!(!refused("x-amz-date", "20130524T000000Z"));
    }
}
