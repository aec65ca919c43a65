//! Decoders of requests, for fuzzers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;

use crate::conditions::{self, Conditions};
use crate::copy_source::CopySource;
use crate::credentials::{Credentials, KeyPair};
use crate::error::ErrorCode;
use crate::object_headers::{content_headers, user_metadata};
use crate::ops::read_documents;
use crate::payload::{BodySource, ChunkedDecoder, Payload};
use crate::range::ByteRange;
use crate::route::Operation;
use crate::signature::{OtherHosts, PayloadMode, SignedHead, Verifier, published_chunk_signer};
use crate::target::{Target, bucket_of_host};
use crate::unsupported::refuse_unsupported;
use crate::uri::Query;

/// The head of a request: target, operation, conditions, range, checksums, metadata.
pub fn head(parts: &Parts, size: u64) {
    let headers = &parts.headers;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = Target::parse(parts.uri.path(), text("host"), Some(SUFFIX));
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    if let (Ok(target), Ok(query)) = (&target, &query) {
        let _ = Operation::of(&parts.method, target, query, headers);
    }
    let _ = (refuse_unsupported(headers), content_headers(headers), user_metadata(headers));
    let _ = (CopySource::parse(text("x-amz-copy-source")), conditions::of_write(headers));
    for conditions in [Conditions::of_read(headers), Conditions::of_copy_source(headers)] {
        let _ = conditions.check("d41d8cd98f00b204e9800998ecf8427e", now());
    }
    if let Ok(Some(range)) = ByteRange::parse(text("range"), size) {
        assert!(range.length > 0 && range.offset.checked_add(range.length).is_some_and(|end| end <= size));
        let _ = range.content_range(size);
    }
    for mode in [PayloadMode::Unsigned, PayloadMode::Chunked { signer: None, trailer: true }] {
        let _ = Payload::new(BodySource::new(String::new(), Duration::ZERO), mode, headers);
    }
}

/// The signature of a request, in its headers or its query. That of a stranger is never right.
pub fn signature(parts: &Parts) {
    let raw_query = parts.uri.query().unwrap_or_default();
    let Ok(query) = Query::parse(raw_query) else { return };
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host_bucket = bucket_of_host(host, SUFFIX);
    let head = SignedHead {
        method: &parts.method,
        path: parts.uri.path(),
        raw_query,
        query: &query,
        headers: &parts.headers,
        host_bucket: host_bucket.as_deref(),
        other_hosts: OtherHosts { suffix: Some(SUFFIX), bucket: host_bucket.as_deref() },
    };
    let pair = KeyPair {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "not the secret of the published examples".to_owned(),
    };
    assert!(Verifier::default().verify(head, &Credentials::new([pair]), now()).is_err());
}

/// A body of XML, as each of the documents.
pub fn document(body: &[u8]) {
    let _ = read_documents(body);
}

/// A payload in chunks: it says the same whole and in pieces, and no more than came.
pub fn chunks(wire: &[u8], signed: bool, trailer: bool, piece: usize) {
    let decode = |piece: usize| {
        let signer = signed.then(|| published_chunk_signer(SEED));
        let mut decoder = ChunkedDecoder::new(signer, trailer);
        let mut data = Vec::new();
        for piece in wire.chunks(piece) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(decoded) = decoder.decode(&mut input).map_err(|error| error.code())? {
                data.extend_from_slice(&decoded);
            }
        }
        decoder.finish().map_err(|error| error.code())?;
        Ok::<_, ErrorCode>((data, decoder.trailers().to_vec()))
    };
    let whole = decode(wire.len().max(1));
    assert_eq!(whole, decode(piece.max(1)));
    assert!(whole.is_err() || whole.is_ok_and(|(data, _)| data.len() < wire.len()));
}

/// The moment of the published examples.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

const SUFFIX: &str = "s3.example.com";
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
