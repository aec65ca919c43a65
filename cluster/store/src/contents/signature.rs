//! What equal contents have in common.

use md5::{Digest as _, Md5};
use twox_hash::XxHash3_128;

/// How equal uploads are found (`file_signature_method`). Equal signatures are a hint: what is linked has been compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureMethod {
    /// XXH3 of 128 bits.
    Hash,
    /// MD5.
    Md5,
}

/// A method, a size and what the method makes of a content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signature([u8; Signature::LEN]);

/// Takes the bytes of a content as they come.
#[derive(Clone)]
pub(crate) enum Signer {
    Hash(Box<XxHash3_128>),
    Md5(Md5),
}

impl SignatureMethod {
    fn number(self) -> u8 {
        match self {
            Self::Hash => b'h',
            Self::Md5 => b'm',
        }
    }
}

impl Signature {
    /// Bytes of a signature: method, size, 16 bytes.
    pub(crate) const LEN: usize = 25;

    /// A signature that was written down, if it is of this method.
    pub(crate) fn parse(bytes: &[u8], method: SignatureMethod) -> Option<Self> {
        Self::from_row(bytes).filter(|signature| signature.0[0] == method.number())
    }

    /// A signature of any method that was written down.
    pub(crate) fn from_row(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The size of the content.
    pub(crate) fn size(&self) -> u64 {
        self.0[1..9].iter().fold(0, |size, byte| size << 8 | u64::from(*byte))
    }

    pub(crate) fn low_byte(&self) -> usize {
        usize::from(self.0[Self::LEN - 1])
    }
}

impl Signer {
    pub(crate) fn new(method: SignatureMethod) -> Self {
        match method {
            SignatureMethod::Hash => Self::Hash(Box::new(XxHash3_128::new())),
            SignatureMethod::Md5 => Self::Md5(Md5::new()),
        }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Hash(hasher) => hasher.write(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    /// The signature of the `size` bytes that came.
    pub(crate) fn finish(self, size: u64) -> Signature {
        let mut signature = [0; Signature::LEN];
        signature[1..9].copy_from_slice(&size.to_be_bytes());
        let method = match self {
            Self::Hash(hasher) => {
                signature[9..].copy_from_slice(&hasher.finish_128().to_be_bytes());
                SignatureMethod::Hash
            }
            Self::Md5(hasher) => {
                signature[9..].copy_from_slice(&hasher.finalize());
                SignatureMethod::Md5
            }
        };
        signature[0] = method.number();
        Signature(signature)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hash(_) => "Signer(hash)",
            Self::Md5(_) => "Signer(md5)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_method_size_and_digest_however_the_bytes_come() {
        let content = b"duplicate content 12345";
        let of = |method, chunk: usize| {
            let mut signer = Signer::new(method);
            content.chunks(chunk).for_each(|bytes| signer.update(bytes));
            signer.finish(content.len() as u64)
        };
        // The 24 bytes that the original's key has for this content, behind the letter of the method.
        let captured = [
            &b"m"[..],
            &[0, 0, 0, 0, 0, 0, 0, 0x17],
            &0xd6e7_a661_3769_23d7_87b2_fb87_d064_6f7e_u128.to_be_bytes(),
        ];
        assert_eq!(of(SignatureMethod::Md5, 5).as_bytes(), captured.concat());
        assert_eq!(of(SignatureMethod::Hash, 1), of(SignatureMethod::Hash, 100));
        assert_ne!(of(SignatureMethod::Hash, 1), of(SignatureMethod::Md5, 1));
        let hash = of(SignatureMethod::Hash, 4);
        assert_eq!(Signature::parse(hash.as_bytes(), SignatureMethod::Hash), Some(hash));
        assert_eq!(Signature::parse(hash.as_bytes(), SignatureMethod::Md5), None);
        assert_eq!(Signature::parse(b"h", SignatureMethod::Hash), None);
    }
}
