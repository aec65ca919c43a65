//! What a client says about an object besides its data: content headers and `x-amz-meta-*`.

use std::collections::BTreeMap;

use fdfs_objects::access::CannedAcl;
use fdfs_objects::{ContentHeader, ContentHeaders, ExtendedAttributes};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{ErrorCode, S3Error};
use crate::rfc2047;

/// Content headers of an upload, and its ACL.
pub(crate) fn content_headers(headers: &HeaderMap) -> Result<ContentHeaders, S3Error> {
    let mut kept = BTreeMap::new();
    for (name, kind) in KEPT {
        let Some(value) = headers.get(name) else { continue };
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid(name))?;
        let value =
            if kind == ContentHeader::ContentEncoding { without_framing(value) } else { value.to_owned() };
        if kind == ContentHeader::WebsiteRedirect {
            check_redirect(&value)?;
        }
        if !value.is_empty() {
            kept.insert(kind, value);
        }
    }
    let acl = headers.get("x-amz-acl").and_then(|name| name.to_str().ok()).and_then(CannedAcl::parse);
    if let Some(acl) = acl.filter(|acl| *acl != CannedAcl::Private) {
        kept.insert(ContentHeader::Acl, acl.name().to_owned());
    }
    Ok(kept)
}

/// `x-amz-meta-NAME` of an upload, as the attributes `user.NAME`.
pub(crate) fn user_metadata(headers: &HeaderMap) -> Result<ExtendedAttributes, S3Error> {
    let mut metadata = ExtendedAttributes::new();
    let mut size = 0;
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix("x-amz-meta-").filter(|short| !short.is_empty()) else {
            continue;
        };
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        let value = rfc2047::decode(&values.join(&b","[..]));
        size += short.len() + value.len();
        metadata.insert([b"user.", short.as_bytes()].concat(), value);
    }
    if size > MAX_METADATA {
        return Err(S3Error::from(ErrorCode::MetadataTooLarge)
            .detail("Size", size.to_string())
            .detail("MaxSizeAllowed", MAX_METADATA.to_string()));
    }
    Ok(metadata)
}

/// Writes content headers into a response.
pub(crate) fn write_content_headers(response: &mut HeaderMap, kept: &ContentHeaders) {
    response.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    for (name, kind) in KEPT {
        if let Some(Ok(value)) = kept.get(&kind).map(|value| HeaderValue::from_bytes(value.as_bytes())) {
            response.insert(name, value);
        }
    }
}

/// Writes the attributes `user.NAME` into a response; how many no header can carry is told, as S3 does.
pub(crate) fn write_user_metadata(response: &mut HeaderMap, attributes: &ExtendedAttributes) {
    let mut missing = 0;
    for (name, value) in attributes {
        let Some(short) = name.strip_prefix(b"user.").filter(|short| !short.is_empty()) else { continue };
        let name = HeaderName::from_bytes(&[b"x-amz-meta-", short].concat());
        match (name, header_value(value)) {
            (Ok(name), Some(value)) => {
                response.insert(name, value);
            }
            _ => missing += 1,
        }
    }
    if missing > 0 {
        response.insert("x-amz-missing-meta", HeaderValue::from(missing));
    }
}

/// ASCII as it is; other text as RFC 2047 has it; nothing for bytes that are no text.
fn header_value(value: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_str(&rfc2047::encode(std::str::from_utf8(value).ok()?)).ok()
}

/// `Content-Encoding` without the framing of the request itself.
fn without_framing(value: &str) -> String {
    let codings = value.split(',').map(str::trim);
    codings.filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect::<Vec<_>>().join(",")
}

/// The target of a redirect is another key, or another site.
fn check_redirect(value: &str) -> Result<(), S3Error> {
    if value.len() > MAX_METADATA {
        return Err(S3Error::new(
            ErrorCode::InvalidRedirectLocation,
            "The length of website redirect location cannot exceed 2,048 characters.",
        ));
    }
    let is_target = ["/", "http://", "https://"].iter().any(|start| value.starts_with(start));
    if is_target { Ok(()) } else { Err(ErrorCode::InvalidRedirectLocation.into()) }
}

fn invalid(name: &'static str) -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument, format!("The header {name} is no text"))
        .detail("ArgumentName", name)
}

const KEPT: [(&str, ContentHeader); 7] = [
    ("content-type", ContentHeader::ContentType),
    ("content-encoding", ContentHeader::ContentEncoding),
    ("content-disposition", ContentHeader::ContentDisposition),
    ("content-language", ContentHeader::ContentLanguage),
    ("cache-control", ContentHeader::CacheControl),
    ("expires", ContentHeader::Expires),
    (REDIRECT, ContentHeader::WebsiteRedirect),
];

/// Where a website sends the visitors of an object.
const REDIRECT: &str = "x-amz-website-redirect-location";

/// Limit of names and values together, in bytes.
const MAX_METADATA: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn metadata_comes_back_as_it_went() {
        let sent = headers(&[("x-amz-meta-width", b"1024"), ("x-amz-meta-", b"x"), ("x-amz-date", b"y")]);
        let metadata = user_metadata(&sent).unwrap();
        assert_eq!(metadata.get(&b"user.width"[..]).unwrap(), b"1024");
        assert_eq!(metadata.len(), 1);

        let mut answer = HeaderMap::new();
        write_user_metadata(&mut answer, &metadata);
        assert_eq!(answer, headers(&[("x-amz-meta-width", b"1024")]));
    }

    #[test]
    fn attributes_of_a_mount_are_answered_where_headers_can_carry_them() {
        let attributes = ExtendedAttributes::from([
            (b"user.title".to_vec(), "\u{e9}t\u{e9}".into()),
            (b"user.two words".to_vec(), b"x".to_vec()),
            (b"user.bytes".to_vec(), vec![0xff]),
            (b"security.x".to_vec(), b"y".to_vec()),
        ]);
        let mut answer = HeaderMap::new();
        write_user_metadata(&mut answer, &attributes);

        assert_eq!(
            answer,
            headers(&[("x-amz-meta-title", b"=?UTF-8?B?w6l0w6k=?="), ("x-amz-missing-meta", b"2")])
        );
    }

    #[test]
    fn more_than_2048_bytes_of_metadata_are_refused() {
        let value = vec![b'v'; 2045];
        assert!(user_metadata(&headers(&[("x-amz-meta-abc", &value)])).is_ok());
        let error = user_metadata(&headers(&[("x-amz-meta-abcd", &value)])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::MetadataTooLarge);
    }

    #[test]
    fn metadata_of_other_alphabets_is_text_for_a_mount() {
        for value in ["=?UTF-8?B?w6l0w6k=?=", "=?UTF-8?Q?=C3=A9t=C3=A9?=", "\u{e9}t\u{e9}"] {
            let metadata = user_metadata(&headers(&[("x-amz-meta-t", value.as_bytes())])).unwrap();
            assert_eq!(metadata[&b"user.t"[..]], "\u{e9}t\u{e9}".as_bytes(), "{value}");
        }
    }

    #[test]
    fn a_redirect_goes_to_a_key_or_a_site() {
        let name = "x-amz-website-redirect-location";
        for (value, ok) in
            [("/other", true), ("https://example.com/", true), ("other", false), ("ftp://x", false)]
        {
            assert_eq!(content_headers(&headers(&[(name, value.as_bytes())])).is_ok(), ok, "{value}");
        }
    }

    #[test]
    fn the_framing_is_no_encoding_of_the_content() {
        let kept = |value: &[u8]| content_headers(&headers(&[("content-encoding", value)])).unwrap();

        assert!(kept(b"aws-chunked").is_empty());
        assert_eq!(kept(b"aws-chunked, gzip")[&ContentHeader::ContentEncoding], "gzip");
    }
}
