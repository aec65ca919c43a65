//! The files of a recovery: a store path that was wiped or replaced is filled again from the other members.
//!
//! They lie in the `data` of the store path that is filled, in the formats of the original, so that a recovery begun by
//! either can be continued by the other:
//!
//! | file | content |
//! |---|---|
//! | `.recovery.flag` | the recovery is not over; written before the directories are made |
//! | `.binlog.recovery.<i>` | lines of the binlog: the work of thread `i` |
//! | `.recovery.mark.<i>` | how many bytes of that are done |

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{InitFlag, StoreOptions, state_file};

/// The files of the recovery of one store path.
#[derive(Clone, Debug)]
pub struct PathRecovery {
    index: u8,
    data: PathBuf,
}

/// The content of `.recovery.flag`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecoveryFlag {
    /// The state that trackers had for this storage before, as its number on the wire; 99 while that is not known.
    pub saved_status: u8,
    /// The lists of work are complete.
    pub is_fetched: bool,
    /// Into how many lists the work was dealt; -1 while that is not done.
    pub threads: i32,
}

impl RecoveryFlag {
    /// That a recovery has to be made, and nothing else.
    pub const INTENT: Self = Self { saved_status: 99, is_fetched: false, threads: -1 };

    /// Reads the text of the file. What is not there counts as not done.
    pub fn parse(text: &str) -> Self {
        let number = |key| state_file::value_of::<i32>(text, key);
        Self {
            saved_status: number("saved_storage_status")
                .and_then(|number| number.try_into().ok())
                .unwrap_or(Self::INTENT.saved_status),
            is_fetched: number("fetch_binlog_done") == Some(1),
            threads: number("recovery_threads").unwrap_or(Self::INTENT.threads),
        }
    }

    /// The text of the file.
    pub fn to_text(self) -> String {
        let Self { saved_status, is_fetched, threads } = self;
        let is_fetched = u8::from(is_fetched);
        format!(
            "saved_storage_status={saved_status}\nfetch_binlog_done={is_fetched}\nrecovery_threads={threads}\n"
        )
    }
}

impl PathRecovery {
    /// The recovery of the store path whose files lie below `data`.
    pub(crate) fn new(index: u8, data: &Path) -> Self {
        Self { index, data: data.to_owned() }
    }

    /// Index of the store path.
    pub fn store_path(&self) -> u8 {
        self.index
    }

    /// The flag; `None` where no recovery is to be made.
    pub fn flag(&self) -> io::Result<Option<RecoveryFlag>> {
        Ok(state_file::read(&self.flag_path())?.map(|text| RecoveryFlag::parse(&text)))
    }

    /// Writes the flag.
    pub fn set_flag(&self, flag: RecoveryFlag) -> io::Result<()> {
        state_file::replace(&self.flag_path(), flag.to_text().as_bytes())
    }

    /// Where the work of thread `thread` is listed.
    pub fn list(&self, thread: usize) -> PathBuf {
        self.data.join(format!("{LIST}.{thread}"))
    }

    /// Where the work is gathered before it is dealt to threads.
    pub fn gathered(&self) -> PathBuf {
        self.data.join(format!("{LIST}.tmp"))
    }

    /// How many bytes of the list of `thread` are done.
    pub fn mark(&self, thread: usize) -> io::Result<u64> {
        let text = state_file::read(&self.mark_path(thread))?.unwrap_or_default();
        Ok(state_file::value_of(&text, "binlog_offset").unwrap_or(0))
    }

    /// Notes how many bytes of the list of `thread` are done.
    pub fn set_mark(&self, thread: usize, offset: u64) -> io::Result<()> {
        state_file::replace(&self.mark_path(thread), format!("binlog_offset={offset}\n").as_bytes())
    }

    /// Takes over the names that versions with one thread gave.
    pub fn adopt_old_names(&self) -> io::Result<()> {
        for (old, new) in [(LIST, format!("{LIST}.0")), (MARK, format!("{MARK}.0"))] {
            let (old, new) = (self.data.join(old), self.data.join(new));
            if old.exists() && !new.exists() {
                fs::rename(old, new)?;
            }
        }
        Ok(())
    }

    /// Removes lists and marks.
    pub fn clear_work(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.data)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if [LIST, MARK].iter().any(|kind| name == *kind || name.starts_with(&format!("{kind}."))) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The recovery is over: removes everything, the flag last.
    pub fn clear(&self) -> io::Result<()> {
        self.clear_work()?;
        match fs::remove_file(self.flag_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        state_file::sync_parent(&self.flag_path())
    }

    /// Notes that the path has to be filled, before anything is made that would hide it: its directories are missing or,
    /// though we have marked it, its mark is. A storage that has no source yet gets everything by joining.
    pub(crate) fn intend_where_wiped(
        &self,
        options: &StoreOptions,
        flag: Option<&InitFlag>,
        has_directories: bool,
    ) -> io::Result<()> {
        let Some(flag) = flag.filter(|flag| flag.sync_old_done) else { return Ok(()) };
        let is_marked = !options.check_store_path_mark
            || !flag.store_path_marks.contains_key(&self.index)
            || self.data.join(".fastdfs_vars").exists();
        if (has_directories && is_marked) || self.flag()?.is_some() {
            return Ok(());
        }
        self.set_flag(RecoveryFlag::INTENT)
    }

    fn flag_path(&self) -> PathBuf {
        self.data.join(".recovery.flag")
    }

    fn mark_path(&self, thread: usize) -> PathBuf {
        let mut name = String::from(MARK);
        // Writing to a string does not fail.
        let _ = write!(name, ".{thread}");
        self.data.join(name)
    }
}

const LIST: &str = ".binlog.recovery";
const MARK: &str = ".recovery.mark";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_flag_and_marks_are_written_byte_for_byte() {
        let text = crate::tests::vector("recovery.flag");
        let flag = RecoveryFlag::parse(&text);
        assert_eq!(flag, RecoveryFlag { saved_status: 5, is_fetched: true, threads: 2 });
        assert_eq!(flag.to_text(), text);
        let data = tempfile::tempdir().unwrap();
        let recovery = PathRecovery::new(0, data.path());
        for (thread, offset) in [(0, 337), (1, 234)] {
            recovery.set_mark(thread, offset).unwrap();
            let written = fs::read_to_string(data.path().join(format!(".recovery.mark.{thread}"))).unwrap();
            assert_eq!(written, crate::tests::vector(&format!("recovery.mark.{thread}")));
            assert_eq!(recovery.mark(thread).unwrap(), offset);
        }
    }

    #[test]
    fn a_flag_that_was_damaged_begins_anew() {
        assert_eq!(RecoveryFlag::parse(""), RecoveryFlag::INTENT);
        assert_eq!(RecoveryFlag::parse("saved_storage_status=x\nfetch_binlog_done=\n"), RecoveryFlag::INTENT);
    }

    #[test]
    fn what_a_version_with_one_thread_left_is_taken_over_and_everything_goes_at_the_end() {
        let data = tempfile::tempdir().unwrap();
        let recovery = PathRecovery::new(0, data.path());
        fs::write(data.path().join(".binlog.recovery"), "list").unwrap();
        fs::write(data.path().join(".recovery.mark"), "binlog_offset=3\n").unwrap();
        recovery.set_flag(RecoveryFlag { saved_status: 7, is_fetched: true, threads: 1 }).unwrap();
        recovery.adopt_old_names().unwrap();
        assert_eq!(fs::read_to_string(recovery.list(0)).unwrap(), "list");
        assert_eq!(recovery.mark(0).unwrap(), 3);
        recovery.clear().unwrap();
        assert_eq!(recovery.flag().unwrap(), None);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }
}
