//! Reading that leaves the page cache as it was: what others have in memory stays there, what comes from the disk goes again.

use std::{fs::File, io::IoSliceMut};

use rustix::{
    fs::{Advice, fadvise},
    io::{Errno, ReadWriteFlags, pread, preadv2},
};

/// Tells the kernel that nothing is to be read ahead: what is in memory is then what others want there.
pub(super) fn prepare(file: &File) {
    let _ = fadvise(file, 0, None, Advice::Random);
}

/// Reads from `offset` on, as much as is there at once; 0 at the end.
pub(super) fn read(file: &File, block: &mut [u8], offset: u64) -> Result<usize, Errno> {
    match preadv2(file, &mut [IoSliceMut::new(block)], offset, ReadWriteFlags::NOWAIT) {
        Ok(length) if length > 0 => return Ok(length),
        Err(Errno::INTR) => return read(file, block, offset),
        // Not in memory, at the end, or the file system cannot tell.
        _ => {}
    }
    let length = loop {
        match pread(file, &mut *block, offset) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if length > 0 {
        drop_from_memory(file, offset, length as u64);
    }
    Ok(length)
}

/// Has the next reading come from the disk, as far as nobody is writing; 0 bytes mean up to the end.
pub(super) fn drop_from_memory(file: &File, offset: u64, length: u64) {
    let _ = fadvise(file, offset, std::num::NonZeroU64::new(length), Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of a file are in memory from its beginning on.
    fn in_memory(file: &File) -> usize {
        let mut block = vec![0; SIZE];
        preadv2(file, &mut [IoSliceMut::new(&mut block)], 0, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    fn read_all(file: &File) -> usize {
        let mut block = vec![0; 65_536];
        let mut offset = 0;
        while let length @ 1.. = read(file, &mut block, offset as u64).unwrap() {
            offset += length;
        }
        offset
    }

    #[test]
    fn what_was_in_memory_stays_there_and_what_was_not_goes_again() {
        // What is in /tmp may be in memory always.
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![7; SIZE]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        assert_eq!(in_memory(&file), SIZE, "just written");
        prepare(&file);
        assert_eq!(read_all(&file), SIZE);
        assert_eq!(in_memory(&file), SIZE);
        drop_from_memory(&file, 0, 0);
        if in_memory(&file) == SIZE {
            eprintln!("SKIPPED: files of {} are always in memory", directory.path().display());
            return;
        }
        assert_eq!(read_all(&file), SIZE);
        assert_eq!(in_memory(&file), 0);
    }

    const SIZE: usize = 1 << 20;
}
