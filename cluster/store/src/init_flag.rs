//! `<base>/data/.data_init_flag`: how this storage joined its group, its last address, its path marks.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use crate::{OpenError, state_file};

/// The content of `.data_init_flag`.
///
/// The order of lines is the original's; a line this store does not know is dropped at the next write.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InitFlag {
    /// When this storage was created; sent to trackers when it joins.
    pub storage_join_time: u64,
    /// A tracker has said who sends the old files (not that they have arrived).
    pub sync_old_done: bool,
    /// Who sends the old files; empty for the first member of a group.
    pub sync_source: String,
    /// Files older than this are "old".
    pub sync_until_timestamp: u64,
    /// My addresses as trackers saw them at the last start, comma separated.
    pub last_ip_addr: String,
    /// My port at the last start.
    pub last_server_port: u16,
    /// The trunk file that was made last.
    pub current_trunk_file_id: u32,
    /// When the trunk binlog was compressed last.
    pub trunk_last_compress_time: u64,
    /// How far a compression of the trunk binlog has got.
    pub trunk_binlog_compress_stage: u32,
    /// The mark of every store path, by index, where marks are checked.
    pub store_path_marks: BTreeMap<u8, String>,
}

impl InitFlag {
    /// Reads the file; `None` where there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, OpenError> {
        let Some(text) = state_file::read(path).map_err(OpenError::doing("reading", path))? else {
            return Ok(None);
        };
        Self::parse(&text)
            .map(Some)
            .map_err(|reason| OpenError::Damaged { path: path.to_owned(), reason: reason.to_owned() })
    }

    /// Reads the text of the file.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let number = |key| state_file::value_of::<u64>(text, key);
        let string = |key| state_file::value_of::<String>(text, key);
        Ok(Self {
            storage_join_time: number("storage_join_time").ok_or("no storage_join_time")?,
            sync_old_done: number("sync_old_done").ok_or("no sync_old_done")? != 0,
            sync_source: string("sync_src_server").ok_or("no sync_src_server")?,
            sync_until_timestamp: number("sync_until_timestamp").unwrap_or(0),
            last_ip_addr: string("last_ip_addr").unwrap_or_default(),
            last_server_port: state_file::value_of(text, "last_server_port").unwrap_or(0),
            current_trunk_file_id: state_file::value_of(text, "current_trunk_file_id").unwrap_or(0),
            trunk_last_compress_time: number("trunk_last_compress_time").unwrap_or(0),
            trunk_binlog_compress_stage: state_file::value_of(text, "trunk_binlog_compress_stage")
                .unwrap_or(0),
            store_path_marks: state_file::pairs(text)
                .filter_map(|(key, value)| {
                    let index = key.strip_prefix("store_path_mark")?.parse().ok()?;
                    (!value.is_empty()).then(|| (index, value.to_owned()))
                })
                .collect(),
        })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "storage_join_time={}\nsync_old_done={}\nsync_src_server={}\nsync_until_timestamp={}\n\
             last_ip_addr={}\nlast_server_port={}\ncurrent_trunk_file_id={}\ntrunk_last_compress_time={}\n\
             trunk_binlog_compress_stage={}\n",
            self.storage_join_time,
            u8::from(self.sync_old_done),
            self.sync_source,
            self.sync_until_timestamp,
            self.last_ip_addr,
            self.last_server_port,
            self.current_trunk_file_id,
            self.trunk_last_compress_time,
            self.trunk_binlog_compress_stage,
        );
        for (index, mark) in &self.store_path_marks {
            // Writing to a string does not fail.
            let _ = writeln!(text, "store_path_mark{index}={mark}");
        }
        text
    }

    /// Writes the file, atomically.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        state_file::replace(path, self.to_text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_files_are_written_byte_for_byte() {
        for name in ["data_init_flag.first_member", "data_init_flag.joined_member"] {
            let text = crate::tests::vector(name);
            assert_eq!(InitFlag::parse(&text).unwrap().to_text(), text, "{name}");
        }
    }

    #[test]
    fn what_the_captured_file_says_is_understood() {
        let flag = InitFlag::parse(&crate::tests::vector("data_init_flag.joined_member")).unwrap();
        assert_eq!(flag.sync_source, "127.0.0.2");
        assert_eq!(flag.sync_until_timestamp, 1_795_325_618);
        assert_eq!(flag.last_server_port, 23401);
        assert_eq!(flag.store_path_marks.len(), 2);
    }

    #[test]
    fn a_file_without_its_first_three_keys_is_damaged() {
        assert_eq!(InitFlag::parse("storage_join_time=1\nsync_old_done=1\n"), Err("no sync_src_server"));
        assert_eq!(InitFlag::parse(""), Err("no storage_join_time"));
    }
}
