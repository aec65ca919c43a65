//! One log file: buffered, rotated, compressed and thrown away as configured.
//!
//! ```text
//! storaged.log                     written
//! storaged.log.20261121            the day that ended (daily rotation)
//! storaged.log.20261122_101502     the moment (by size, or by SIGHUP)
//! storaged.log.20261101.gz         compressed later
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fdfs_conf::{LogSettings, TimeOfDay};
use jiff::civil::{DateTime, time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use parking_lot::Mutex;

use crate::line_clock::LineClock;
use crate::maintenance;
use retention::Retention;

pub(crate) mod retention;

/// One log file. It is flushed when dropped; rotation by time and retention happen in the background.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    settings: LogSettings,
    /// Each line is written at once.
    immediate: bool,
    /// The first line of a file, behind the time.
    header: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes in the file.
    size: u64,
    buffer: Vec<u8>,
    clock: LineClock,
    zone: TimeZone,
    flushed: Timestamp,
    rotate_next: Option<Timestamp>,
    /// When old files are looked at; at once when it is new.
    retain_next: Timestamp,
}

impl LogFile {
    /// Opens the file at `path` for appending; its directory is made if there is none.
    ///
    /// Lines wait in memory for at most [`LogSettings::flush_interval`], or not at all if `immediate`.
    ///
    /// # Errors
    ///
    /// The directory or file cannot be made or opened.
    pub fn open(path: &Path, settings: &LogSettings, immediate: bool) -> io::Result<Arc<Self>> {
        let file = Self::open_at(path, settings, immediate, None, TimeZone::system())?;
        maintenance::watch(&file);
        Ok(file)
    }

    /// As [`Self::open`], with a first line in each new file.
    pub(crate) fn open_with_header(
        path: &Path,
        settings: &LogSettings,
        header: &'static str,
    ) -> io::Result<Arc<Self>> {
        let file = Self::open_at(path, settings, false, Some(header), TimeZone::system())?;
        maintenance::watch(&file);
        Ok(file)
    }

    pub(crate) fn open_at(
        path: &Path,
        settings: &LogSettings,
        immediate: bool,
        header: Option<&'static str>,
        zone: TimeZone,
    ) -> io::Result<Arc<Self>> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = append_to(path)?;
        let metadata = file.metadata()?;
        // Lines of an earlier day wait for their rotation.
        let begun = match metadata.len() {
            0 => Timestamp::now(),
            _ => metadata.modified()?.try_into().unwrap_or_else(|_| Timestamp::now()),
        };
        let state = State {
            file,
            size: metadata.len(),
            buffer: Vec::new(),
            clock: LineClock::new(zone.clone()),
            flushed: Timestamp::MIN,
            rotate_next: settings.rotate_at.map(|at| next(at, begun, &zone)),
            retain_next: Timestamp::MIN,
            zone,
        };
        Ok(Arc::new(Self {
            path: path.to_owned(),
            settings: settings.clone(),
            immediate: immediate || settings.flush_interval.is_zero(),
            header,
            state: Mutex::new(state),
        }))
    }

    /// Adds what `line` writes, given the local time of `at` as text.
    pub fn append(&self, at: Timestamp, line: impl FnOnce(&str, &mut Vec<u8>)) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let stamp = state.clock.text(at);
        if let Some(header) = self.header
            && state.size == 0
            && state.buffer.is_empty()
        {
            state.buffer.extend_from_slice(format!("[{stamp}{header}\n").as_bytes());
        }
        line(stamp, &mut state.buffer);
        if self.immediate || state.buffer.len() >= BUFFER_LEN {
            state.flush(at);
        }
        let length = state.size + state.buffer.len() as u64;
        if self.settings.rotate_on_size.is_some_and(|most| length > most) {
            state.flush(at);
            self.rotate_now(state, at);
        }
    }

    /// Writes what waits in memory.
    pub fn flush(&self) {
        self.state.lock().flush(Timestamp::now());
    }

    /// Starts a new file. One that somebody moved away is only left behind.
    pub fn rotate(&self) {
        let now = Timestamp::now();
        let mut state = self.state.lock();
        state.flush(now);
        if state.is_still_at(&self.path) {
            self.rotate_now(&mut state, now);
        } else {
            state.reopen(&self.path);
        }
    }

    /// Does what is due. What takes long is returned, to be run without haste.
    pub(crate) fn tick(&self, now: Timestamp) -> Option<Retention> {
        let mut state = self.state.lock();
        let waited = now.duration_since(state.flushed);
        if !state.buffer.is_empty() && waited >= signed(self.settings.flush_interval) {
            state.flush(now);
        }
        if let (Some(at), Some(due)) = (self.settings.rotate_at, state.rotate_next)
            && now >= due
        {
            state.flush(now);
            let day = state.clock.civil(due).saturating_sub(Span::new().days(1));
            let names = [day.strftime("%Y%m%d").to_string(), moment(state.clock.civil(now))];
            state.rename(&self.path, &names);
            state.rotate_next = Some(next(at, now, &state.zone));
        }
        if now < state.retain_next {
            return None;
        }
        state.retain_next = next(self.settings.delete_at, now, &state.zone);
        let today = state.clock.civil(now).date();
        Some(Retention { path: self.path.clone(), settings: self.settings.clone(), today })
    }

    fn rotate_now(&self, state: &mut State, now: Timestamp) {
        let name = moment(state.clock.civil(now));
        state.rename(&self.path, &[name]);
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.state.get_mut().flush(Timestamp::now());
    }
}

impl State {
    /// Writes the buffer. Lines that the disk does not take are lost and counted: a log must not stop its daemon.
    fn flush(&mut self, now: Timestamp) {
        self.flushed = now;
        if self.buffer.is_empty() {
            return;
        }
        match self.file.write_all(&self.buffer) {
            Ok(()) => self.size += self.buffer.len() as u64,
            Err(_) => metrics::counter!("fdfs_log_write_errors_total").increment(1),
        }
        self.buffer.clear();
    }

    /// Moves the file to the first free of these names, and starts a new one.
    fn rename(&mut self, path: &Path, suffixes: &[String]) {
        if self.size == 0 {
            return;
        }
        let mut names = suffixes.iter().map(|suffix| with_suffix(path, suffix));
        let Some(name) = names.find(|name| !name.exists()) else { return };
        match fs::rename(path, name) {
            Ok(()) => self.reopen(path),
            Err(_) => metrics::counter!("fdfs_log_write_errors_total").increment(1),
        }
    }

    /// Starts a new file; the old one is written on if that fails.
    fn reopen(&mut self, path: &Path) {
        match append_to(path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((size, file)) => (self.size, self.file) = (size, file),
            Err(_) => metrics::counter!("fdfs_log_write_errors_total").increment(1),
        }
    }

    fn is_still_at(&self, path: &Path) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(mine), Ok(there)) => identity(mine) == identity(there),
            _ => false,
        }
    }
}

/// The next moment with this time of day.
fn next(at: TimeOfDay, after: Timestamp, zone: &TimeZone) -> Timestamp {
    let local = zone.to_datetime(after);
    let [hour, minute, second] =
        [at.hour(), at.minute(), at.second()].map(|part| i8::try_from(part).unwrap_or(0));
    let today = local.date().to_datetime(time(hour, minute, second, 0));
    let due = if today > local { today } else { today.saturating_add(Span::new().days(1)) };
    zone.to_timestamp(due).unwrap_or(Timestamp::MAX)
}

fn moment(local: DateTime) -> String {
    local.strftime("%Y%m%d_%H%M%S").to_string()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    duration.try_into().unwrap_or(jiff::SignedDuration::MAX)
}

/// Most bytes that wait in memory.
const BUFFER_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests;
