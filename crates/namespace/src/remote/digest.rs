//! Digests of what a transaction read: small to send, and as good as the rows to compare.

use sha2::{Digest as _, Sha256};

use super::wire;

/// The digest of a value.
pub(super) fn of_value(value: &[u8]) -> Vec<u8> {
    cut(Sha256::new_with_prefix(value))
}

/// The digest of rows in their order.
pub(super) fn of_rows<'a>(rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for (key, value) in rows {
        for part in [key, value] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    cut(hasher)
}

/// The digest of a page.
pub(super) fn of_page(page: &wire::RangeReply) -> Vec<u8> {
    of_rows(page.rows.iter().map(|row| (row.key.as_slice(), row.value.as_slice())))
}

fn cut(hasher: Sha256) -> Vec<u8> {
    let mut digest = hasher.finalize().to_vec();
    digest.truncate(LENGTH);
    digest
}

/// Half of the hash is far more than chance or a peer that is let in could make equal.
const LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cut_elsewhere_have_another_digest() {
        let digest = |rows: &[(&[u8], &[u8])]| of_rows(rows.iter().copied());
        assert_ne!(digest(&[(b"a", b"bc")]), digest(&[(b"ab", b"c")]));
        assert_ne!(digest(&[(b"a", b"b"), (b"c", b"d")]), digest(&[(b"c", b"d"), (b"a", b"b")]));
        assert_ne!(digest(&[]), digest(&[(b"", b"")]));
    }
}
