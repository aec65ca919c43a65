//! The lists of a recovery: gathered from the members, dealt to threads, worked off line by line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _},
};

use fdfs_store::{Change, PathRecovery, Record, RecoveryFlag};

/// Lines to be worked off, written as they are gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    file: BufWriter<File>,
}

impl Gathering {
    /// Begins anew.
    pub(super) fn begin(recovery: &PathRecovery) -> io::Result<Self> {
        recovery.clear_work()?;
        Ok(Self { file: BufWriter::new(File::create(recovery.gathered())?) })
    }

    /// Adds a line.
    pub(super) fn add(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.file, "{record}")
    }

    /// Deals the lines to `threads` lists, those about one file to the same, and notes that all are there.
    pub(super) fn deal(
        self,
        recovery: &PathRecovery,
        flag: RecoveryFlag,
        threads: usize,
    ) -> io::Result<RecoveryFlag> {
        drop(self.file.into_inner().map_err(io::IntoInnerError::into_error)?);
        let mut lists = (0..threads)
            .map(|thread| Ok(BufWriter::new(File::create(recovery.list(thread))?)))
            .collect::<io::Result<Vec<_>>>()?;
        for line in BufReader::new(File::open(recovery.gathered())?).lines() {
            let line = line?;
            let Ok(record) = Record::parse(line.as_bytes()) else { continue };
            let thread = time33(told_of(&record.change)) as usize % threads;
            writeln!(lists[thread], "{line}")?;
        }
        for list in lists {
            list.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        let flag = RecoveryFlag { is_fetched: true, threads: i32::try_from(threads).unwrap_or(1), ..flag };
        recovery.set_flag(flag)?;
        std::fs::remove_file(recovery.gathered())?;
        Ok(flag)
    }
}

/// The list of one thread, from the place on where it was left.
#[derive(Debug)]
pub(super) struct WorkList {
    reader: BufReader<File>,
    /// Bytes that were handed out.
    pub(super) offset: u64,
}

impl WorkList {
    /// Opens the list of `thread`; `None` where there is none.
    pub(super) fn open(recovery: &PathRecovery, thread: usize) -> io::Result<Option<Self>> {
        let mut file = match File::open(recovery.list(thread)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let offset = recovery.mark(thread)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some(Self { reader: BufReader::new(file), offset }))
    }

    /// The next line that is a record.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = self.reader.read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(None);
            }
            self.offset += length as u64;
            if let Ok(record) = Record::parse(line.strip_suffix(b"\n").unwrap_or(&line)) {
                return Ok(Some(record));
            }
        }
    }

    /// How many lines are left, without moving.
    pub(super) fn count(recovery: &PathRecovery, thread: usize) -> io::Result<u64> {
        let Some(mut list) = Self::open(recovery, thread)? else { return Ok(0) };
        let mut count = 0;
        while list.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// The name that decides which thread gets a line: a link's source, so that both are in one list.
fn told_of(change: &Change) -> &str {
    match change {
        Change::Link { source: Some(source), .. } => source,
        change => change.name(),
    }
}

/// The hash by which the original deals lines to threads.
fn time33(text: &str) -> u32 {
    text.bytes().fold(0, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}
