//! Finding the slots of a trunk file by what stands in it: what is in use begins with a header, all else is zeros.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{Block, SlotHeader, SlotKind, TrunkFile, files::header_at};
use crate::{
    StoreError,
    store::{Store, io_error},
};

/// What a trunk file holds.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Slots in use, by offset.
    pub(crate) slots: Vec<(u32, SlotHeader)>,
    /// Parts, from and to, that hold something without a header.
    pub(crate) debris: Vec<(u64, u64)>,
    /// Length of the file.
    pub(crate) length: u64,
}

/// Goes through a trunk file.
pub(crate) fn walk(file: &File) -> io::Result<Walked> {
    let length = file.metadata()?.len();
    let mut walked = Walked { length, ..Walked::default() };
    let mut position = 0;
    let mut debris: Option<u64> = None;
    let mut buffer = vec![0; BUFFER];
    while let Some(found) = next_content(file, position, length, &mut buffer)? {
        match header_at(file, found)? {
            // Behind what has no header anything may look like one: its content tells.
            Some(header)
                if header.fits(found, length) && (debris.is_none() || is_sound(file, found, &header)?) =>
            {
                if let Some(from) = debris.take() {
                    walked.debris.push((from, found));
                }
                let Ok(offset) = u32::try_from(found) else { break };
                walked.slots.push((offset, header));
                position = found + u64::from(header.allocated);
            }
            _ => {
                debris.get_or_insert(found);
                position = found + 1;
            }
        }
    }
    if let Some(from) = debris {
        walked.debris.push((from, position));
    }
    Ok(walked)
}

/// What a part of a trunk file has, as the search for damage sees it.
#[derive(Debug, Default)]
pub struct SlotScan {
    /// Where to go on; none at the end.
    pub next: Option<u64>,
    /// Bytes read.
    pub bytes: u64,
    /// Slots in use.
    pub slots: u64,
    /// Those whose content is not that of their header.
    pub damaged: Vec<Block>,
}

impl Store {
    /// The trunk files that are here.
    pub fn trunk_files(&self) -> Result<Vec<TrunkFile>, StoreError> {
        self.0.trunk_files()
    }

    /// Compares the slots of a trunk file with their headers, from an offset on, about as many bytes as `portion`.
    pub fn scan_slots(&self, file: TrunkFile, from: u64, portion: u64) -> Result<SlotScan, StoreError> {
        let index = file.store_path;
        let path = self.0.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
        let reading = io_error("reading a trunk file");
        let open = match path.trunk.open(path, file) {
            Err(Errno::NOENT) => return Ok(SlotScan::default()),
            open => open.map_err(StoreError::doing("opening a trunk file"))?,
        };
        let length = open.metadata().map_err(&reading)?.len();
        let (mut scan, mut position) = (SlotScan::default(), from);
        let mut buffer = vec![0; BUFFER];
        while let Some(found) = next_content(&open, position, length, &mut buffer).map_err(&reading)? {
            let header =
                header_at(&open, found).map_err(&reading)?.filter(|header| header.fits(found, length));
            let (Some(header), Ok(offset)) = (header, u32::try_from(found)) else {
                position = found + 1;
                continue;
            };
            let block = Block { file, offset, size: header.allocated };
            scan.slots += 1;
            scan.bytes += u64::from(header.size);
            if !is_sound(&open, found, &header).map_err(&reading)? {
                // It may have been written or cleared this moment.
                let _claim = path.trunk.claim(block);
                let again = header_at(&open, found).map_err(&reading)?;
                if again == Some(header) && !is_sound(&open, found, &header).map_err(&reading)? {
                    scan.damaged.push(block);
                }
            }
            position = block.end();
            if position >= length {
                break;
            }
            if scan.bytes >= portion || !scan.damaged.is_empty() {
                scan.next = Some(position);
                break;
            }
        }
        Ok(scan)
    }
}

/// Whether the content behind a header has the CRC32 of the header.
pub(crate) fn is_sound(file: &File, offset: u64, header: &SlotHeader) -> io::Result<bool> {
    // The CRC32 in the name of a link is a random number.
    if header.kind == SlotKind::Link {
        return Ok(true);
    }
    let mut hasher = crc32fast::Hasher::new();
    let mut at = offset + SlotHeader::LEN as u64;
    let end = at + u64::from(header.size);
    let mut buffer = vec![0; BUFFER.min(header.size as usize)];
    while at < end {
        let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(BUFFER));
        match file.read_exact_at(&mut buffer[..wanted], at) {
            Ok(()) => hasher.update(&buffer[..wanted]),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        at += wanted as u64;
    }
    Ok(hasher.finalize() == header.crc32)
}

/// Where the first byte that is not zero stands, from a position on.
fn next_content(file: &File, mut position: u64, length: u64, buffer: &mut [u8]) -> io::Result<Option<u64>> {
    let mut small = true;
    while position < length {
        // Mostly the next slot follows at once; what is read beyond it is wasted.
        let wanted = if small { SMALL } else { buffer.len() };
        let wanted = wanted.min(usize::try_from(length - position).unwrap_or(usize::MAX));
        let read = match file.read_at(&mut buffer[..wanted], position) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if let Some(at) = buffer[..read].iter().position(|byte| *byte != 0) {
            return Ok(Some(position + at as u64));
        }
        position += read as u64;
        if !small {
            // Where nothing was ever written there is nothing to read.
            match seek(file, SeekFrom::Data(position)) {
                Ok(data) => position = position.max(data),
                Err(Errno::NXIO) => return Ok(None),
                Err(_) => {}
            }
        }
        small = false;
    }
    Ok(None)
}

const SMALL: usize = 64;
const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_captured_trunk_file_is_walked_slot_by_slot() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&crate::tests::bytes("trunk_000001.first64k")).unwrap();
        file.set_len(4 << 20).unwrap();
        let walked = walk(&file).unwrap();
        assert!(walked.debris.is_empty(), "{:?}", walked.debris);
        let places: Vec<_> = walked.slots.iter().map(|(offset, slot)| (*offset, slot.allocated)).collect();
        assert_eq!(places, [(0, 256), (1280, 256)]);
        for (offset, header) in &walked.slots {
            assert!(is_sound(&file, u64::from(*offset), header).unwrap());
        }
    }

    #[test]
    fn what_has_no_header_is_found_and_what_follows_it_too() {
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = crate::tests::bytes("trunk_000001.first64k");
        bytes[700..1000].fill(b'F');
        file.write_all(&bytes).unwrap();
        let walked = walk(&file).unwrap();
        assert_eq!(walked.debris, [(700, 1280)]);
        assert_eq!(walked.slots.len(), 2);
    }
}
