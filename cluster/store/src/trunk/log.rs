//! The trunk binlog on the disk: `data/trunk/binlog`, one line for every block that becomes free or is so no more.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::state_file;

/// The trunk binlog, of this storage or of the trunk server whose copy it is.
#[derive(Debug)]
pub(crate) struct TrunkLog {
    directory: PathBuf,
    checkpoint: PathBuf,
    file: Mutex<Option<Opened>>,
    /// Counts how often the log was begun anew.
    generation: AtomicU64,
}

/// The log, open to be written to.
#[derive(Debug)]
struct Opened {
    file: File,
    size: u64,
}

impl TrunkLog {
    /// The log below a `data` directory; nothing is made before it is needed.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            directory: data.join("trunk"),
            checkpoint: data.join("storage_trunk.dat"),
            file: Mutex::new(None),
            generation: AtomicU64::new(0),
        }
    }

    /// Adds lines. When this returns they outlive this process.
    pub(crate) fn append(&self, lines: &str, durable: bool) -> io::Result<()> {
        let mut file = self.file.lock();
        let opened = self.opened(&mut file)?;
        if let Err(error) = opened.file.write_all(lines.as_bytes()) {
            // A line that a failure has cut must not be glued to.
            let _ = opened.file.set_len(opened.size);
            return Err(error);
        }
        opened.size += lines.len() as u64;
        if durable { opened.file.sync_data() } else { Ok(()) }
    }

    /// Everything, as it counts: what an interrupted compression of the original has left is put together first.
    pub(crate) fn read(&self) -> io::Result<String> {
        self.finish_compression()?;
        Ok(state_file::read(&self.path())?.unwrap_or_default())
    }

    /// Bytes; none where there is no log.
    pub(crate) fn size(&self) -> io::Result<Option<u64>> {
        match fs::metadata(self.path()) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whole lines from an offset on, about as many bytes as `limit` or fewer.
    pub(crate) fn read_from(&self, offset: u64, limit: usize) -> io::Result<String> {
        let file = match File::open(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            file => file?,
        };
        let mut bytes = vec![0; limit];
        let mut length = 0;
        while length < limit {
            match file.read_at(&mut bytes[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let whole = bytes[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Empties the log; what it held is kept aside where backups are wanted, the oldest of more than that many goes.
    pub(crate) fn truncate(&self, backups: u32) -> io::Result<()> {
        let mut file = self.file.lock();
        *file = None;
        let path = self.path();
        if backups > 0 && path.exists() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            fs::rename(&path, self.directory.join(backup_name(now.map_or(0, |now| now.as_secs()))))?;
            let mut kept: Vec<PathBuf> = fs::read_dir(&self.directory)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| is_backup(path))
                .collect();
            kept.sort();
            for old in kept.iter().rev().skip(backups as usize) {
                fs::remove_file(old)?;
            }
        }
        self.generation.fetch_add(1, Ordering::Relaxed);
        let opened = self.opened(&mut file)?;
        opened.file.set_len(0)?;
        opened.size = 0;
        self.forget_checkpoint()
    }

    /// Puts a shorter log that says the same in the place of this one. Nobody may add lines meanwhile, which the caller
    /// sees to. Peers need all of it again.
    pub(crate) fn replace(&self, lines: &str) -> io::Result<()> {
        let mut file = self.file.lock();
        *file = None;
        fs::create_dir_all(&self.directory)?;
        self.generation.fetch_add(1, Ordering::Relaxed);
        state_file::replace(&self.path(), lines.as_bytes())?;
        self.forget_marks()?;
        self.forget_checkpoint()
    }

    /// How far a peer has the log; none where it has to get all of it.
    pub(crate) fn mark(&self, peer: &str) -> io::Result<Option<u64>> {
        let text = state_file::read(&self.mark_path(peer))?;
        Ok(text.and_then(|text| state_file::value_of(&text, "binlog_offset")))
    }

    /// Takes note of how far a peer has the log.
    ///
    /// Nothing is noted where the log was begun anew since it had this `generation`.
    pub(crate) fn set_mark(&self, peer: &str, offset: u64, generation: u64) -> io::Result<()> {
        let _file = self.file.lock();
        if self.generation() != generation {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        fs::write(self.mark_path(peer), format!("binlog_offset={offset}\n"))
    }

    /// How often the log was begun anew.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Forgets how far peers have the log.
    pub(crate) fn forget_marks(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "mark") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes the checkpoint of the original, which would not know of what is logged from now on. The log has everything.
    pub(crate) fn forget_checkpoint(&self) -> io::Result<()> {
        remove(&self.checkpoint)
    }

    fn path(&self) -> PathBuf {
        self.directory.join("binlog")
    }

    fn mark_path(&self, peer: &str) -> PathBuf {
        self.directory.join(format!("{peer}.mark"))
    }

    /// Opens the log to write to it, and cuts what follows its last line feed.
    fn opened<'a>(&self, file: &'a mut Option<Opened>) -> io::Result<&'a mut Opened> {
        if file.is_none() {
            fs::create_dir_all(&self.directory)?;
            let opened = File::options().append(true).read(true).create(true).open(self.path())?;
            let length = opened.metadata()?.len();
            let from = length.saturating_sub(LONGEST_LINE);
            let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
            opened.read_exact_at(&mut end, from)?;
            let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1);
            if whole < length {
                opened.set_len(whole)?;
            }
            *file = Some(Opened { file: opened, size: whole });
        }
        file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What the original has begun and not ended is undone: what was logged before and since are put together.
    fn finish_compression(&self) -> io::Result<()> {
        let aside = self.directory.join("binlog.rollback");
        let Some(before) = state_file::read(&aside)? else { return Ok(()) };
        let mut file = self.file.lock();
        *file = None;
        let since = state_file::read(&self.path())?.unwrap_or_default();
        state_file::replace(&self.path(), format!("{before}{since}").as_bytes())?;
        self.forget_marks()?;
        self.forget_checkpoint()?;
        remove(&self.checkpoint.with_file_name("storage_trunk.dat.rollback"))?;
        remove(&self.directory.join("binlog.tmp"))?;
        remove(&aside)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// `binlog.YYYYMMDDhhmmss`, in UTC.
fn backup_name(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the day that some have more is their last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
    format!("binlog.{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

fn is_backup(path: &Path) -> bool {
    let time = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("binlog."));
    time.is_some_and(|time| time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit()))
}

const LONGEST_LINE: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_before_the_next_is_written() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("trunk")).unwrap();
        fs::write(directory.path().join("trunk/binlog"), "1 A 0 0 0 1 0 256\n1 D 0 0").unwrap();
        let log = TrunkLog::new(directory.path());
        log.append("2 D 0 0 0 1 0 256\n", true).unwrap();
        assert_eq!(log.read().unwrap(), "1 A 0 0 0 1 0 256\n2 D 0 0 0 1 0 256\n");
        assert_eq!(log.read_from(0, 20).unwrap(), "1 A 0 0 0 1 0 256\n");
        assert_eq!(log.read_from(18, 4096).unwrap(), "2 D 0 0 0 1 0 256\n");
    }

    #[test]
    fn an_emptied_log_is_kept_aside_as_often_as_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let log = TrunkLog::new(directory.path());
        fs::write(directory.path().join("storage_trunk.dat"), "0\n").unwrap();
        log.append("1 A 0 0 0 1 0 256\n", false).unwrap();
        fs::write(directory.path().join("trunk/binlog.20200101000000"), "").unwrap();
        log.truncate(1).unwrap();
        assert_eq!(log.size().unwrap(), Some(0));
        assert!(!directory.path().join("trunk/binlog.20200101000000").exists());
        assert!(!directory.path().join("storage_trunk.dat").exists());
        assert_eq!(backup_name(1_795_324_899), "binlog.20261122052139");
    }

    #[test]
    fn a_compression_that_the_original_did_not_end_is_undone() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("trunk")).unwrap();
        fs::write(directory.path().join("trunk/binlog.rollback"), "1 A 0 0 0 1 0 256\n").unwrap();
        fs::write(directory.path().join("trunk/binlog"), "2 D 0 0 0 1 0 256\n").unwrap();
        let log = TrunkLog::new(directory.path());
        log.set_mark("127.0.0.3_23000", 7, 0).unwrap();
        assert_eq!(log.mark("127.0.0.3_23000").unwrap(), Some(7));
        assert_eq!(log.read().unwrap(), "1 A 0 0 0 1 0 256\n2 D 0 0 0 1 0 256\n");
        assert_eq!(log.mark("127.0.0.3_23000").unwrap(), None);
        assert!(!directory.path().join("trunk/binlog.rollback").exists());
    }
}
