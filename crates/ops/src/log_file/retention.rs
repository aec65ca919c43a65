//! Old log files: compressed, then deleted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fdfs_conf::LogSettings;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use tracing::warn;

/// The old files of one log, to be looked through on a certain day.
#[derive(Debug)]
pub(crate) struct Retention {
    /// The log itself.
    pub(crate) path: PathBuf,
    pub(crate) settings: LogSettings,
    pub(crate) today: Date,
}

impl Retention {
    /// Deletes and compresses what is old enough. Files whose names a rotation does not make stay.
    pub(crate) fn run(&self) {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return;
        };
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let (Some(name), Some(file_name)) = (name.to_str(), file_name.to_str()) else { continue };
            let Some(suffix) = file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            if let Some((day, compressed)) = rotated_on(suffix) {
                self.keep(&entry.path(), day, compressed);
            }
        }
    }

    fn keep(&self, path: &Path, day: Date, compressed: bool) {
        let age = u32::try_from((self.today - day).get_days()).unwrap_or(0);
        let done = if self.settings.keep_days.is_some_and(|most| age > most) {
            fs::remove_file(path)
        } else if !compressed && self.settings.compress_after_days.is_some_and(|most| age >= most) {
            compress(path)
        } else {
            Ok(())
        };
        if let Err(error) = done {
            warn!(file = %path.display(), %error, "old log file not handled");
        }
    }
}

/// The day of `YYYYMMDD`, `YYYYMMDD_HHMMSS`, and whether `.gz` follows.
fn rotated_on(suffix: &str) -> Option<(Date, bool)> {
    let (suffix, compressed) = match suffix.strip_suffix(".gz") {
        Some(suffix) => (suffix, true),
        None => (suffix, false),
    };
    let (day, moment) = suffix.split_once('_').unwrap_or((suffix, "000000"));
    let plain = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(day, 8) || !plain(moment, 6) {
        return None;
    }
    let (year, month, day) = (day[..4].parse().ok()?, day[4..6].parse().ok()?, day[6..].parse().ok()?);
    Some((Date::new(year, month, day).ok()?, compressed))
}

/// Replaces a file by its compressed form; a crash leaves the file or both.
fn compress(path: &Path) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".gz.partial");
    let partial = PathBuf::from(partial);
    let mut encoder = GzEncoder::new(File::create(&partial)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&partial, partial.with_extension(""))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use jiff::civil::date;

    use super::*;

    #[test]
    fn old_files_are_compressed_then_deleted_and_others_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for name in [
            "d.log",
            "d.log.20261121",
            "d.log.20261120_101112",
            "d.log.20261112.gz",
            "d.log.20261111.gz",
            "d.log.20261101",
            "d.log.20261301",
            "d.log.old",
            "e.log.20200101",
        ] {
            fs::write(at(name), name).expect("a file");
        }
        let settings =
            LogSettings { compress_after_days: Some(2), keep_days: Some(10), ..LogSettings::default() };
        Retention { path: at("d.log"), settings, today: date(2026, 11, 22) }.run();

        let mut names: Vec<_> = fs::read_dir(directory.path())
            .expect("a list")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "d.log",
                "d.log.20261112.gz",
                "d.log.20261120_101112.gz",
                "d.log.20261121",
                "d.log.20261301",
                "d.log.old",
                "e.log.20200101",
            ]
        );
        let mut text = String::new();
        let file = File::open(at("d.log.20261120_101112.gz")).expect("a file");
        GzDecoder::new(file).read_to_string(&mut text).expect("compressed text");
        assert_eq!(text, "d.log.20261120_101112");
    }
}
