//! CRCs of parts made that of the whole, without the bytes.
//!
//! A CRC is a remainder of polynomials over two elements, so bytes that follow multiply what came before by a power of x, and
//! that power is the same for all parts of one length.

use crc_fast::CrcAlgorithm;

/// Puts CRCs of one kind together.
#[derive(Debug)]
pub(crate) struct Combination {
    width: u32,
    /// What the polynomial leaves of x to the power of the width; the highest bit is 1, the next x, and so on.
    polynomial: u64,
    sum: u64,
    /// The length of a part, and x to the power of its bits.
    last: (u64, u64),
}

impl Combination {
    /// Begins with the CRC of nothing. `None` for kinds that nobody needs here.
    pub(crate) fn new(algorithm: CrcAlgorithm) -> Option<Self> {
        let (width, polynomial) = match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => (32, 0xEDB8_8320),
            CrcAlgorithm::Crc32Iscsi => (32, 0x82F6_3B78),
            CrcAlgorithm::Crc64Nvme => (64, 0x9A6C_9329_AC4B_C9B5),
            _ => return None,
        };
        Some(Self { width, polynomial, sum: 0, last: (0, 1 << (width - 1)) })
    }

    /// Appends a part.
    pub(crate) fn append(&mut self, crc: u64, length: u64) {
        if self.last.0 != length {
            self.last = (length, self.power(length));
        }
        self.sum = self.multiply(self.last.1, self.sum) ^ crc;
    }

    /// The CRC of everything.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// x to the power of so many bytes' bits.
    fn power(&self, mut bytes: u64) -> u64 {
        let one = 1 << (self.width - 1);
        let (mut power, mut factor) = (one, one >> 8);
        while bytes > 0 {
            if bytes & 1 == 1 {
                power = self.multiply(power, factor);
            }
            factor = self.multiply(factor, factor);
            bytes >>= 1;
        }
        power
    }

    fn multiply(&self, one: u64, mut other: u64) -> u64 {
        let mut product = 0;
        for bit in (0..self.width).rev() {
            if one >> bit & 1 == 1 {
                product ^= other;
            }
            other = (other >> 1) ^ if other & 1 == 1 { self.polynomial } else { 0 };
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crcs_of_pieces_make_that_of_the_whole_whatever_their_lengths() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|index| (index.wrapping_mul(index) >> 3) as u8).collect();
        for algorithm in [CrcAlgorithm::Crc32IsoHdlc, CrcAlgorithm::Crc32Iscsi, CrcAlgorithm::Crc64Nvme] {
            for piece in [1, 7, 4_096, 65_537, 70_000] {
                let mut all = Combination::new(algorithm).unwrap();
                for part in bytes.chunks(piece) {
                    all.append(crc_fast::checksum(algorithm, part), part.len() as u64);
                }
                all.append(crc_fast::checksum(algorithm, b""), 0);
                assert_eq!(all.sum(), crc_fast::checksum(algorithm, &bytes), "{algorithm:?} {piece}");
            }
            let (one, other) = (crc_fast::checksum(algorithm, b"one"), 12_345);
            let mut all = Combination::new(algorithm).unwrap();
            all.append(one, 3);
            all.append(other, 5 << 40);
            assert_eq!(all.sum(), crc_fast::checksum_combine(algorithm, one, other, 5 << 40));
        }
    }
}
