//! Base64 as file names use it: alphabet `A-Z a-z 0-9 - _`, no padding.

/// Encodes `bytes`. The result has `ceil(len * 8 / 6)` characters.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..=chunk.len() {
            let sextet = (bits >> (18 - 6 * position)) & 0x3F;
            text.push(char::from(ALPHABET[sextet as usize]));
        }
    }
    text
}

/// Decodes exactly the characters that `N` bytes encode to; `None` for any other length and for a
/// byte outside the alphabet. Spare bits of the last character are ignored, as the original does.
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != encoded_len(N) {
        return None;
    }
    let mut bytes = [0; N];
    for (chunk, out) in text.chunks(4).zip(bytes.chunks_mut(3)) {
        let mut bits = 0u32;
        for position in 0..4 {
            let sextet = match chunk.get(position) {
                Some(&byte) => VALUES[usize::from(byte)],
                None => 0,
            };
            if sextet == INVALID {
                return None;
            }
            bits = bits << 6 | u32::from(sextet);
        }
        let group = bits.to_be_bytes();
        out.copy_from_slice(&group[1..=out.len()]);
    }
    Some(bytes)
}

/// Number of characters for `length` bytes.
pub const fn encoded_len(length: usize) -> usize {
    (length * 8).div_ceil(6)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const INVALID: u8 = 0xFF;

const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        values[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    proptest! {
        #[test]
        fn twenty_bytes_survive(bytes: [u8; 20]) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), 27);
            prop_assert_eq!(decode::<20>(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn any_bytes_decode_or_not_without_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode::<20>(&text);
            let _ = decode::<12>(&text);
        }
    }

    #[test]
    fn a_byte_outside_the_alphabet_is_refused() {
        assert_eq!(decode::<20>(b"fwAA*msCdWGANf-iAAAACw1KEYU"), None);
        assert_eq!(decode::<20>(b"fw**A**sCdWGANf-iAAAACw1KEY"), None);
    }
}
