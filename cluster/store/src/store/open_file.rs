//! Files open for reading.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    os::unix::fs::FileExt,
    sync::Arc,
};

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat},
    io::{Errno, ReadWriteFlags, preadv2},
};

use super::{Store, io_error};
use crate::{
    Counter, StoreError,
    layout::StorePath,
    trunk::{Block, SlotHeader, SlotKind, TrunkFile},
};

/// A file open for reading. It stays readable when the name is deleted.
#[derive(Debug)]
pub struct OpenFile {
    /// The file, or the trunk file that it lies in.
    pub file: Arc<File>,
    /// Where its first byte stands in that.
    pub start: u64,
    /// Its size, in bytes.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
    /// The CRC32 that its content has to have, where it lies in a trunk file.
    pub crc32: Option<u32>,
}

/// The content of a small file that lies in a slot.
#[derive(Debug)]
pub struct SlotContent {
    /// Header and content.
    bytes: Vec<u8>,
}

impl SlotContent {
    /// The content.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(SlotHeader::LEN..).unwrap_or_default()
    }

    /// The bytes that a download of `length` bytes from `offset` on gets; see [`OpenFile::range`].
    pub fn range(&self, offset: u64, length: u64) -> Result<std::ops::Range<u64>, StoreError> {
        range_of(self.bytes().len() as u64, offset, length)
    }
}

impl Store {
    /// Opens a file for reading. Links are followed.
    pub fn open_file(&self, name: &RemoteFilename) -> Result<OpenFile, StoreError> {
        self.open_with(name, OFlags::empty())
    }

    /// Opens a file for somebody from outside the cluster: a link is followed as far as the files of a store path, and
    /// what it leads to elsewhere is not there.
    pub fn open_file_within(&self, name: &RemoteFilename) -> Result<OpenFile, StoreError> {
        match self.open_with(name, OFlags::NOFOLLOW) {
            Err(error) if error.is_link() => {}
            result => return result,
        }
        let open = self.open_with(name, OFlags::empty())?;
        // Where the opened file lies, whatever happens to the link meanwhile.
        let place = std::fs::read_link(format!("/proc/self/fd/{}", open.file.as_raw_fd()));
        let place = place.map_err(io_error("looking where a link leads to"))?;
        let is_ours = |path: &StorePath| {
            std::fs::canonicalize(&path.data_path).is_ok_and(|data| place.starts_with(data))
        };
        if self.0.paths.iter().any(is_ours) { Ok(open) } else { Err(StoreError::NotFound) }
    }

    /// The content of a small file in a slot, read with its header in one go. Nothing where that would have to wait for the
    /// disk, where it is not sound, or where the file is something else: [`Store::open_file`] tells more.
    pub fn read_slot(&self, name: &RemoteFilename) -> Option<SlotContent> {
        let wanted =
            SlotHeader::of_name(name, SlotKind::File).filter(|header| header.size <= LARGEST_AT_ONCE)?;
        let path = self.0.path_for_client(name).ok()?;
        let block = Block::of_name(name)?;
        let block = Block { file: TrunkFile { store_path: path.index, ..block.file }, ..block };
        let file = path.trunk.open(path, block.file).ok()?;
        let length = SlotHeader::LEN + wanted.size as usize;
        let bytes = path.trunk.read_at_once(&file, block.offset.into(), length)?;
        let (header, content) = bytes.split_first_chunk()?;
        if SlotHeader::decode(header)? != wanted || crc32fast::hash(content) != wanted.crc32 {
            return None;
        }
        self.0.stat.add(Counter::TotalFileOpenCount, 1);
        self.0.stat.add(Counter::SuccessFileOpenCount, 1);
        Some(SlotContent { bytes })
    }

    fn open_with(&self, name: &RemoteFilename, more: OFlags) -> Result<OpenFile, StoreError> {
        let shared = &self.0;
        let path = shared.path_for_client(name)?;
        shared.stat.add(Counter::TotalFileOpenCount, 1);
        let open = match path.slot_of(name).map_err(StoreError::doing("opening the file"))? {
            Some(slot) if slot.header.kind == SlotKind::File => slot.open(),
            Some(slot) => self.open_target(slot.target()?)?,
            None => open_plain(path, name, more)?,
        };
        shared.stat.add(Counter::SuccessFileOpenCount, 1);
        Ok(open)
    }

    /// Opens what a link in a trunk file leads to; links are followed once.
    fn open_target(&self, target: Option<RemoteFilename>) -> Result<OpenFile, StoreError> {
        let target = target.ok_or(StoreError::NotFound)?;
        let path = self.0.path_for_client(&target)?;
        match path.slot_of(&target).map_err(StoreError::doing("opening the file"))? {
            Some(slot) if slot.header.kind == SlotKind::File => Ok(slot.open()),
            Some(_) => Err(StoreError::NotFound),
            None => open_plain(path, &target, OFlags::empty()),
        }
    }
}

fn open_plain(path: &StorePath, name: &RemoteFilename, more: OFlags) -> Result<OpenFile, StoreError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let file: OwnedFd = openat(&path.data, name.local_path(), flags, Mode::empty())
        .map_err(StoreError::doing("opening the file"))?;
    let stat = fstat(&file).map_err(StoreError::doing("looking up the file"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(StoreError::IsDirectory),
        _ => return Err(StoreError::NotRegular),
    }
    Ok(OpenFile {
        file: Arc::new(file.into()),
        start: 0,
        crc32: None,
        size: stat.st_size.unsigned_abs(),
        modified: Timestamp(stat.st_mtime),
    })
}

impl OpenFile {
    /// Whether the content can be checked before it is sent: that of a file in a trunk file that is not large.
    pub fn is_checked(&self) -> bool {
        self.crc32.is_some() && self.size <= LARGEST_CHECKED
    }

    /// Reads the content as a whole, if it is that which it has to be, else nothing. With `at_once` only what needs no waiting
    /// for the disk: the error is then of the kind `WouldBlock`.
    pub fn checked(&self, at_once: bool) -> io::Result<Option<Vec<u8>>> {
        let mut content = vec![0; usize::try_from(self.size).unwrap_or(0)];
        if at_once && !content.is_empty() {
            let mut parts = [io::IoSliceMut::new(&mut content)];
            match preadv2(self.file.as_fd(), &mut parts, self.start, ReadWriteFlags::NOWAIT) {
                Ok(length) if length as u64 == self.size => {}
                Ok(_) | Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::NOSYS | Errno::OPNOTSUPP) => self.file.read_exact_at(&mut content, self.start)?,
                Err(error) => return Err(error.into()),
            }
        } else {
            self.file.read_exact_at(&mut content, self.start)?;
        }
        let is_sound = self.crc32.is_none_or(|crc32| crc32 == crc32fast::hash(&content));
        Ok(is_sound.then_some(content))
    }

    /// The bytes that a download of `length` bytes from `offset` on gets: 0 means up to the end, and
    /// so does more than there is. The beginning of an empty file is a range of no bytes.
    pub fn range(&self, offset: u64, length: u64) -> Result<std::ops::Range<u64>, StoreError> {
        range_of(self.size, offset, length)
    }
}

fn range_of(size: u64, offset: u64, length: u64) -> Result<std::ops::Range<u64>, StoreError> {
    if offset >= size && (offset, size) != (0, 0) {
        return Err(StoreError::BeyondEnd { offset, size });
    }
    let end = match length {
        0 => size,
        length => size.min(offset.saturating_add(length)),
    };
    Ok(offset..end)
}

/// Larger ones are not read with their header.
const LARGEST_AT_ONCE: u32 = 64 * 1024;
/// Larger files are sent as they are, and compared with their names by the search for damage.
const LARGEST_CHECKED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::{Store, StoreError, StoreOptions};

    #[test]
    fn links_lead_outsiders_to_files_of_the_store_and_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let mut options =
            StoreOptions::new(base.path(), fdfs_types::Source::Ip(std::net::Ipv4Addr::new(127, 0, 0, 2)));
        options.subdir_count = 1;
        let store = Store::open(&options).unwrap();
        let data = base.path().join("data/00/00");
        let name = |tail: &str| format!("M00/00/00/fwAAAmsCerKAKbhRAAATiC17JN8110{tail}").parse().unwrap();
        let path = |tail: &str| data.join(format!("fwAAAmsCerKAKbhRAAATiC17JN8110{tail}"));
        std::fs::write(path(".jpg"), b"inside").unwrap();
        symlink(path(".jpg"), path("_in.jpg")).unwrap();
        symlink(outside.path(), path("_out.jpg")).unwrap();
        symlink("nowhere", path("_dangling.jpg")).unwrap();
        assert_eq!(store.open_file_within(&name(".jpg")).unwrap().size, 6);
        assert_eq!(store.open_file_within(&name("_in.jpg")).unwrap().size, 6);
        for tail in ["_out.jpg", "_dangling.jpg", "_missing.jpg"] {
            let result = store.open_file_within(&name(tail));
            assert!(matches!(result, Err(StoreError::NotFound)), "{tail}");
        }
        assert!(store.open_file(&name("_out.jpg")).is_ok(), "the storage protocol follows every link");
    }
}
