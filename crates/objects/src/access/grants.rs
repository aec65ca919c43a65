//! What a key may do: permissions on buckets.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::action::Permission;
use super::pattern::Pattern;

/// Permissions on some buckets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The bucket's name, or a pattern with `*` and `?`.
    pub bucket: String,
    /// What may be done there.
    pub permissions: Permissions,
    pattern: Pattern,
}

/// All that a key may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grants(Vec<Grant>);

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Permissions(u32);

/// Why a text is no grant.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "`{0}` is no grant: a bucket or pattern, a colon, and read, write, admin or raw-delete, separated by `+`"
)]
pub struct ParseGrantError(String);

impl Grant {
    /// Grants permissions on a bucket or on all that a pattern fits.
    pub fn new(bucket: &str, permissions: Permissions) -> Self {
        Self { bucket: bucket.to_owned(), permissions, pattern: Pattern::parse(bucket, false) }
    }
}

impl Grants {
    /// All permissions on all buckets, but for deleting raw files.
    pub fn everything() -> Self {
        Self(vec![Grant::new(
            "*",
            Permissions::of(&[Permission::Read, Permission::Write, Permission::Admin]),
        )])
    }

    /// Whether they permit this on that bucket.
    pub fn permit(&self, bucket: &str, permission: Permission) -> bool {
        self.0.iter().any(|grant| grant.permissions.has(permission) && grant.pattern.fits(bucket, &|_| None))
    }

    /// Whether they permit anything on that bucket.
    pub fn touch(&self, bucket: &str) -> bool {
        self.0.iter().any(|grant| grant.permissions.0 != 0 && grant.pattern.fits(bucket, &|_| None))
    }

    /// Each grant.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl Permissions {
    /// These permissions.
    pub fn of(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |bits, permission| bits | bit(*permission)))
    }

    /// The set of this number, as rows keep it.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 15)
    }

    /// Its number.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether a permission is in it. Who administers may read and write as well.
    pub fn has(self, permission: Permission) -> bool {
        let admin = self.0 & bit(Permission::Admin) != 0;
        self.0 & bit(permission) != 0 || admin && permission != Permission::RawDelete
    }
}

impl FromStr for Grant {
    type Err = ParseGrantError;

    /// Reads `BUCKET:read+write`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseGrantError(text.to_owned());
        let (bucket, permissions) = text.rsplit_once(':').ok_or_else(error)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*?".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(fits) {
            return Err(error());
        }
        let permissions = permissions.split('+').map(|name| NAMES.iter().find(|(_, known)| *known == name));
        let permissions: Option<Vec<_>> = permissions.map(|found| found.map(|found| found.0)).collect();
        Ok(Self::new(bucket, Permissions::of(&permissions.ok_or_else(error)?)))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.bucket, self.permissions)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(permission, _)| self.0 & bit(*permission) != 0);
        let names: Vec<_> = names.map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join("+"))
    }
}

fn bit(permission: Permission) -> u32 {
    match permission {
        Permission::Read => 1,
        Permission::Write => 2,
        Permission::Admin => 4,
        Permission::RawDelete => 8,
    }
}

const NAMES: [(Permission, &str); 4] = [
    (Permission::Read, "read"),
    (Permission::Write, "write"),
    (Permission::Admin, "admin"),
    (Permission::RawDelete, "raw-delete"),
];
