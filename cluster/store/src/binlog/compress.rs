//! Compressing files of the binlog that are finished and that every peer has read.
//!
//! ```text
//! binlog.NNN ─► .binlog.NNN.flag, binlog.NNN.gz.tmp ─► binlog.NNN.gz ─► binlog.NNN and flag away
//! ```
//!
//! The flag file is the original's: it says "somebody is at it" for an hour. Whatever moment a crash chooses, one whole
//! copy is there, and the next run takes up where this one ended.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::Path,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use tracing::{info, warn};

use super::{Binlog, BinlogIndex, file_path};
use crate::state_file;

impl Binlog {
    /// Compresses finished files up to, and without, number `before`; how many.
    ///
    /// Takes its time, and holds up nobody who writes or reads.
    pub fn compress(&self, before: u32) -> io::Result<u32> {
        let mut compressed = 0;
        loop {
            let BinlogIndex { current_write, current_compress } = self.current.lock().index;
            if current_compress >= before.min(current_write) {
                return Ok(compressed);
            }
            let path = file_path(&self.directory, current_compress);
            let flag = self.directory.join(format!(".binlog.{current_compress:03}.flag"));
            if is_under_way(&flag)? {
                return Ok(compressed);
            }
            match compress_file(&path, &flag) {
                Ok((from, to)) => {
                    compressed += 1;
                    info!(path = %path.display(), from, to, "binlog file compressed");
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    warn!(path = %path.display(), %error, "binlog file cannot be compressed");
                    return Err(error);
                }
            }
            let mut current = self.current.lock();
            let index = BinlogIndex { current_compress: current_compress + 1, ..current.index };
            index.save(&self.directory)?;
            current.index = index;
        }
    }
}

/// Puts `path` into `path.gz`; the sizes before and after.
fn compress_file(path: &Path, flag: &Path) -> io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let from = file.metadata()?.len();
    fs::write(flag, "zip")?;
    let (temporary, finished) = (path.with_added_extension("gz.tmp"), path.with_added_extension("gz"));
    let written = (|| {
        let mut encoder = GzEncoder::new(File::create(&temporary)?, Compression::default());
        io::copy(&mut BufReader::with_capacity(BLOCK, file), &mut encoder)?;
        let mut file = encoder.finish()?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(&temporary, &finished)?;
        state_file::sync_parent(&finished)?;
        fs::remove_file(path)?;
        Ok((from, file.metadata()?.len()))
    })();
    if written.is_err() {
        // What cannot be removed now is overwritten by the next try.
        let _ = fs::remove_file(&temporary);
    }
    fs::remove_file(flag)?;
    written
}

/// Whether another program, or a run that was killed, has begun less than an hour ago.
fn is_under_way(flag: &Path) -> io::Result<bool> {
    match fs::metadata(flag) {
        Ok(metadata) => Ok(metadata.modified()?.elapsed().is_ok_and(|age| age < FLAG_COUNTS)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

const FLAG_COUNTS: Duration = Duration::from_secs(3600);
const BLOCK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Position, Record};

    fn filled(directory: &Path) -> Binlog {
        let binlog = Binlog::open(directory, 40).unwrap();
        for number in 0..7 {
            let record = Record::source(number, Change::Create { name: "M00/00/00/abc".into() });
            binlog.append(&format!("{record}\n"), false).unwrap();
        }
        binlog
    }

    fn times(binlog: &Binlog, position: Position) -> Vec<i64> {
        let mut reader = binlog.reader(position);
        let next = move || reader.next_entry().unwrap().map(|entry| entry.record.unwrap().timestamp);
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn finished_files_are_compressed_and_read_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = filled(directory.path());
        let mut under_way = binlog.reader(Position::default());
        assert!(under_way.next_entry().unwrap().is_some());
        assert_eq!(binlog.compress(1).unwrap(), 1);
        assert_eq!(binlog.compress(u32::MAX).unwrap(), 1);
        assert_eq!(binlog.compress(u32::MAX).unwrap(), 0);
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["binlog.000.gz", "binlog.001.gz", "binlog.002", "binlog_index.dat"]);
        assert_eq!(
            fs::read_to_string(directory.path().join("binlog_index.dat")).unwrap(),
            "current_write=2\ncurrent_compress=2\n"
        );
        assert_eq!(times(&binlog, Position::default()), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(times(&binlog, Position { index: 1, offset: 18 }), [4, 5, 6]);
        let mut rest = 0;
        while under_way.next_entry().unwrap().is_some() {
            rest += 1;
        }
        assert_eq!(rest, 6);
        drop(binlog);
        assert_eq!(Binlog::open(directory.path(), 40).unwrap().end(), Position { index: 2, offset: 18 });
    }

    #[test]
    fn a_file_that_somebody_else_compresses_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = filled(directory.path());
        let flag = directory.path().join(".binlog.000.flag");
        fs::write(&flag, "zip").unwrap();
        assert_eq!(binlog.compress(u32::MAX).unwrap(), 0);
        let long_ago = std::time::SystemTime::now() - FLAG_COUNTS * 2;
        File::options().write(true).open(&flag).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(binlog.compress(u32::MAX).unwrap(), 2);
        assert!(!flag.exists());
    }

    #[test]
    fn what_a_crash_left_is_done_again() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = filled(directory.path());
        fs::write(directory.path().join("binlog.000.gz"), "half").unwrap();
        fs::write(directory.path().join("binlog.001.gz.tmp"), "half").unwrap();
        assert_eq!(times(&binlog, Position::default()), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(binlog.compress(u32::MAX).unwrap(), 2);
        assert_eq!(times(&binlog, Position::default()), [0, 1, 2, 3, 4, 5, 6]);
    }
}
