//! `check_file_duplicate` and what belongs to it.

use crate::ConfError;
use crate::keys::{Keys, invalid};

/// Equal content is kept once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deduplication {
    /// How content is compared.
    pub method: SignatureMethod,
    /// Prefix of the keys of this cluster, 1 to 63 bytes.
    pub key_namespace: String,
}

/// `file_signature_method`: how content is compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignatureMethod {
    /// Four hash values and the size.
    #[default]
    Hash,
    /// MD5 and the size.
    Md5,
}

impl Deduplication {
    pub(super) fn read(keys: &mut Keys<'_>) -> Result<Option<Self>, ConfError> {
        if !keys.boolean("check_file_duplicate", false) {
            return Ok(None);
        }
        let method = match keys.text("file_signature_method") {
            Some(entry) if entry.value.eq_ignore_ascii_case("md5") => SignatureMethod::Md5,
            Some(entry) if !entry.value.eq_ignore_ascii_case("hash") => {
                keys.adjusted(entry, "neither hash nor md5; hash is used");
                SignatureMethod::Hash
            }
            _ => SignatureMethod::Hash,
        };
        let help = "check_file_duplicate needs key_namespace = NAME, for example FastDFS";
        let entry = keys.get("key_namespace").ok_or_else(|| keys.missing("key_namespace", help))?;
        if !(1..64).contains(&entry.value.len()) {
            return Err(invalid(entry, "a name of 1 to 63 bytes is needed, for example FastDFS"));
        }
        Ok(Some(Self { method, key_namespace: entry.value.clone() }))
    }
}
