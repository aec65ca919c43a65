//! Backup, restore and copy: all rows of one snapshot.
//!
//! ```text
//! "FDFS namespace backup 1\n"
//! | key length 4 | key | value length 4 | value |   any number of times, in the order of the keys
//! | 0 (4) | number of rows (8) | SHA-256 of all before (32) |
//! ```
//!
//! What is restored or copied is another store than before: it has a number of its own, its numbers of inodes and sessions begin far beyond those ever given out,
//! and it knows no session and no change. Its stamp is written last: before that nobody can open it.

use std::io::{Read as Input, Write as Output};
use std::sync::mpsc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::engine::{Engine, EngineError, Job, MAX_KEY, Row, Txn};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, LeaseRow, StampRow};

/// Why a backup, a restore or a copy ended.
#[derive(Debug, Error)]
pub enum OperationError {
    /// The store failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row cannot be used.
    #[error(transparent)]
    Row(#[from] NamespaceError),
    /// The backup cannot be read or written.
    #[error("the backup: {0}")]
    File(#[from] std::io::Error),
    /// The file is not a backup, or not all of it.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// The target holds something.
    #[error("the target is not empty: nothing is written over a store that is there; name an empty one")]
    NotEmpty,
    /// The source holds nothing.
    #[error("the source is no namespace: it has no stamp")]
    NoStore,
}

/// Writes all rows of one snapshot to `file`; how many. `progress` is told the number of rows so far.
pub fn back_up(
    engine: &dyn Engine,
    file: &mut dyn Output,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OperationError> {
    let mut file = Summed { file, sum: Sha256::new() };
    file.write(MAGIC)?;
    let (mut rows, mut stamped) = (0, false);
    let mut failed = None;
    let read = engine.snapshot(&mut |page| {
        for (key, value) in &page {
            stamped |= *key == keys::stamp();
            let written = rows::check_sum(key, value)
                .map_err(OperationError::from)
                .and_then(|()| Ok(file.row(key, value)?));
            if let Err(error) = written {
                failed = Some(error);
                return Err(EngineError::Stopped("the backup failed".to_owned()));
            }
        }
        rows += page.len() as u64;
        progress(rows);
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    read?;
    if !stamped {
        return Err(OperationError::NoStore);
    }
    file.write(&0_u32.to_be_bytes())?;
    file.write(&rows.to_be_bytes())?;
    let Summed { file, sum } = file;
    file.write_all(&sum.finalize())?;
    file.flush()?;
    Ok(rows)
}

/// Writes the rows of a backup into a store that is empty; how many the backup has.
pub fn restore(
    file: &mut dyn Input,
    engine: &dyn Engine,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OperationError> {
    let mut file = SummedInput { file, sum: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    file.read(&mut magic)?;
    if magic != *MAGIC {
        return Err(OperationError::Damaged("it does not begin as a backup of a namespace does"));
    }
    let mut target = Target::new(engine)?;
    let mut rows = 0_u64;
    while let Some((key, value)) = file.row()? {
        target.take(key, value)?;
        rows += 1;
        if rows.is_multiple_of(1_000) {
            progress(rows);
        }
    }
    let mut count = [0; 8];
    file.read(&mut count)?;
    let SummedInput { file, sum } = file;
    let mut wanted = [0; 32];
    file.read_exact(&mut wanted).map_err(cut)?;
    if wanted != *sum.finalize() || rows != u64::from_be_bytes(count) {
        return Err(OperationError::Damaged("its sum is wrong: nothing of it counts"));
    }
    target.finish()?;
    progress(rows);
    Ok(rows)
}

/// Copies all rows of one snapshot into a store that is empty; how many.
pub fn copy(
    from: &dyn Engine,
    to: &dyn Engine,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OperationError> {
    let mut target = Target::new(to)?;
    let mut failed = None;
    let mut rows = 0;
    let read = from.snapshot(&mut |page| {
        rows += page.len() as u64;
        for (key, value) in page {
            if let Err(error) = target.take(key, value) {
                failed = Some(error);
                return Err(EngineError::Stopped("the copy failed".to_owned()));
            }
        }
        progress(rows);
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    read?;
    target.finish()?;
    Ok(rows)
}

/// A store that is being filled.
struct Target<'a> {
    engine: &'a dyn Engine,
    stamp: Option<StampRow>,
    waiting: Vec<Row>,
    bytes: usize,
}

impl<'a> Target<'a> {
    fn new(engine: &'a dyn Engine) -> Result<Self, OperationError> {
        let mut is_empty = false;
        engine.read(&mut |read| {
            is_empty = read.range(&[0], &[u8::MAX], 1)?.is_empty();
            Ok(())
        })?;
        if !is_empty {
            return Err(OperationError::NotEmpty);
        }
        Ok(Self { engine, stamp: None, waiting: Vec::new(), bytes: 0 })
    }

    fn take(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), OperationError> {
        rows::check_sum(&key, &value)?;
        let value = match key.first() {
            Some(&keys::STAMP) => {
                self.stamp = Some(rows::unseal(&key, &value)?);
                return Ok(());
            }
            // Who uses the other store does not use this one, and its log is none of this one's.
            Some(&(keys::SESSION | keys::CHANGE | b'h' | b'k')) => return Ok(()),
            Some(b'#') => {
                let row: LeaseRow = rows::unseal(&key, &value)?;
                let next =
                    row.next.saturating_add(if key == keys::lease("inode") { BEYOND } else { 1 << 20 });
                rows::seal(&key, &LeaseRow { next })
            }
            _ => value,
        };
        self.bytes += key.len() + value.len();
        self.waiting.push((key, value));
        if self.waiting.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), OperationError> {
        self.bytes = 0;
        write(self.engine, std::mem::take(&mut self.waiting))
    }

    /// From here on it is a store.
    fn finish(mut self) -> Result<(), OperationError> {
        let stamp = self.stamp.take().ok_or(OperationError::NoStore)?;
        self.flush()?;
        let mut store = vec![0; 16];
        fastrand::fill(&mut store);
        let stamp = StampRow { store, epoch: stamp.epoch + 1, ..stamp };
        let key = keys::stamp();
        let value = rows::seal(&key, &stamp);
        write(self.engine, vec![(key, value)])
    }
}

struct Put {
    rows: Vec<Row>,
    outcome: mpsc::Sender<Result<(), EngineError>>,
}

impl Job for Put {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        self.rows.iter().for_each(|(key, value)| txn.put(key.clone(), value.clone()));
        true
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        // Who gave up waiting does not want to know.
        let _ = self.outcome.send(outcome);
    }
}

fn write(engine: &dyn Engine, rows: Vec<Row>) -> Result<(), OperationError> {
    let (outcome, waiting) = mpsc::channel();
    engine.submit(Box::new(Put { rows, outcome }));
    let gave_up = |_| EngineError::Unavailable("the target gives no answer".to_owned());
    Ok(waiting.recv_timeout(WRITE_DEADLINE).map_err(gave_up)??)
}

struct Summed<'a> {
    file: &'a mut dyn Output,
    sum: Sha256,
}

impl Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }

    fn row(&mut self, key: &[u8], value: &[u8]) -> std::io::Result<()> {
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(std::io::Error::other)?;
            self.write(&length.to_be_bytes())?;
            self.write(part)?;
        }
        Ok(())
    }
}

struct SummedInput<'a> {
    file: &'a mut dyn Input,
    sum: Sha256,
}

impl SummedInput<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), OperationError> {
        self.file.read_exact(bytes).map_err(cut)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn length(&mut self) -> Result<usize, OperationError> {
        let mut length = [0; 4];
        self.read(&mut length)?;
        Ok(u32::from_be_bytes(length) as usize)
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, OperationError> {
        // Taken as it comes: a length that is wrong reserves nothing.
        let mut bytes = Vec::new();
        let mut limited = Input::take(&mut *self.file, length as u64);
        limited.read_to_end(&mut bytes)?;
        if bytes.len() != length {
            return Err(OperationError::Damaged("it ends too early"));
        }
        self.sum.update(&bytes);
        Ok(bytes)
    }

    /// The next row; none after the last.
    fn row(&mut self) -> Result<Option<Row>, OperationError> {
        let length = self.length()?;
        if length == 0 {
            return Ok(None);
        }
        if length > MAX_KEY {
            return Err(OperationError::Damaged("a key is too long"));
        }
        let key = self.bytes(length)?;
        let length = self.length()?;
        if length > MAX_VALUE {
            return Err(OperationError::Damaged("a value is too long"));
        }
        Ok(Some((key, self.bytes(length)?)))
    }
}

fn cut(error: std::io::Error) -> OperationError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => OperationError::Damaged("it ends too early"),
        _ => OperationError::File(error),
    }
}

const MAGIC: &[u8; 24] = b"FDFS namespace backup 1\n";
/// Inode numbers that are passed over: more than can have been given out since the backup.
const BEYOND: u64 = 1 << 32;
/// Rows of one transaction.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 4 << 20;
/// No row is as long.
const MAX_VALUE: usize = 64 << 20;
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
