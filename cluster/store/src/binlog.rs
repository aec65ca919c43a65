//! The binlog: one line for every change, in the file before the client is answered.
//!
//! Threads put their lines into a queue and then ask for the file; the one that gets it writes the
//! whole queue with one `write`, and the others find their lines written. What could not be written
//! stays in the queue: nothing is lost or written twice, and [`Binlog::check`] refuses further changes
//! until a write succeeds.

mod compress;
mod index;
mod reader;
mod record;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use fdfs_types::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{error, info, warn};

pub use self::{
    index::BinlogIndex,
    reader::{BinlogReader, Entry},
    record::{Change, Origin, Record, RecordError},
};
use crate::{OpenError, StoreError, state_file};

/// A place in the binlog: a file and a byte in it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Number of the file, `binlog.NNN`.
    pub index: u32,
    /// Byte in the file.
    pub offset: u64,
}

/// The writing end of the binlog.
#[derive(Debug)]
pub struct Binlog {
    directory: PathBuf,
    rotate_at: u64,
    queue: Mutex<Queue>,
    current: Mutex<Current>,
    end: AtomicU64,
    /// Moves after every write, so that readers need not look.
    written: watch::Sender<Position>,
    last_written: Timestamp,
    failed: AtomicBool,
}

/// Lines that no thread has begun to write.
#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    /// How many times lines were added.
    added: u64,
}

/// The file being written, and what of the queue is on its way into it.
#[derive(Debug)]
struct Current {
    file: Arc<File>,
    index: BinlogIndex,
    size: u64,
    /// Taken from the queue, not written yet; begins in the middle of a line after a short write.
    unwritten: Vec<u8>,
    /// Value of [`Queue::added`] when the queue was taken last.
    taken: u64,
    /// Everything added up to here is in the file.
    written: u64,
    /// Everything added up to here is on the disk.
    synced: u64,
}

impl Binlog {
    /// Size at which the original begins the next file.
    pub const ROTATE_AT: u64 = 1 << 30;

    /// Opens the binlog in `directory` (`<base>/data/sync`) for writing behind its last whole line.
    pub fn open(directory: &Path, rotate_at: u64) -> Result<Self, OpenError> {
        let index = BinlogIndex::load(directory).map_err(OpenError::doing("reading", directory))?;
        let path = file_path(directory, index.current_write);
        let last_written = last_written(directory, index.current_write);
        let mut file = open_file(&path).map_err(OpenError::doing("opening", &path))?;
        let size = cut_torn_line(&mut file, &path).map_err(OpenError::doing("recovering", &path))?;
        index.save(directory).map_err(OpenError::doing("writing", directory))?;
        state_file::sync_parent(&path).map_err(OpenError::doing("syncing", directory))?;
        let end = Position { index: index.current_write, offset: size };
        Ok(Self {
            directory: directory.to_owned(),
            rotate_at,
            queue: Mutex::default(),
            end: AtomicU64::new(end.pack()),
            written: watch::Sender::new(end),
            last_written,
            failed: AtomicBool::new(false),
            current: Mutex::new(Current {
                file: Arc::new(file),
                index,
                size,
                unwritten: Vec::new(),
                taken: 0,
                written: 0,
                synced: 0,
            }),
        })
    }

    /// Writes whole lines; when this returns they are in the file, with `durable` on the disk.
    ///
    /// On an error the lines are kept and will be written before any later ones.
    pub fn append(&self, lines: &str, durable: bool) -> Result<(), StoreError> {
        debug_assert!(lines.ends_with('\n'), "lines end in LF");
        let ticket = {
            let mut queue = self.queue.lock();
            queue.lines.extend_from_slice(lines.as_bytes());
            queue.added += 1;
            queue.added
        };
        let mut current = self.current.lock();
        if current.written < ticket {
            self.write_queue(&mut current)?;
        }
        if durable && current.synced < ticket {
            let written = current.written;
            current.file.sync_data().map_err(|error| self.fail(error))?;
            current.synced = written;
        }
        Ok(())
    }

    /// Puts on the disk what is in the file.
    pub fn sync(&self) -> Result<(), StoreError> {
        let (file, written) = {
            let current = self.current.lock();
            if current.synced >= current.written {
                return Ok(());
            }
            (Arc::clone(&current.file), current.written)
        };
        file.sync_data().map_err(|error| self.fail(error))?;
        let mut current = self.current.lock();
        current.synced = current.synced.max(written);
        Ok(())
    }

    /// Whether the binlog takes lines: after a failed write it tries again what was kept.
    pub fn check(&self) -> Result<(), StoreError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.write_queue(&mut self.current.lock())
    }

    /// The end of what is written.
    pub fn end(&self) -> Position {
        Position::unpack(self.end.load(Ordering::Acquire))
    }

    /// Shows the end of what is written, and every time that it has moved.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.written.subscribe()
    }

    /// Bytes of records from `position` to the end; a compressed file in between counts as a full one.
    pub fn bytes_behind(&self, position: Position) -> u64 {
        let end = self.end();
        let size = |index| {
            fs::metadata(file_path(&self.directory, index)).map_or(self.rotate_at, |metadata| metadata.len())
        };
        let files: u64 = (position.index..end.index).map(size).sum();
        (files + end.offset).saturating_sub(position.offset)
    }

    /// Reads records from `position` on.
    pub fn reader(&self, position: Position) -> BinlogReader {
        BinlogReader::new(&self.directory, position)
    }

    /// Where the first file begins that is there.
    pub(crate) fn first(&self) -> Position {
        let end = self.end();
        let index = (0..end.index).find(|index| reader::is_there(&self.directory, *index));
        Position { index: index.unwrap_or(end.index), offset: 0 }
    }

    /// Where the last two files begin that are there, to look up what was recorded of late.
    pub(crate) fn recent(&self) -> Position {
        let end = self.end();
        let before = end.index.checked_sub(1).filter(|index| reader::is_there(&self.directory, *index));
        Position { index: before.unwrap_or(end.index), offset: 0 }
    }

    /// When a record was written last before the binlog was opened.
    pub(crate) fn last_written(&self) -> Timestamp {
        self.last_written
    }

    fn write_queue(&self, current: &mut Current) -> Result<(), StoreError> {
        {
            let mut queue = self.queue.lock();
            if current.unwritten.is_empty() {
                std::mem::swap(&mut current.unwritten, &mut queue.lines);
            } else {
                current.unwritten.append(&mut queue.lines);
            }
            current.taken = queue.added;
        }
        while !current.unwritten.is_empty() {
            match (&*current.file).write(&current.unwritten) {
                Ok(0) => return Err(self.fail(io::ErrorKind::WriteZero.into())),
                Ok(length) => {
                    if length == current.unwritten.len() {
                        current.unwritten.clear();
                    } else {
                        current.unwritten.drain(..length);
                    }
                    current.size += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        current.written = current.taken;
        if self.failed.swap(false, Ordering::Relaxed) {
            info!(directory = %self.directory.display(), "the binlog is written again");
        }
        if current.size >= self.rotate_at {
            // The lines are safe; a next file that cannot be made now is made after the next write.
            if let Err(error) = self.rotate(current) {
                warn!(directory = %self.directory.display(), %error, "the next binlog file cannot be made");
            }
        }
        let end = Position { index: current.index.current_write, offset: current.size };
        self.end.store(end.pack(), Ordering::Release);
        self.written.send_replace(end);
        Ok(())
    }

    fn rotate(&self, current: &mut Current) -> io::Result<()> {
        current.file.sync_data()?;
        current.synced = current.written;
        let next = BinlogIndex { current_write: current.index.current_write + 1, ..current.index };
        let path = file_path(&self.directory, next.current_write);
        let file = open_file(&path)?;
        file.set_len(0)?;
        next.save(&self.directory)?;
        current.index = next;
        current.file = Arc::new(file);
        current.size = 0;
        Ok(())
    }

    fn fail(&self, error: io::Error) -> StoreError {
        if !self.failed.swap(true, Ordering::Relaxed) {
            error!(directory = %self.directory.display(), %error, "the binlog cannot be written, changes are refused");
        }
        StoreError::Binlog { source: Arc::new(error) }
    }
}

impl Position {
    const OFFSET_BITS: u32 = 44;

    fn pack(self) -> u64 {
        u64::from(self.index) << Self::OFFSET_BITS | self.offset
    }

    fn unpack(packed: u64) -> Self {
        // An index has at most 20 bits here: far more files than three digits name.
        Self { index: (packed >> Self::OFFSET_BITS) as u32, offset: packed & ((1 << Self::OFFSET_BITS) - 1) }
    }
}

/// The path of file number `index`.
pub(crate) fn file_path(directory: &Path, index: u32) -> PathBuf {
    directory.join(format!("binlog.{index:03}"))
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o644).open(path)
}

/// When the last file that has content was written; the beginning of time where there is none.
fn last_written(directory: &Path, index: u32) -> Timestamp {
    let written = |index| {
        let metadata = fs::metadata(file_path(directory, index)).ok().filter(|metadata| metadata.len() > 0);
        metadata.and_then(|metadata| metadata.modified().ok()).map(Timestamp::from)
    };
    written(index).or_else(|| index.checked_sub(1).and_then(written)).unwrap_or_default()
}

/// Cuts the file behind its last LF and returns its size.
fn cut_torn_line(file: &mut File, path: &Path) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut whole = size;
    let mut block = vec![0; BLOCK];
    while whole > 0 {
        let start = whole.saturating_sub(BLOCK as u64);
        let block = &mut block[..(whole - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        match block.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => {
                whole = start + at as u64 + 1;
                break;
            }
            None => whole = start,
        }
    }
    if whole < size {
        warn!(path = %path.display(), bytes = size - whole, "a torn last record is cut off the binlog");
        file.set_len(whole)?;
        file.sync_data()?;
    }
    Ok(whole)
}

const BLOCK: usize = 4096;

#[cfg(test)]
mod tests;
