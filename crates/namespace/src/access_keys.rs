//! Access keys: who may sign requests, and what each of them is for.

use std::fmt;

use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, AccessKeyRow, GrantRow};
use crate::transaction::Transaction;

/// A key pair and what it is for. Its secret is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// What people call its user.
    pub name: String,
    /// What it may do.
    pub grants: Vec<AccessGrant>,
    /// When it was made, milliseconds since 1970.
    pub created: u64,
    /// True while it may not be used.
    pub disabled: bool,
}

/// Permissions on a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessGrant {
    /// The bucket's name, or a pattern with `*`.
    pub bucket: String,
    /// Bits: 1 read, 2 write, 4 admin, 8 raw-delete.
    pub permissions: u32,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The key of this id.
pub(crate) fn get(read: &dyn Read, id: &str) -> Result<Option<AccessKey>, NamespaceError> {
    let row: Option<AccessKeyRow> = rows::load(read, &keys::access_key(id))?;
    Ok(row.map(|row| of_row(id.to_owned(), row)))
}

/// Up to a page of keys after the id `after`, by id.
pub(crate) fn list(read: &dyn Read, after: &str) -> Result<Vec<AccessKey>, NamespaceError> {
    let mut from = keys::access_key(after);
    if !after.is_empty() {
        from.push(0);
    }
    let rows = rows::scan(read, &[keys::ACCESS_KEY], &from, PAGE)?;
    let key = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let id = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
        Ok(of_row(id, rows::unseal(key, value)?))
    };
    rows.iter().map(key).collect()
}

/// Makes the key, or changes it; `must_be_new` refuses a change.
pub(crate) fn put(
    tx: &mut Transaction<'_, '_>,
    key: &AccessKey,
    must_be_new: bool,
) -> Result<(), NamespaceError> {
    if key.id.is_empty() || key.id.len() > MAX_ID || !key.id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NamespaceError::InvalidName);
    }
    let row_key = keys::access_key(&key.id);
    if must_be_new && tx.get(&row_key)?.is_some() {
        return Err(NamespaceError::AlreadyExists);
    }
    let grant =
        |grant: &AccessGrant| GrantRow { bucket: grant.bucket.clone(), permissions: grant.permissions };
    let row = AccessKeyRow {
        secret: key.secret.clone(),
        name: key.name.clone(),
        grants: key.grants.iter().map(grant).collect(),
        created: if key.created == 0 { tx.now_ms() } else { key.created },
        disabled: key.disabled,
    };
    tx.put(row_key, &row);
    Ok(())
}

/// Removes the key.
pub(crate) fn remove(tx: &mut Transaction<'_, '_>, id: &str) -> Result<(), NamespaceError> {
    let key = keys::access_key(id);
    if tx.get(&key)?.is_none() {
        return Err(NamespaceError::NotFound);
    }
    tx.delete(&key);
    Ok(())
}

fn of_row(id: String, row: AccessKeyRow) -> AccessKey {
    let grant = |row: GrantRow| AccessGrant { bucket: row.bucket, permissions: row.permissions };
    AccessKey {
        id,
        secret: row.secret,
        name: row.name,
        grants: row.grants.into_iter().map(grant).collect(),
        created: row.created,
        disabled: row.disabled,
    }
}

/// Longest id of a key, in bytes.
const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::AccessGrant;
    use crate::tree::tests::for_every_engine;
    use crate::{AccessKey, NamespaceError};

    fn key(id: &str) -> AccessKey {
        AccessKey {
            id: id.to_owned(),
            secret: "hush hush".to_owned(),
            name: "ann".to_owned(),
            grants: vec![AccessGrant { bucket: "pets-*".to_owned(), permissions: 3 }],
            created: 0,
            disabled: false,
        }
    }

    #[test]
    fn access_keys_are_kept_listed_and_removed() {
        for_every_engine(async |namespace, _| {
            namespace.put_access_key(key("B"), true).await.unwrap();
            namespace.put_access_key(key("A"), true).await.unwrap();
            assert!(matches!(
                namespace.put_access_key(key("A"), true).await,
                Err(NamespaceError::AlreadyExists)
            ));
            let made = namespace.access_key("A").await.unwrap().unwrap();
            assert_eq!((made.secret.as_str(), made.grants.len(), made.created > 0), ("hush hush", 1, true));
            namespace.put_access_key(AccessKey { disabled: true, ..made.clone() }, false).await.unwrap();
            let changed = namespace.access_key("A").await.unwrap().unwrap();
            assert_eq!((changed.disabled, changed.created), (true, made.created));
            let ids: Vec<_> =
                namespace.access_keys("").await.unwrap().into_iter().map(|key| key.id).collect();
            assert_eq!(ids, ["A", "B"]);
            assert_eq!(namespace.access_keys("A").await.unwrap().len(), 1);
            namespace.remove_access_key("A").await.unwrap();
            assert!(namespace.access_key("A").await.unwrap().is_none());
            assert!(matches!(namespace.remove_access_key("A").await, Err(NamespaceError::NotFound)));
            assert!(matches!(
                namespace.put_access_key(key("a b"), true).await,
                Err(NamespaceError::InvalidName)
            ));
        });
    }

    #[test]
    fn no_secret_of_an_access_key_is_printed() {
        assert!(!format!("{:?}", key("A")).contains("hush"));
    }
}
