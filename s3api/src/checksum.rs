//! The checksums that clients send beside their data.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

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

    /// As it is kept beside the object's content.
    pub(crate) fn to_kept(&self) -> fdfs_objects::Checksum {
        fdfs_objects::Checksum { algorithm: self.algorithm.number(), kind: 0, value: self.value.to_vec() }
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
        let crc = |algorithm| State::Crc(crc_fast::Digest::new(algorithm));
        let state = match algorithm {
            ChecksumAlgorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            ChecksumAlgorithm::Sha1 => State::Sha1(Sha1::default()),
            ChecksumAlgorithm::Sha256 => State::Sha256(Sha256::default()),
        };
        Self { algorithm, state }
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
    fn a_value_of_another_length_is_none() {
        assert_eq!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "rosUhgp5mIg="), None);
        assert_eq!(Checksum::from_base64(ChecksumAlgorithm::Crc32, "not base64"), None);
    }
}
