//! Where a namespace is kept, as configuration files and commands say it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::engine::{Engine, EngineError, LmdbEngine, PostgresEngine};
use crate::error::NamespaceError;
use crate::namespace::Namespace;
use crate::transaction::Defaults;

/// A place for a namespace: `lmdb:///directory` or `postgres://user:password@host/database`.
#[derive(Clone, Eq, PartialEq)]
pub enum StoreUrl {
    /// A directory of this machine, for one gateway.
    Lmdb(PathBuf),
    /// A database, for any number of gateways.
    Postgres(String),
}

/// A text that names no store.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("a namespace is lmdb:///absolute/path or postgres://USER:PASSWORD@HOST/DATABASE")]
pub struct ParseStoreUrlError;

impl StoreUrl {
    /// Opens its rows. It may block.
    pub fn open_engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(match self {
            Self::Lmdb(path) => Box::new(LmdbEngine::open(path)?),
            Self::Postgres(url) => Box::new(PostgresEngine::open(url)?),
        })
    }

    /// Opens its namespace. It may block.
    pub fn open(&self, defaults: Defaults) -> Result<Namespace, NamespaceError> {
        Namespace::open(self.open_engine()?.into(), defaults)
    }
}

impl FromStr for StoreUrl {
    type Err = ParseStoreUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if PostgresEngine::is_url(text) {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("lmdb://").filter(|path| path.starts_with('/'));
        path.map(|path| Self::Lmdb(path.into())).ok_or(ParseStoreUrlError)
    }
}

/// Without the password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lmdb(path) => write!(f, "lmdb://{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                let (place, _options) = rest.split_once('?').unwrap_or((rest, ""));
                match place.rsplit_once('@') {
                    Some((user, place)) => {
                        write!(f, "{scheme}://{}@{place}", user.split(':').next().unwrap_or_default())
                    }
                    None => write!(f, "{scheme}://{place}"),
                }
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_shown_without_its_password() {
        let shown = |text: &str| text.parse::<StoreUrl>().map(|url| url.to_string());
        assert_eq!(shown("lmdb:///var/lib/fdfs").unwrap(), "lmdb:///var/lib/fdfs");
        assert_eq!(
            shown("postgres://me:se@cret@db:5432/names?password=x").unwrap(),
            "postgres://me@db:5432/names"
        );
        assert_eq!(shown("postgresql://db/names").unwrap(), "postgresql://db/names");
        for wrong in ["lmdb://relative", "/path", "mysql://db/names", ""] {
            assert_eq!(shown(wrong), Err(ParseStoreUrlError), "{wrong}");
        }
    }
}
