//! The checksums that clients send beside their data.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::crc_combination::Combination;

/// An algorithm of S3's `x-amz-checksum-*` family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ChecksumAlgorithm {
    /// CRC-32 as zlib has it.
    Crc32,
    /// CRC-32 with Castagnoli's polynomial.
    Crc32c,
    /// CRC-64 as NVMe has it.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The one that is computed where a client declares none, as S3 does.
    pub(crate) const USUAL: Self = Self::Crc64Nvme;

    /// The algorithm of a header or trailer, named in lower case.
    pub(crate) fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header() == name)
    }

    /// The algorithm that `x-amz-checksum-algorithm` names.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm that is kept under this number.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.number() == number)
    }

    /// The number it is kept under.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Crc32 => 1,
            Self::Crc32c => 2,
            Self::Crc64Nvme => 3,
            Self::Sha1 => 4,
            Self::Sha256 => 5,
        }
    }

    /// The header or trailer that carries it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element that carries it in documents.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// What an object of parts has where nothing was said.
    pub(crate) fn usual_type(self) -> ChecksumType {
        if self == Self::Crc64Nvme { ChecksumType::FullObject } else { ChecksumType::Composite }
    }

    /// Whether an object of parts can have it so.
    pub(crate) fn can_be(self, kind: ChecksumType) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c => true,
            Self::Crc64Nvme => kind == ChecksumType::FullObject,
            Self::Sha1 | Self::Sha256 => kind == ChecksumType::Composite,
        }
    }

    /// The same in the library's words; nothing for the algorithms it does not have.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// The name in messages and XML.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Length of a value, in bytes.
    pub(crate) fn value_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// What the checksum of an object is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ChecksumType {
    /// The checksums of its parts.
    Composite,
    /// All of its bytes.
    FullObject,
}

impl ChecksumType {
    /// The name in headers and XML.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        }
    }

    /// The type that a header names.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Composite, Self::FullObject].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The number under which an upload keeps it; 0 is none.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Composite => 1,
            Self::FullObject => 2,
        }
    }

    /// The type that is kept under this number.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        [Self::Composite, Self::FullObject].into_iter().find(|kind| kind.number() == number)
    }
}

/// A value of one algorithm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Checksum {
    /// How it was computed.
    pub(crate) algorithm: ChecksumAlgorithm,
    value: Box<[u8]>,
}

impl Checksum {
    /// Reads the base64 of a header; nothing where it is not a value of this algorithm.
    pub(crate) fn from_base64(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        let value = BASE64_STANDARD.decode(text).ok()?;
        (value.len() == algorithm.value_len()).then(|| Self { algorithm, value: value.into() })
    }

    /// As it is kept beside the bytes that it is made of.
    pub(crate) fn to_kept(&self) -> fdfs_objects::Checksum {
        self.to_kept_as(ChecksumType::FullObject)
    }

    /// As it is kept beside an object.
    pub(crate) fn to_kept_as(&self, kind: ChecksumType) -> fdfs_objects::Checksum {
        let kind = u32::from(kind == ChecksumType::Composite);
        fdfs_objects::Checksum { algorithm: self.algorithm.number(), kind, value: self.value.to_vec() }
    }

    /// Reads what is kept, whatever it is made of.
    pub(crate) fn of_kept(kept: &fdfs_objects::Checksum) -> Option<Self> {
        let algorithm = ChecksumAlgorithm::of_number(kept.algorithm)?;
        (kept.value.len() == algorithm.value_len())
            .then(|| Self { algorithm, value: kept.value.as_slice().into() })
    }

    /// The checksum of what consists of parts with these checksums and lengths: of all bytes, or of the parts' checksums. No byte is read for it.
    pub(crate) fn of_parts(
        algorithm: ChecksumAlgorithm,
        kind: ChecksumType,
        parts: &[(Self, u64)],
    ) -> Option<Self> {
        if !parts.iter().all(|(part, _)| part.algorithm == algorithm) {
            return None;
        }
        match (kind, algorithm.crc()) {
            (ChecksumType::Composite, _) => {
                let mut digest = ChecksumDigest::new(algorithm);
                parts.iter().for_each(|(part, _)| digest.update(&part.value));
                Some(digest.finish())
            }
            (ChecksumType::FullObject, Some(crc)) => {
                let number = |value: &[u8]| value.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                let mut whole = Combination::new(crc)?;
                parts.iter().for_each(|(part, length)| whole.append(number(&part.value), *length));
                let bytes = whole.sum().to_be_bytes();
                Some(Self { algorithm, value: bytes[bytes.len() - algorithm.value_len()..].into() })
            }
            (ChecksumType::FullObject, None) => None,
        }
    }

    /// The base64 that headers carry.
    pub(crate) fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.value)
    }
}

/// A checksum being computed.
#[derive(Debug)]
pub(crate) struct ChecksumDigest {
    algorithm: ChecksumAlgorithm,
    state: State,
}

#[derive(Debug)]
enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl ChecksumDigest {
    /// Starts over no data.
    pub(crate) fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(crc_fast::Digest::new(crc)),
            (None, ChecksumAlgorithm::Sha1) => State::Sha1(Sha1::default()),
            (None, _) => State::Sha256(Sha256::default()),
        };
        Self { algorithm, state }
    }

    /// How it is computed.
    pub(crate) fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Adds data.
    pub(crate) fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Crc(digest) => digest.update(data),
            State::Sha1(digest) => digest.update(data),
            State::Sha256(digest) => digest.update(data),
        }
    }

    /// The checksum of all data.
    pub(crate) fn finish(self) -> Checksum {
        let value: Box<[u8]> = match self.state {
            State::Crc(digest) => {
                let bytes = digest.finalize().to_be_bytes();
                bytes[bytes.len() - self.algorithm.value_len()..].into()
            }
            State::Sha1(digest) => digest.finalize().as_slice().into(),
            State::Sha256(digest) => digest.finalize().as_slice().into(),
        };
        Checksum { algorithm: self.algorithm, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_123456789() {
        for (algorithm, value) in [
            (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
            (ChecksumAlgorithm::Crc32c, "4waSgw=="),
            (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
            (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let mut digest = ChecksumDigest::new(algorithm);
            digest.update(b"1234");
            digest.update(b"56789");
            let checksum = digest.finish();

            assert_eq!(Checksum::from_base64(algorithm, &checksum.to_base64()), Some(checksum.clone()));
            assert_eq!(checksum.to_base64(), value, "{}", algorithm.name());
        }
    }

    #[test]
    fn checksums_of_parts_make_that_of_the_whole() {
        let of = |algorithm, data: &[u8]| {
            let mut digest = ChecksumDigest::new(algorithm);
            digest.update(data);
            digest.finish()
        };
        let data: Vec<u8> = (0..100_000_u32).map(|number| (number * 7) as u8).collect();
        for algorithm in ChecksumAlgorithm::ALL {
            let parts: Vec<_> =
                data.chunks(33_000).map(|part| (of(algorithm, part), part.len() as u64)).collect();
            let whole = Checksum::of_parts(algorithm, ChecksumType::FullObject, &parts);
            let wanted = algorithm.can_be(ChecksumType::FullObject).then(|| of(algorithm, &data));
            assert_eq!(whole, wanted, "{}", algorithm.name());
            let values: Vec<u8> = parts.iter().flat_map(|(part, _)| part.value.to_vec()).collect();
            let composed = Checksum::of_parts(algorithm, ChecksumType::Composite, &parts);
            assert_eq!(composed, Some(of(algorithm, &values)));
            let other = [(of(ChecksumAlgorithm::Sha1, b""), 0), (of(ChecksumAlgorithm::Crc32, b""), 0)];
            assert_eq!(Checksum::of_parts(algorithm, ChecksumType::Composite, &other), None);
        }
    }

    #[test]
    fn a_value_of_another_length_is_none() {
        assert_eq!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "rosUhgp5mIg="), None);
        assert_eq!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "not base64"), None);
    }
}
