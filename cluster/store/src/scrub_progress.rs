//! `<base>/data/rs/scrub`: how far the search for damaged files is.

use std::{
    io,
    path::{Path, PathBuf},
};

use fdfs_types::{RemoteFilename, Timestamp};

use crate::state_file;

/// How far the search for damaged files is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScrubProgress {
    /// Files are searched; otherwise the last search has reached its end.
    pub is_under_way: bool,
    /// When this search began, or the last one; 0 for never.
    pub begun: Timestamp,
    /// When the last search that reached its end did so; 0 for never.
    pub last_whole: Timestamp,
    /// The last file that was searched, in the order of store paths, directories and names.
    pub position: Option<RemoteFilename>,
    /// Files read by this search, or the last one.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were damaged.
    pub damaged: u64,
    /// Those of them that were healed.
    pub healed: u64,
}

impl ScrubProgress {
    /// Reads the file in `directory`; one that is missing or damaged means that no search was made.
    pub fn load(directory: &Path) -> io::Result<Self> {
        Ok(state_file::read(&file(directory))?.as_deref().map(Self::parse).unwrap_or_default())
    }

    /// Writes the file in `directory`.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        state_file::replace(&file(directory), self.to_text().as_bytes())
    }

    /// Reads the text of the file.
    pub(crate) fn parse(text: &str) -> Self {
        let number = |key| state_file::value_of(text, key).unwrap_or(0);
        let time = |key| Timestamp(state_file::value_of(text, key).unwrap_or(0));
        Self {
            is_under_way: number("under_way") != 0,
            begun: time("begun"),
            last_whole: time("last_whole"),
            position: state_file::value_of(text, "position"),
            files: number("files"),
            bytes: number("bytes"),
            damaged: number("damaged"),
            healed: number("healed"),
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let position = self.position.as_ref().map_or("", RemoteFilename::as_str);
        format!(
            "under_way={}\nbegun={}\nlast_whole={}\nposition={position}\nfiles={}\nbytes={}\ndamaged={}\nhealed={}\n",
            u8::from(self.is_under_way),
            self.begun.0,
            self.last_whole.0,
            self.files,
            self.bytes,
            self.damaged,
            self.healed
        )
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("scrub")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written_and_damage_means_a_new_search() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ScrubProgress::load(directory.path()).unwrap(), ScrubProgress::default());
        let progress = ScrubProgress {
            is_under_way: true,
            begun: Timestamp(5),
            last_whole: Timestamp(4),
            position: Some("M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960.png".parse().unwrap()),
            files: 3,
            bytes: 70_000,
            damaged: 2,
            healed: 1,
        };
        progress.save(directory.path()).unwrap();
        assert_eq!(ScrubProgress::load(directory.path()).unwrap(), progress);
        let text = std::fs::read_to_string(file(directory.path())).unwrap();
        assert_eq!(
            text,
            "under_way=1\nbegun=5\nlast_whole=4\nposition=M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960.png\n\
             files=3\nbytes=70000\ndamaged=2\nhealed=1\n"
        );
        std::fs::write(file(directory.path()), "rubbish\nposition=../..\nfiles=-1\n").unwrap();
        assert_eq!(ScrubProgress::load(directory.path()).unwrap(), ScrubProgress::default());
    }
}
