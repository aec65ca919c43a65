//! `.tracker_status`: when a tracker was started and seen last.

use std::fs;
use std::path::Path;

use fdfs_types::Timestamp;

use super::reading::Ini;

/// When a tracker was started and seen last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct TrackerStatusFile {
    /// When it was started.
    pub(crate) up_time: Timestamp,
    /// When it was seen last; zero for never.
    pub(crate) last_check_time: Timestamp,
}

impl TrackerStatusFile {
    pub(super) const NAME: &str = ".tracker_status";

    pub(super) fn load(path: &Path) -> Self {
        let ini = fs::read(path).ok().and_then(|bytes| Ini::parse(path, &bytes));
        ini.map(|ini| Self::parse(&ini)).unwrap_or_default()
    }

    /// Reads the file's items.
    pub(super) fn parse(ini: &Ini) -> Self {
        let time = |key| Timestamp(ini.integer("", key));
        Self { up_time: time("up_time"), last_check_time: time("last_check_time") }
    }

    pub(super) fn render(&self) -> String {
        format!("up_time={}\nlast_check_time={}\n", self.up_time, self.last_check_time)
    }
}
