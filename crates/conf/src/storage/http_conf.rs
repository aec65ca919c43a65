//! `mod_fastdfs_conf`: which file says how native HTTP paths are served.

use std::path::PathBuf;

use crate::keys::Keys;

/// Which file says how native HTTP paths are served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HttpConf {
    /// None: every setting has its default.
    None,
    /// This one, if it is there: it lies beside `storage.conf`, as in an installation of the original.
    Beside(PathBuf),
    /// This one, which the configuration names.
    Named(PathBuf),
}

impl HttpConf {
    pub(super) fn read(keys: &Keys<'_>) -> Self {
        match keys.get("mod_fastdfs_conf") {
            Some(entry) if entry.is_off() => Self::None,
            Some(entry) => Self::Named(keys.beside(&entry.value)),
            None => Self::Beside(keys.beside("mod_fastdfs.conf")),
        }
    }
}
