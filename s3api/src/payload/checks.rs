//! All that a client declares about its data: hashes and checksums, before the data or after it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumDigest};
use crate::error::{ErrorCode, S3Error};
use crate::signature::PayloadMode;

/// The checks on one payload.
#[derive(Debug, Default)]
pub(super) struct Checks {
    sha256: Option<(Sha256, [u8; 32])>,
    md5: Option<(Md5, [u8; 16])>,
    checksum: Option<(ChecksumDigest, Expected)>,
    verified: Option<Checksum>,
    wanted: Option<ChecksumDigest>,
    computed: Option<Checksum>,
}

/// Where the value of a checksum stands.
#[derive(Debug)]
enum Expected {
    /// In a header.
    Header(Checksum),
    /// In a trailer yet to come.
    Trailer(ChecksumAlgorithm),
}

impl Expected {
    fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Header(checksum) => checksum.algorithm,
            Self::Trailer(algorithm) => *algorithm,
        }
    }
}

impl Checks {
    /// What the head of a request declares. Checksums in headers count where they are of the payload.
    pub(super) fn declared(
        headers: &HeaderMap,
        mode: &PayloadMode,
        of_payload: bool,
    ) -> Result<Self, S3Error> {
        let sha256 = match mode {
            PayloadMode::Exact(hash) => Some((Sha256::default(), *hash)),
            PayloadMode::Unsigned | PayloadMode::Chunked { .. } => None,
        };
        let has_trailer = matches!(mode, PayloadMode::Chunked { trailer: true, .. });
        let checksum = declared_checksum(headers, has_trailer, of_payload)?
            .map(|expected| (ChecksumDigest::new(expected.algorithm()), expected));
        let md5 = declared_md5(headers)?.map(|value| (Md5::default(), value));
        Ok(Self { sha256, md5, checksum, ..Self::default() })
    }

    /// The algorithm of the checksum that is declared.
    pub(super) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.checksum.as_ref().map(|(digest, _)| digest.algorithm())
    }

    /// Computes this checksum too, if it is not the declared one.
    pub(super) fn want(&mut self, algorithm: ChecksumAlgorithm) {
        self.wanted = (self.algorithm() != Some(algorithm)).then(|| ChecksumDigest::new(algorithm));
    }

    /// Adds data.
    pub(super) fn update(&mut self, data: &[u8]) {
        if let Some((digest, _)) = &mut self.sha256 {
            digest.update(data);
        }
        if let Some((digest, _)) = &mut self.md5 {
            digest.update(data);
        }
        if let Some((digest, _)) = &mut self.checksum {
            digest.update(data);
        }
        if let Some(digest) = &mut self.wanted {
            digest.update(data);
        }
    }

    /// Compares, now that all data and the trailers are here.
    pub(super) fn finish(&mut self, trailers: &[(String, String)]) -> Result<(), S3Error> {
        if let Some((digest, expected)) = self.sha256.take() {
            let computed = digest.finalize();
            if computed.as_slice() != expected {
                return Err(S3Error::from(ErrorCode::XAmzContentSHA256Mismatch)
                    .detail("ClientComputedContentSHA256", hex::encode(expected))
                    .detail("S3ComputedContentSHA256", hex::encode(computed)));
            }
        }
        if let Some((digest, expected)) = self.md5.take() {
            let computed = digest.finalize();
            if computed.as_slice() != expected {
                return Err(S3Error::new(
                    ErrorCode::BadDigest,
                    "The Content-MD5 you specified did not match what we received.",
                )
                .detail("ExpectedDigest", BASE64_STANDARD.encode(expected))
                .detail("CalculatedDigest", BASE64_STANDARD.encode(computed)));
            }
        }
        let declared = match self.checksum.take() {
            Some((digest, Expected::Header(expected))) => Some((digest, expected)),
            Some((digest, Expected::Trailer(algorithm))) => Some((digest, of_trailer(algorithm, trailers)?)),
            None if trailers.is_empty() => None,
            None => return Err(ErrorCode::MalformedTrailerError.into()),
        };
        if let Some((digest, expected)) = declared {
            let computed = digest.finish();
            if computed != expected {
                let name = expected.algorithm.name();
                return Err(S3Error::new(
                    ErrorCode::BadDigest,
                    format!("The {name} you specified did not match the calculated checksum."),
                ));
            }
            self.verified = Some(computed);
        }
        self.computed = self.wanted.take().map(ChecksumDigest::finish);
        Ok(())
    }

    /// The checksum that nobody declared.
    pub(super) fn computed(&self) -> Option<&Checksum> {
        self.computed.as_ref()
    }

    /// The checksum that was declared and found right.
    pub(super) fn verified(&self) -> Option<&Checksum> {
        self.verified.as_ref()
    }
}

/// The one checksum that header or trailer may carry.
fn declared_checksum(
    headers: &HeaderMap,
    has_trailer: bool,
    of_payload: bool,
) -> Result<Option<Expected>, S3Error> {
    let mut declared = Vec::new();
    // Most requests have none.
    let has_any = of_payload && headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
    for algorithm in ChecksumAlgorithm::ALL.into_iter().filter(|_| has_any) {
        if let Some(value) = headers.get(algorithm.header()) {
            let checksum = value.to_str().ok().and_then(|text| Checksum::from_base64(algorithm, text));
            declared.push(Expected::Header(checksum.ok_or_else(|| invalid_value(algorithm))?));
        }
    }
    if has_trailer && let Some(names) = headers.get("x-amz-trailer") {
        for name in names.to_str().unwrap_or_default().split(',') {
            let name = name.trim().to_ascii_lowercase();
            let algorithm = ChecksumAlgorithm::of_header(&name).ok_or_else(|| {
                S3Error::new(
                    ErrorCode::InvalidRequest,
                    "The value specified in the x-amz-trailer header is not supported",
                )
            })?;
            declared.push(Expected::Trailer(algorithm));
        }
    }
    if declared.len() > 1 {
        return Err(S3Error::new(
            ErrorCode::InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    let declared = declared.pop();
    if let Some(name) = headers.get("x-amz-sdk-checksum-algorithm").filter(|_| of_payload) {
        let named = name.to_str().ok().and_then(ChecksumAlgorithm::of_name);
        match &declared {
            None => {
                return Err(S3Error::new(
                    ErrorCode::InvalidRequest,
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
                ));
            }
            Some(declared) if named != Some(declared.algorithm()) => {
                return Err(S3Error::new(
                    ErrorCode::InvalidRequest,
                    "Value for x-amz-sdk-checksum-algorithm header is invalid.",
                ));
            }
            Some(_) => {}
        }
    }
    Ok(declared)
}

fn declared_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let decoded = BASE64_STANDARD.decode(value.as_bytes()).ok().and_then(|value| value.try_into().ok());
    decoded.map(Some).ok_or_else(|| ErrorCode::InvalidDigest.into())
}

fn of_trailer(algorithm: ChecksumAlgorithm, trailers: &[(String, String)]) -> Result<Checksum, S3Error> {
    match trailers {
        [(name, value)] if name == algorithm.header() => {
            Checksum::from_base64(algorithm, value).ok_or_else(|| invalid_value(algorithm))
        }
        _ => Err(ErrorCode::MalformedTrailerError.into()),
    }
}

fn invalid_value(algorithm: ChecksumAlgorithm) -> S3Error {
    S3Error::new(ErrorCode::InvalidRequest, format!("Value for {} header is invalid.", algorithm.header()))
}
