//! The reading end of the binlog: records from a position on, over the bounds of files.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use tracing::warn;

use super::{Position, Record, RecordError, file_path};

/// Reads the binlog of a storage, also while it is being written, and files that were compressed.
///
/// Link records without a name, which the original writes, are skipped and counted; any other line
/// that is not a record is handed out as an error with its place, so that the caller decides.
#[derive(Debug)]
pub struct BinlogReader {
    directory: PathBuf,
    file: Option<Source>,
    /// Place of the first byte of `buffer` that was not handed out.
    position: Position,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were handed out.
    consumed: usize,
    skipped: u64,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
enum Source {
    Plain(File),
    /// Read from the front; stands behind what is in the buffer.
    Compressed(Box<MultiGzDecoder<BufReader<File>>>),
}

/// One line of the binlog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it says.
    pub record: Result<Record, RecordError>,
    /// Where it begins.
    pub start: Position,
    /// Where the next one begins.
    pub end: Position,
}

impl BinlogReader {
    pub(crate) fn new(directory: &Path, position: Position) -> Self {
        Self {
            directory: directory.to_owned(),
            file: None,
            position,
            buffer: Vec::new(),
            consumed: 0,
            skipped: 0,
        }
    }

    /// The next line; `None` at the present end of the binlog. After `None` it may be called again.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            let start = self.position;
            let record = Record::parse(&self.buffer[self.consumed..self.consumed + line]);
            self.consume(line + 1);
            if record == Err(RecordError::LinkWithoutName) {
                self.skipped += 1;
                if self.skipped == 1 {
                    warn!(
                        index = start.index,
                        offset = start.offset,
                        "a link record without a name is skipped"
                    );
                }
                continue;
            }
            return Ok(Some(Entry { record, start, end: self.position }));
        }
    }

    /// Where the next line begins.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Link records without a name met so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Length of the first line of the buffer, without its LF.
    fn next_line(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let unread = &mut self.buffer[self.consumed..];
            if let Some(at) = unread[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(searched + at));
            }
            searched = unread.len();
            if searched > LONGEST_LINE {
                // No writer makes such a line; its beginning counts as a line of its own.
                unread[searched - 1] = b'\n';
                return Ok(Some(searched - 1));
            }
            if self.fill()? > 0 {
                continue;
            }
            // The next file is made after the last write to this one, so one more look is the last.
            if !is_there(&self.directory, self.position.index + 1) {
                return Ok(None);
            }
            if self.fill()? > 0 {
                continue;
            }
            if searched > 0 {
                warn!(
                    index = self.position.index,
                    offset = self.position.offset,
                    bytes = searched,
                    "a finished binlog file ends inside a record, which is skipped"
                );
            }
            self.buffer.clear();
            self.consumed = 0;
            self.file = None;
            self.position = Position { index: self.position.index + 1, offset: 0 };
            searched = 0;
        }
    }

    /// Reads more of the present file; how many bytes came.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..std::mem::take(&mut self.consumed));
        let filled = self.buffer.len();
        let offset = self.position.offset + filled as u64;
        let source = match &mut self.file {
            Some(source) => source,
            None => match Source::open(&self.directory, self.position.index, offset)? {
                Some(source) => self.file.insert(source),
                None => return Ok(0),
            },
        };
        self.buffer.resize(filled + BLOCK, 0);
        let read = match source {
            Source::Plain(file) => file.read_at(&mut self.buffer[filled..], offset),
            Source::Compressed(decoder) => decoder.read(&mut self.buffer[filled..]),
        };
        self.buffer.truncate(filled + read.as_ref().copied().unwrap_or(0));
        read
    }

    fn consume(&mut self, length: usize) {
        self.consumed += length;
        self.position.offset += length as u64;
    }
}

impl Source {
    /// Opens file number `index`, to be read from `offset` on; `None` where it is not there yet.
    fn open(directory: &Path, index: u32, offset: u64) -> io::Result<Option<Self>> {
        let path = file_path(directory, index);
        match File::open(&path) {
            Ok(file) => return Ok(Some(Self::Plain(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match File::open(path.with_added_extension("gz")) {
            Ok(file) => {
                let mut decoder = Box::new(MultiGzDecoder::new(BufReader::new(file)));
                io::copy(&mut decoder.as_mut().take(offset), &mut io::sink())?;
                Ok(Some(Self::Compressed(decoder)))
            }
            // Records must not be passed over because a file has gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_there(directory, index + 1) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is missing", path.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether there is a file of this number, compressed or not.
pub(crate) fn is_there(directory: &Path, index: u32) -> bool {
    let path = file_path(directory, index);
    path.exists() || path.with_added_extension("gz").exists()
}

const BLOCK: usize = 64 * 1024;
const LONGEST_LINE: usize = 4096;
