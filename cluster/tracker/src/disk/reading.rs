//! Reading data files, which have the grammar of configuration files.

use std::path::Path;
use std::str::FromStr;

use fdfs_conf::ConfFile;
use tracing::warn;

/// A data file in sections.
#[derive(Debug)]
pub(super) struct Ini(ConfFile);

impl Ini {
    /// Reads a file, or says in the log why it cannot be read.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Option<Self> {
        match ConfFile::parse(path, bytes) {
            Ok(file) => Some(Self(file)),
            Err(error) => {
                warn!(path = %path.display(), %error, "data file cannot be read");
                None
            }
        }
    }

    /// The names of the sections `<prefix>NNN`, in the order of their numbers.
    pub(super) fn numbered(&self, prefix: &str) -> Vec<&str> {
        let number = |name: &str| name.strip_prefix(prefix)?.parse::<u64>().ok();
        let mut names: Vec<_> =
            self.0.sections().filter_map(|(name, _)| Some((number(name)?, name))).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// A text, empty if it is missing.
    pub(super) fn text(&self, section: &str, key: &str) -> &str {
        self.0.get(section, key).map_or("", |entry| &*entry.value)
    }

    /// A number, 0 if it is missing or none.
    pub(super) fn integer(&self, section: &str, key: &str) -> i64 {
        self.0.get(section, key).map_or(0, fdfs_conf::Entry::integer)
    }

    /// A number that fits its type, 0 if it does not.
    pub(super) fn number<T: TryFrom<i64> + Default>(&self, section: &str, key: &str) -> T {
        T::try_from(self.integer(section, key)).unwrap_or_default()
    }

    /// A word of the domain.
    pub(super) fn word<T: FromStr>(&self, section: &str, key: &str) -> Option<T> {
        self.text(section, key).parse().ok()
    }
}
