//! What binds a password to the encrypted connection it is proved on (RFC 5929, `tls-server-end-point`): the hash of the server's certificate. Whoever stands
//! between with a certificate of their own cannot pass the proof on.

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The hash of a certificate by the algorithm that it is signed with; none where no hash belongs to that.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let bytes: &[u8] = certificate;
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { algorithm OID, ... }, ... }
    let (outer, _) = element(bytes, SEQUENCE)?;
    let (_to_be_signed, rest) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (oid, _) = element(algorithm, OID)?;
    let (prefix, last) = oid.split_at_checked(oid.len().checked_sub(1)?)?;
    match (prefix, last[0]) {
        // What is signed with MD5 or SHA-1 is hashed by SHA-256.
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(Sha256::digest(bytes).to_vec()),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(Sha384::digest(bytes).to_vec()),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(Sha512::digest(bytes).to_vec()),
        (ECDSA, 1) => Some(Sha256::digest(bytes).to_vec()),
        _ => None,
    }
}

/// The content of the element of this kind at the beginning, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if first == kind { rest.split_at_checked(length) } else { None }
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
/// 1.2.840.113549.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4.3
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// 1.2.840.10045.4
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn a_certificate_is_hashed_as_it_is_signed() {
        for (algorithm, length) in [
            (&PKCS_ECDSA_P256_SHA256, Some(32)),
            (&PKCS_ECDSA_P384_SHA384, Some(48)),
            // No hash belongs to this one.
            (&PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::new(vec!["database.test".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(end_point(certificate.der()).map(|hash| hash.len()), length);
        }
    }

    #[test]
    fn what_is_no_certificate_binds_nothing() {
        let of = |bytes: &[u8]| end_point(&CertificateDer::from(bytes.to_vec()));
        let whole = {
            let params = CertificateParams::new(Vec::new()).unwrap();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
        };
        assert!(of(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(of(&whole[..end]), None, "the first {end} bytes");
        }
        for odd in [&b"\x30\x80\x00"[..], b"\x30\x84\xff\xff\xff\xff", b"\x30\x06\x30\x00\x30\x02\x06\x00"] {
            assert_eq!(of(odd), None);
        }
    }
}
