//! The canonical request: what a signature is computed over.

use std::borrow::Cow;

use http::HeaderMap;

use super::SignedHead;
use crate::uri;

/// A canonical request. Header values need not be text, so it is bytes.
#[derive(Debug)]
pub(super) struct CanonicalRequest(Vec<u8>);

impl CanonicalRequest {
    /// With the path's bytes as they were sent: S3 encodes a path once.
    pub(super) fn as_sent(
        head: &SignedHead<'_>,
        signed_headers: &[Cow<'_, str>],
        payload_hash: &str,
    ) -> Self {
        Self::build(head, head.path, None, signed_headers, payload_hash)
    }

    /// As sent, but for another host.
    pub(super) fn for_host(
        head: &SignedHead<'_>,
        host: &str,
        signed_headers: &[Cow<'_, str>],
        payload_hash: &str,
    ) -> Self {
        Self::build(head, head.path, Some(host), signed_headers, payload_hash)
    }

    /// With the path encoded as S3's rules have it, where that differs from what was sent.
    ///
    /// Some clients sign `%2B` and send `+`.
    pub(super) fn encoded_again(
        head: &SignedHead<'_>,
        signed_headers: &[Cow<'_, str>],
        payload_hash: &str,
    ) -> Option<Self> {
        let decoded: Vec<u8> = percent_encoding::percent_decode(head.path.as_bytes()).collect();
        let path = uri::encode_path(&decoded);
        (path != head.path).then(|| Self::build(head, &path, None, signed_headers, payload_hash))
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn build(
        head: &SignedHead<'_>,
        path: &str,
        host: Option<&str>,
        signed_headers: &[Cow<'_, str>],
        payload_hash: &str,
    ) -> Self {
        let mut out = Vec::with_capacity(1024);
        for line in [head.method.as_str(), path, &uri::canonical_query(head.raw_query)] {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        for name in signed_headers {
            match host.filter(|_| name == "host") {
                Some(host) => out.extend_from_slice(format!("host:{host}").as_bytes()),
                None => write_header(&mut out, head.headers, name),
            }
            out.push(b'\n');
        }
        out.push(b'\n');
        for (at, name) in signed_headers.iter().enumerate() {
            if at > 0 {
                out.push(b';');
            }
            out.extend_from_slice(name.as_bytes());
        }
        out.push(b'\n');
        out.extend_from_slice(payload_hash.as_bytes());
        Self(out)
    }
}

/// `name:value`: values joined by commas, trimmed, runs of spaces as one.
fn write_header(line: &mut Vec<u8>, headers: &HeaderMap, name: &str) {
    line.extend_from_slice(name.as_bytes());
    line.push(b':');
    for (i, value) in headers.get_all(name).iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        let mut gap = false;
        for &byte in value.as_bytes().trim_ascii() {
            let space = byte == b' ';
            if !(space && gap) {
                line.push(byte);
            }
            gap = space;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_joined_and_single_spaced() {
        let mut headers = HeaderMap::new();
        headers.append("x-amz-meta-a", " one  two ".parse().unwrap());
        headers.append("x-amz-meta-a", "three".parse().unwrap());

        let line = |name| {
            let mut line = Vec::new();
            write_header(&mut line, &headers, name);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(line("x-amz-meta-a"), "x-amz-meta-a:one two,three");
        assert_eq!(line("absent"), "absent:");
    }
}
