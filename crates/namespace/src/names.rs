//! Names and keys: what they may hold, and how a key falls into names.

use crate::error::NamespaceError;

/// The longest key and the longest name, as in S3.
pub const MAX_KEY_LENGTH: usize = 1_024;

/// The longest name that POSIX shows.
pub const MAX_POSIX_NAME: usize = 255;

/// Checks a whole key.
pub(crate) fn check_key(key: &[u8]) -> Result<(), NamespaceError> {
    let fits = !key.is_empty() && key.len() <= MAX_KEY_LENGTH && !key.contains(&0);
    if fits { Ok(()) } else { Err(NamespaceError::InvalidName) }
}

/// Checks a name that a mount uses: one that POSIX can have.
pub(crate) fn check_posix_name(name: &[u8]) -> Result<(), NamespaceError> {
    if is_posix_name(name) { Ok(()) } else { Err(NamespaceError::InvalidName) }
}

/// True for names that a mount can show.
pub(crate) fn is_posix_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= MAX_POSIX_NAME
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// The names of a key: directories with their slash, at last the file's (or again a directory's, for keys that end in a slash).
pub(crate) fn names_of(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.split_inclusive(|byte| *byte == b'/')
}

/// The directories of a key and its last name.
pub(crate) fn split_key(key: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut names: Vec<&[u8]> = names_of(key).collect();
    let last = names.pop().unwrap_or_default();
    (names, last)
}

/// The last name of a key, with its slash if it is a directory's.
pub(crate) fn last_name(key: &[u8]) -> &[u8] {
    let before = key.strip_suffix(b"/").unwrap_or(key);
    let start = before.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    &key[start..]
}

/// The name in its key: with the slash of directories.
pub(crate) fn directory_name(name: &[u8]) -> Vec<u8> {
    let mut name = name.to_vec();
    name.push(b'/');
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_falls_into_directories_and_a_last_name() {
        let split = |key| split_key(key);
        assert_eq!(split(b"a"), (vec![], &b"a"[..]));
        assert_eq!(split(b"a/b"), (vec![&b"a/"[..]], &b"b"[..]));
        assert_eq!(split(b"a/"), (vec![], &b"a/"[..]));
        assert_eq!(split(b"a//b"), (vec![&b"a/"[..], b"/"], &b"b"[..]));
        assert_eq!(split(b"/x"), (vec![&b"/"[..]], &b"x"[..]));
        assert_eq!(split(b"//"), (vec![&b"/"[..]], &b"/"[..]));
        for key in [&b"a"[..], b"a/b", b"a/", b"a//b", b"/x", b"//", b"a//", b"/"] {
            assert_eq!(last_name(key), split(key).1, "{key:?}");
        }
    }

    #[test]
    fn keys_have_1_to_1024_bytes_and_no_nul() {
        assert!(check_key(b"").is_err());
        assert!(check_key(b"a\0b").is_err());
        assert!(check_key(&[b'x'; 1_024]).is_ok());
        assert!(check_key(&[b'x'; 1_025]).is_err());
        assert!(is_posix_name(b"...") && !is_posix_name(b"..") && !is_posix_name(&[b'x'; 256]));
    }
}
