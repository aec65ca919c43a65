//! `storage_access.log`: one line for every request of a client.
//!
//! ```text
//! [2026-11-22 05:16:27.015603] 127.0.0.1 upload M00/00/00/fwAAAmsCe-OAPc48AAERcOx3KG8139.bin 0 812 70041 70
//! ```

use std::{
    fs::File,
    io::{self, Write as _},
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use fdfs_conf::{AccessLogSettings, TimePrecision};
use fdfs_proto::Status;
use jiff::{Timestamp, tz::TimeZone};
use parking_lot::Mutex;
use tracing::warn;

/// The access log of a storage.
#[derive(Debug)]
pub(crate) struct AccessLog {
    path: PathBuf,
    settings: AccessLogSettings,
    zone: TimeZone,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Lines that are not in the file yet.
    pending: Vec<u8>,
    /// The second that `date` is the text of.
    second: i64,
    date: String,
}

/// What a line says.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) action: &'static str,
    pub(crate) filename: &'a str,
    pub(crate) status: Status,
    pub(crate) elapsed: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl AccessLog {
    /// Opens the log below `base_path`.
    pub(crate) fn open(base_path: &Path, settings: &AccessLogSettings) -> io::Result<Self> {
        let directory = base_path.join("logs");
        std::fs::create_dir_all(&directory)?;
        let path = directory.join("storage_access.log");
        let file = open(&path, settings.precision)?;
        let open = Open { file, pending: Vec::new(), second: i64::MIN, date: String::new() };
        Ok(Self { path, settings: settings.clone(), zone: TimeZone::system(), open: Mutex::new(open) })
    }

    /// Adds a line, at the latest in the file when the flush interval has passed.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let started = SystemTime::now().checked_sub(entry.elapsed).unwrap_or(SystemTime::UNIX_EPOCH);
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut open = self.open.lock();
        open.line(&self.zone, self.settings.precision, since, entry);
        if self.settings.file.flush_interval.is_zero() || open.pending.len() >= FLUSH_AT {
            open.flush();
        }
    }

    /// Writes what waits.
    pub(crate) fn flush(&self) {
        self.open.lock().flush();
    }

    /// Longest time that a line may wait.
    pub(crate) fn flush_interval(&self) -> Duration {
        self.settings.file.flush_interval
    }

    /// Goes on in a new file of the same name: somebody has moved the old one.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path, self.settings.precision)?;
        let mut open = self.open.lock();
        open.flush();
        open.file = file;
        Ok(())
    }
}

impl Open {
    fn line(&mut self, zone: &TimeZone, precision: TimePrecision, since: Duration, entry: &Entry<'_>) {
        let second = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        if second != self.second {
            self.second = second;
            let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            self.date = at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        }
        let Self { pending, date, .. } = self;
        let Entry { peer, action, filename, status, elapsed, received, sent } = entry;
        // Writing to a vector does not fail.
        let _ = match precision {
            TimePrecision::Millis => write!(pending, "[{date}.{:03}]", since.subsec_millis()),
            TimePrecision::Micros => write!(pending, "[{date}.{:06}]", since.subsec_micros()),
        };
        let used = match precision {
            TimePrecision::Millis => elapsed.as_millis(),
            TimePrecision::Micros => elapsed.as_micros(),
        };
        let _ = writeln!(pending, " {peer} {action} {filename} {} {used} {received} {sent}", status.0);
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            warn!(%error, "lines of the access log are lost");
        }
        self.pending.clear();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Opens the file; a new one begins with the names of the columns.
fn open(path: &Path, precision: TimePrecision) -> io::Result<File> {
    let mut file = File::options().append(true).create(true).open(path)?;
    if file.metadata()?.len() == 0 {
        let unit = match precision {
            TimePrecision::Millis => "ms",
            TimePrecision::Micros => "us",
        };
        let now = Timestamp::now().to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        writeln!(file, "[{now}.000] client_ip action filename status time_used_{unit} req_len resp_len")?;
    }
    Ok(file)
}

const FLUSH_AT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use fdfs_conf::LogSettings;

    use super::*;

    #[test]
    fn a_line_has_the_columns_of_the_original_and_a_padded_fraction() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = AccessLogSettings { precision: TimePrecision::Micros, file: LogSettings::default() };
        let log = AccessLog::open(directory.path(), &settings).expect("log");
        let entry = Entry {
            peer: [127, 0, 0, 1].into(),
            action: "upload",
            filename: "M00/00/00/name.txt",
            status: Status::ENOSPC,
            elapsed: Duration::from_micros(812),
            received: 70_041,
            sent: 10,
        };
        let mut open = log.open.lock();
        open.line(&TimeZone::UTC, TimePrecision::Micros, Duration::new(1_795_324_899, 15_603_999), &entry);
        let text = String::from_utf8(std::mem::take(&mut open.pending)).expect("text");
        let line = "[2026-11-22 05:21:39.015603] 127.0.0.1 upload M00/00/00/name.txt 28 812 70041 10\n";
        assert_eq!(text, line);
    }

    #[test]
    fn lines_reach_the_file_when_flushed_and_the_head_stands_once() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = AccessLogSettings::default();
        for round in 1..=2 {
            let log = AccessLog::open(directory.path(), &settings).expect("log");
            log.write(&Entry {
                peer: [127, 0, 0, 1].into(),
                action: "delete",
                filename: "-",
                status: Status::EINVAL,
                elapsed: Duration::ZERO,
                received: 10,
                sent: 10,
            });
            log.flush();
            let text =
                std::fs::read_to_string(directory.path().join("logs/storage_access.log")).expect("text");
            assert_eq!(text.lines().count(), 1 + round);
            assert!(text.lines().next().is_some_and(|head| head.ends_with("time_used_ms req_len resp_len")));
            assert!(text.lines().skip(1).all(|line| line.ends_with(" 127.0.0.1 delete - 22 0 10 10")));
        }
    }
}
