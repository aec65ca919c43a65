//! `<base>/data/sync/<peer>.mark`: how far this storage has replicated to one peer.

use std::{io, path::Path};

use crate::{binlog::Position, state_file};

/// The content of a mark file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mark {
    /// The next record that the peer has not got.
    pub position: Position,
    /// This storage sends the peer its old files.
    pub need_sync_old: bool,
    /// It has reached the end of its binlog once in doing so.
    pub sync_old_done: bool,
    /// Files older than this are "old"; 0 where the peer has none.
    pub until_timestamp: u64,
    /// Records read for this peer.
    pub scan_row_count: u64,
    /// Records sent to this peer.
    pub sync_row_count: u64,
}

impl Mark {
    /// Reads a mark file; `None` where there is none, an error where it lacks one of its seven items.
    pub fn load(path: &Path) -> io::Result<Option<Self>> {
        let Some(text) = state_file::read(path)? else { return Ok(None) };
        Self::parse(&text).map(Some).map_err(|key| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: no valid {key}", path.display()))
        })
    }

    /// Reads the text of a mark file, or names the key that is missing or no number.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let number = |key| state_file::value_of::<u64>(text, key).ok_or(key);
        Ok(Self {
            position: Position {
                index: state_file::value_of(text, "binlog_index").ok_or("binlog_index")?,
                offset: number("binlog_offset")?,
            },
            need_sync_old: number("need_sync_old")? != 0,
            sync_old_done: number("sync_old_done")? != 0,
            until_timestamp: number("until_timestamp")?,
            scan_row_count: number("scan_row_count")?,
            sync_row_count: number("sync_row_count")?,
        })
    }

    /// The text of the mark file.
    pub fn to_text(&self) -> String {
        format!(
            "binlog_index={}\nbinlog_offset={}\nneed_sync_old={}\nsync_old_done={}\nuntil_timestamp={}\n\
             scan_row_count={}\nsync_row_count={}\n",
            self.position.index,
            self.position.offset,
            u8::from(self.need_sync_old),
            u8::from(self.sync_old_done),
            self.until_timestamp,
            self.scan_row_count,
            self.sync_row_count,
        )
    }

    /// Writes the mark file, atomically.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        state_file::replace(path, self.to_text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_files_are_written_byte_for_byte() {
        for name in [
            "100002.mark",
            "127.0.0.2_23401.mark.not_source",
            "127.0.0.3_23401.mark.sync_source",
            "127.0.0.4_23401.mark.until_timestamp",
        ] {
            let text = crate::tests::vector(name);
            assert_eq!(Mark::parse(&text).unwrap().to_text(), text, "{name}");
        }
    }

    #[test]
    fn a_mark_that_lacks_an_item_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("100002.mark");
        assert_eq!(Mark::load(&path).unwrap(), None);
        std::fs::write(&path, "binlog_index=0\nbinlog_offset=-1\n").unwrap();
        assert_eq!(Mark::load(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
