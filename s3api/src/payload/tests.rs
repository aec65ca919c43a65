//! Payloads in every mode, cut anywhere, and damaged anywhere.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::proptest;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::checksum::{ChecksumAlgorithm, ChecksumDigest};

/// The head of the request that AWS publishes with its chunks.
fn published_signer(seed: &str) -> ChunkSignerOf {
    ChunkSignerOf { seed: seed.to_owned() }
}

struct ChunkSignerOf {
    seed: String,
}

impl ChunkSignerOf {
    fn mode(&self, trailer: bool) -> PayloadMode {
        PayloadMode::Chunked { signer: Some(crate::signature::published_chunk_signer(&self.seed)), trailer }
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// Reads a payload that arrives in pieces of `cut` bytes.
async fn read(wire: &[u8], cut: usize, mode: PayloadMode, headers: &HeaderMap) -> Result<Vec<u8>, ErrorCode> {
    let pieces: Vec<_> = wire
        .chunks(cut)
        .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let source = BodySource::new(StreamBody::new(stream::iter(pieces)), Duration::from_secs(5));
    let mut payload = Payload::new(source, mode, headers).map_err(|error| error.code())?;
    let mut data = Vec::new();
    while let Some(piece) = payload.next().await.map_err(|error| error.code())? {
        data.extend_from_slice(&piece);
    }
    Ok(data)
}

fn published_chunks() -> Vec<u8> {
    let mut wire = Vec::new();
    for (size, signature) in [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        wire.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        wire.extend(std::iter::repeat_n(b'a', size));
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";

#[tokio::test]
async fn the_published_chunks_verify_however_they_are_cut() {
    let headers = headers(&[("x-amz-decoded-content-length", "66560")]);
    let wire = published_chunks();
    assert_eq!(wire.len(), 66_824);

    for cut in [1, 7, 4096, 65_621, 1 << 20] {
        let data = read(&wire, cut, published_signer(SEED).mode(false), &headers).await.unwrap();
        assert_eq!(data, vec![b'a'; 66_560], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_damaged_chunk_is_refused() {
    let headers = headers(&[("x-amz-decoded-content-length", "66560")]);
    let wire = published_chunks();
    let damaged = |at: usize, byte: u8| {
        let mut wire = wire.clone();
        wire[at] = byte;
        wire
    };
    for (wire, code) in [
        (damaged(100, b'b'), ErrorCode::SignatureDoesNotMatch),
        (damaged(30, b'0'), ErrorCode::SignatureDoesNotMatch),
        (damaged(0, b'g'), ErrorCode::IncompleteBody),
        (damaged(7, b'C'), ErrorCode::IncompleteBody),
        (damaged(wire.len() - 1, b'x'), ErrorCode::IncompleteBody),
        (wire[..wire.len() - 2].to_vec(), ErrorCode::IncompleteBody),
        (wire[..70_000.min(wire.len() - 100)].to_vec(), ErrorCode::IncompleteBody),
        ([&wire[..], b"more"].concat(), ErrorCode::IncompleteBody),
        (Vec::new(), ErrorCode::IncompleteBody),
    ] {
        assert_eq!(read(&wire, 1000, published_signer(SEED).mode(false), &headers).await, Err(code));
    }
}

/// What comes before the trailer that AWS publishes.
fn published_trailer_chunks() -> Vec<u8> {
    let mut wire = Vec::new();
    for (size, signature) in [
        (65_536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1_024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    ] {
        wire.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        wire.extend(std::iter::repeat_n(b'a', size));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(
        b"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
    );
    wire
}

#[tokio::test]
async fn the_published_trailer_verifies() {
    let headers =
        headers(&[("x-amz-decoded-content-length", "66560"), ("x-amz-trailer", "x-amz-checksum-crc32c")]);
    let mut wire = published_trailer_chunks();
    wire.extend_from_slice(
        b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n\
          x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    );
    let signer = published_signer("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");

    for cut in [1, 1000, 1 << 20] {
        assert_eq!(read(&wire, cut, signer.mode(true), &headers).await, Ok(vec![b'a'; 66_560]));
    }
    let end = wire.len() - 10;
    wire[end] ^= 1;
    assert_eq!(read(&wire, 1000, signer.mode(true), &headers).await, Err(ErrorCode::SignatureDoesNotMatch));
}

#[tokio::test]
async fn a_damaged_signed_trailer_is_refused() {
    let headers =
        headers(&[("x-amz-decoded-content-length", "66560"), ("x-amz-trailer", "x-amz-checksum-crc32c")]);
    let chunks = published_trailer_chunks();
    let signer = published_signer("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    let signature =
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";
    let checksum = "x-amz-checksum-crc32c:sOO8/Q==";
    for (trailer, code) in [
        // Cut off, or without a signature.
        (String::new(), ErrorCode::MalformedTrailerError),
        ("\r\n".to_owned(), ErrorCode::MalformedTrailerError),
        (format!("{checksum}\n\r\n\r\n"), ErrorCode::MalformedTrailerError),
        (format!("{checksum}\n\r\n{signature}"), ErrorCode::IncompleteBody),
        (format!("{checksum}\n\r\n{signature}{signature}\r\n"), ErrorCode::IncompleteBody),
        (format!("{checksum}\n\r\n{signature}\r\nmore"), ErrorCode::IncompleteBody),
        // What has one is judged by that before it is read.
        (format!("{checksum}\n\r\nx-amz-trailer-signature:\r\n\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("{checksum}\n\r\n{}\r\n\r\n", &signature[..60]), ErrorCode::SignatureDoesNotMatch),
        (format!("{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("x-amz-checksum-crc32c:AAAAAA==\n\r\n{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("x-amz-checksum-crc32c:\n\r\n{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("x-amz-checksum-crc32:sOO8/Q==\n\r\n{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("{checksum}\n\r\n{checksum}\n\r\n{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("{checksum}\n\r\nx-amz-meta-a:b\n\r\n{signature}\r\n"), ErrorCode::SignatureDoesNotMatch),
        (format!("no colon\n\r\n{signature}\r\n"), ErrorCode::MalformedTrailerError),
    ] {
        let wire = [&chunks, trailer.as_bytes()].concat();
        for cut in [1000, 1 << 20] {
            assert_eq!(read(&wire, cut, signer.mode(true), &headers).await, Err(code), "{trailer}");
        }
    }
}

const UNSIGNED_TRAILER: fn() -> PayloadMode = || PayloadMode::Chunked { signer: None, trailer: true };

#[tokio::test]
async fn an_unsigned_trailer_carries_a_checksum() {
    let headers =
        headers(&[("x-amz-decoded-content-length", "9"), ("x-amz-trailer", "x-amz-checksum-crc32")]);
    let wire = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    for cut in [1, 5, 100] {
        assert_eq!(read(wire, cut, UNSIGNED_TRAILER(), &headers).await.unwrap(), b"123456789");
    }
    for (wire, code) in [
        (&b"9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"[..], ErrorCode::BadDigest),
        (b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5\r\n\r\n", ErrorCode::InvalidRequest),
        (b"9\r\n123456789\r\n0\r\nx-amz-checksum-sha1:y/Q5Jg==\r\n\r\n", ErrorCode::MalformedTrailerError),
        (b"9\r\n123456789\r\n0\r\nno colon\r\n\r\n", ErrorCode::MalformedTrailerError),
        (b"9\r\n123456789\r\n0\r\n\r\n", ErrorCode::MalformedTrailerError),
        (b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n", ErrorCode::MalformedTrailerError),
        (b"8\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ErrorCode::IncompleteBody),
        (b"a\r\n1234567890\r\n0\r\n\r\n", ErrorCode::IncompleteBody),
        (b"8\r\n12345678\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ErrorCode::IncompleteBody),
        (b"ffffffffffffffffff\r\n", ErrorCode::IncompleteBody),
        (b"-1\r\n", ErrorCode::IncompleteBody),
    ] {
        let shown = String::from_utf8_lossy(wire);
        assert_eq!(read(wire, 11, UNSIGNED_TRAILER(), &headers).await, Err(code), "{shown}");
    }
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let headers = headers(&[("x-amz-decoded-content-length", "9")]);
    let wire = vec![b'0'; 1 << 20];

    assert_eq!(read(&wire, 1000, UNSIGNED_TRAILER(), &headers).await, Err(ErrorCode::IncompleteBody));
}

#[tokio::test]
async fn the_last_piece_waits_for_the_checks() {
    let mode = || PayloadMode::Exact(Sha256::digest(b"123456789").into());
    let none = HeaderMap::new();
    assert_eq!(read(b"123456789", 3, mode(), &none).await.unwrap(), b"123456789");
    assert_eq!(read(b"123456780", 3, mode(), &none).await, Err(ErrorCode::XAmzContentSHA256Mismatch));

    let pieces = [Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"wrong")))];
    let source = BodySource::new(StreamBody::new(stream::iter(pieces)), Duration::from_secs(5));
    let mut payload = Payload::new(source, mode(), &none).unwrap();
    assert!(payload.next().await.is_err(), "not even the only piece is given out");
}

#[tokio::test]
async fn declared_digests_are_checked() {
    let unsigned = || PayloadMode::Unsigned;
    for (name, value, outcome) in [
        ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==", Ok(())),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", Err(ErrorCode::BadDigest)),
        ("content-md5", "short", Err(ErrorCode::InvalidDigest)),
        ("x-amz-checksum-crc32c", "4waSgw==", Ok(())),
        ("x-amz-checksum-crc32c", "AAAAAA==", Err(ErrorCode::BadDigest)),
        ("x-amz-checksum-sha256", "AAAAAA==", Err(ErrorCode::InvalidRequest)),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", Ok(())),
    ] {
        let read = read(b"123456789", 4, unsigned(), &headers(&[(name, value)])).await;
        assert_eq!(read.map(|_| ()), outcome, "{name}: {value}");
    }
    let two = headers(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")]);
    assert_eq!(read(b"123456789", 4, unsigned(), &two).await, Err(ErrorCode::InvalidRequest));
}

#[tokio::test]
async fn chunks_need_the_length_of_their_data() {
    assert_eq!(
        read(b"0\r\n\r\n", 4, UNSIGNED_TRAILER(), &HeaderMap::new()).await,
        Err(ErrorCode::MissingContentLength)
    );
}

/// Runs what never waits for anything outside.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn any_data_survives_any_framing(chunks in vec(vec(any::<u8>(), 1..300), 0..6), cut in 1_usize..400) {
        let data = chunks.concat();
        let mut digest = ChecksumDigest::new(ChecksumAlgorithm::Crc32);
        digest.update(&data);
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(format!("0\r\nx-amz-checksum-crc32:{}\r\n\r\n", digest.finish().to_base64()).as_bytes());
        let length = data.len().to_string();
        let headers =
            headers(&[("x-amz-decoded-content-length", &length), ("x-amz-trailer", "x-amz-checksum-crc32")]);

        assert_eq!(block_on(read(&wire, cut, UNSIGNED_TRAILER(), &headers)), Ok(data));
        for end in 0..wire.len() {
            assert!(block_on(read(&wire[..end], cut, UNSIGNED_TRAILER(), &headers)).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn no_bytes_break_the_framing(wire in vec(any::<u8>(), 0..500), cut in 1_usize..100) {
        let headers = headers(&[("x-amz-decoded-content-length", "9")]);
        let _ = block_on(read(&wire, cut, published_signer(SEED).mode(true), &headers));
    }
}
