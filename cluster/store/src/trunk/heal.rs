//! Damaged slots put in order: with what another member has in them, and, where the content is sound, from the name alone.

use std::{fs::File, io};

use fdfs_types::RemoteFilename;
use rustix::io::Errno;

use crate::{
    Store, StoreError,
    store::io_error,
    trunk::{Block, Content, SlotHeader, SlotKind, TrunkFile, files, walk, walk::is_sound},
};

/// What became of a slot whose header is not that of its file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mended {
    /// The file is there again.
    Yes,
    /// Another member may have it: [`Store::heal_slot`].
    No,
    /// The slot is empty, or another's.
    IsNotThere,
}

impl Store {
    /// Puts what a member has in a slot into the place of what is damaged here; false where that is not of the same file, or
    /// not sound either.
    pub fn heal_slot(&self, block: Block, bytes: &[u8]) -> Result<bool, StoreError> {
        let shared = &self.0;
        let index = block.file.store_path;
        let path = shared.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
        let Some(header) = bytes.first_chunk().and_then(SlotHeader::decode) else { return Ok(false) };
        let content = bytes.get(SlotHeader::LEN..).and_then(|rest| rest.get(..header.size as usize));
        if header.allocated != block.size
            || content.is_none_or(|content| crc32fast::hash(content) != header.crc32)
        {
            return Ok(false);
        }
        let file = path.trunk.open(path, block.file).map_err(StoreError::doing("opening a trunk file"))?;
        let _claim = path.trunk.claim(block);
        let reading = io_error("reading a trunk file");
        let present = files::header_at(&file, block.offset.into()).map_err(&reading)?;
        if present != Some(header) && !has_lost_header(&file, block).map_err(reading)? {
            return Ok(false);
        }
        let content = Content::Bytes(content.unwrap_or_default());
        files::write_slot(&file, block, &header, &content).map_err(io_error("writing a trunk file"))?;
        Ok(true)
    }

    /// Looks whether the slot of a file has lost its header, and writes it again where the content is still that of the name.
    pub fn mend_header(&self, name: &RemoteFilename) -> Result<Mended, StoreError> {
        let shared = &self.0;
        let path = shared.path_for_client(name)?;
        let (Some(block), Some(header)) = (Block::of_name(name), SlotHeader::of_name(name, SlotKind::File))
        else {
            return Ok(Mended::IsNotThere);
        };
        let block = Block { file: TrunkFile { store_path: path.index, ..block.file }, ..block };
        let file = match path.trunk.open(path, block.file) {
            Err(Errno::NOENT) => return Ok(Mended::IsNotThere),
            file => file.map_err(StoreError::doing("opening a trunk file"))?,
        };
        let reading = io_error("reading a trunk file");
        let _claim = path.trunk.claim(block);
        if self.was_deleted(name)
            || block.end() > file.metadata().map_err(&reading)?.len()
            || block.size > shared.placement.policy().trunk.map_or(0, |policy| policy.slot_max_size)
            || files::is_empty(&file, block.offset.into(), block.end()).map_err(&reading)?
            || has_file_at(&file, block.offset.into()).map_err(&reading)?
        {
            return Ok(Mended::IsNotThere);
        }
        // Of an empty file there is nothing that could prove it.
        if header.size == 0 || !is_sound(&file, block.offset.into(), &header).map_err(reading)? {
            return Ok(Mended::No);
        }
        files::write_header(&file, block, &header).map_err(io_error("writing a trunk file"))?;
        Ok(Mended::Yes)
    }
}

/// Whether a file begins at an offset, whichever it is.
fn has_file_at(file: &File, offset: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    match files::header_at(file, offset)?.filter(|header| header.fits(offset, length)) {
        Some(header) => is_sound(file, offset, &header),
        None => Ok(false),
    }
}

/// Whether a slot holds something that is no file, nor a part of one. Goes through the trunk file.
fn has_lost_header(file: &File, block: Block) -> io::Result<bool> {
    let offset = u64::from(block.offset);
    if files::is_empty(file, offset, block.end())? {
        return Ok(false);
    }
    for (at, header) in walk(file)?.slots {
        let other = Block { offset: at, size: header.allocated, ..block };
        if other.meets(&block) && has_file_at(file, at.into())? {
            return Ok(false);
        }
    }
    Ok(true)
}
