//! Reading and writing slots of trunk files.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use rustix::{
    fs::{FallocateFlags, Mode, OFlags, SeekFrom, fallocate, ftruncate, openat, seek},
    io::{Errno, ReadWriteFlags, preadv2, pwritev},
};

use super::{
    Block, SlotHeader, TrunkFile,
    blank::Blank,
    claims::{Claim, Claims},
};
use crate::{
    StoreError,
    layout::{StorePath, make_directory},
    store::io_error,
};

/// Open trunk files, and what keeps two from writing to one at once.
#[derive(Debug)]
pub(crate) struct TrunkFiles {
    open: RwLock<HashMap<TrunkFile, Arc<OpenTrunk>>>,
    writing: [Claims; WRITERS],
    /// One at a time is extended, so that what is blank is told once.
    extending: Mutex<()>,
    /// The file system tells what it has in memory.
    tells: AtomicBool,
}

/// An open trunk file.
#[derive(Debug)]
pub(crate) struct OpenTrunk {
    pub(crate) file: Arc<File>,
    /// It has so many bytes at least.
    length: AtomicU64,
    blank: Blank,
}

/// What is written behind a header.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    /// So many bytes of a file, from its beginning.
    File(&'a File, u64),
}

impl Default for TrunkFiles {
    fn default() -> Self {
        Self {
            open: RwLock::default(),
            extending: Mutex::default(),
            writing: std::array::from_fn(|_| Claims::default()),
            tells: AtomicBool::new(true),
        }
    }
}

impl TrunkFiles {
    /// Opens a trunk file that is there.
    pub(crate) fn open(&self, path: &StorePath, id: TrunkFile) -> Result<Arc<File>, Errno> {
        if let Some(open) = self.open.read().get(&id) {
            return Ok(Arc::clone(&open.file));
        }
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&path.data, id.local_path(), flags, Mode::empty())?;
        Ok(Arc::clone(&self.keep(id, File::from(file)).file))
    }

    /// Opens a trunk file, which is made of `size` bytes, or extended to them, where it is not there or shorter.
    pub(crate) fn open_or_create(
        &self,
        path: &StorePath,
        id: TrunkFile,
        size: u64,
    ) -> Result<Arc<OpenTrunk>, StoreError> {
        let known = self.open.read().get(&id).map(Arc::clone);
        let open = match known {
            Some(open) => open,
            None => self.keep(id, open_or_make(path, id)?),
        };
        if open.length.load(Ordering::Relaxed) < size {
            let _turn = self.extending.lock();
            open.extend(size)?;
        }
        Ok(open)
    }

    /// Reads what a slot holds, up to `length` bytes of it, where that needs no waiting for the disk.
    pub(crate) fn read_at_once(&self, file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        if self.tells.load(Ordering::Relaxed) {
            match preadv2(file, &mut [IoSliceMut::new(&mut bytes)], offset, ReadWriteFlags::NOWAIT) {
                Ok(read) => return (read == length).then_some(bytes),
                // One in memory.
                Err(Errno::NOSYS | Errno::OPNOTSUPP) => self.tells.store(false, Ordering::Relaxed),
                Err(_) => return None,
            }
        }
        file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Closes a trunk file that goes.
    pub(crate) fn forget(&self, id: TrunkFile) {
        self.open.write().remove(&id);
    }

    /// Keeps others from writing to a part of a trunk file.
    pub(crate) fn claim(&self, part: Block) -> Claim<'_> {
        self.writing[part.file.id as usize % WRITERS].claim(part)
    }

    fn keep(&self, id: TrunkFile, file: File) -> Arc<OpenTrunk> {
        let mut open = self.open.write();
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        let new = || OpenTrunk { file: Arc::new(file), length: AtomicU64::new(0), blank: Blank::default() };
        Arc::clone(open.entry(id).or_insert_with(|| Arc::new(new())))
    }
}

impl OpenTrunk {
    /// Whether nothing was ever written to a part, which is about to be written now by who has claimed it.
    pub(crate) fn was_blank(&self, part: Block) -> bool {
        self.blank.take(part.offset.into(), part.end())
    }

    /// Gives the file `size` bytes, where it has fewer.
    fn extend(&self, size: u64) -> Result<(), StoreError> {
        let mut length = self.file.metadata().map_err(io_error("looking up a trunk file"))?.len();
        if length < size {
            ftruncate(&*self.file, size).map_err(StoreError::doing("extending a trunk file"))?;
            self.blank.extend(length, size);
            length = size;
        }
        self.length.fetch_max(length, Ordering::Relaxed);
        Ok(())
    }
}

/// Opens a trunk file, which is made where it is not there.
fn open_or_make(path: &StorePath, id: TrunkFile) -> Result<File, StoreError> {
    let local = id.local_path();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mode = Mode::from_raw_mode(0o644);
    let made = match openat(&path.data, &local, flags, mode) {
        Err(Errno::NOENT) => {
            make_directory(&path.data, &local[..2]).map_err(io_error("creating a directory"))?;
            make_directory(&path.data, &local[..5]).map_err(io_error("creating a directory"))?;
            openat(&path.data, &local, flags, mode)
        }
        result => result,
    };
    Ok(made.map_err(StoreError::doing("opening a trunk file"))?.into())
}

/// The header that stands at an offset; none where the slot is not in use.
pub(crate) fn header_at(file: &File, offset: u64) -> io::Result<Option<SlotHeader>> {
    let mut bytes = [0; SlotHeader::LEN];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(SlotHeader::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a part of a trunk file has nothing but zeros; what lies behind its end counts as zeros.
pub(crate) fn is_empty(file: &File, mut offset: u64, end: u64) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(end.saturating_sub(offset)).unwrap_or(BUFFER))];
    while offset < end {
        let wanted = buffer.len().min(usize::try_from(end - offset).unwrap_or(BUFFER));
        match file.read_at(&mut buffer[..wanted], offset) {
            Ok(0) => return Ok(true),
            Ok(length) if !are_zeros(&buffer[..length]) => return Ok(false),
            Ok(length) => offset += length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether a trunk file has nothing at all; holes are not read.
pub(crate) fn is_unwritten(file: &File, length: u64) -> io::Result<bool> {
    let mut position = 0;
    while position < length {
        let data = match seek(file, SeekFrom::Data(position)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(data))?.min(length);
        if !is_empty(file, data, end)? {
            return Ok(false);
        }
        position = end.max(data + 1);
    }
    Ok(true)
}

/// Whether there are nothing but zeros, many of them looked at at once.
fn are_zeros(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}

/// Writes a slot: the header first, so that what is there can be told whenever this process ends.
pub(crate) fn write_slot(
    file: &File,
    block: Block,
    header: &SlotHeader,
    content: &Content<'_>,
) -> io::Result<()> {
    let offset = u64::from(block.offset);
    let behind = offset + SlotHeader::LEN as u64;
    match content {
        Content::Bytes(bytes) => {
            let header = header.encode();
            let written = pwritev(file, &[IoSlice::new(&header), IoSlice::new(bytes)], offset)?;
            // Mostly all of it.
            if written < header.len() {
                file.write_all_at(&header[written..], offset + written as u64)?;
            }
            let done = written.saturating_sub(header.len());
            if done < bytes.len() { file.write_all_at(&bytes[done..], behind + done as u64) } else { Ok(()) }
        }
        Content::File(source, length) => {
            file.write_all_at(&header.encode(), offset)?;
            let mut buffer = vec![0; BUFFER];
            let mut done = 0;
            while done < *length {
                let wanted = BUFFER.min(usize::try_from(*length - done).unwrap_or(BUFFER));
                source.read_exact_at(&mut buffer[..wanted], done)?;
                file.write_all_at(&buffer[..wanted], behind + done)?;
                done += wanted as u64;
            }
            Ok(())
        }
    }
}

/// Writes the header of a slot alone.
pub(crate) fn write_header(file: &File, block: Block, header: &SlotHeader) -> io::Result<()> {
    file.write_all_at(&header.encode(), block.offset.into())
}

/// Fills a part of a trunk file with zeros, its beginning first.
pub(crate) fn clear(file: &File, offset: u64, length: u64) -> io::Result<()> {
    if length > ZEROS.len() as u64 {
        file.write_all_at(&ZEROS[..SlotHeader::LEN], offset)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(file, flags, offset, length).is_ok() {
            return Ok(());
        }
    }
    let mut done = 0;
    while done < length {
        let wanted = ZEROS.len().min(usize::try_from(length - done).unwrap_or(ZEROS.len()));
        file.write_all_at(&ZEROS[..wanted], offset + done)?;
        done += wanted as u64;
    }
    Ok(())
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
const BUFFER: usize = 256 * 1024;
const WRITERS: usize = 64;
const MOST_OPEN: usize = 1024;
