//! Files in slots of trunk files, read as the name tells.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use fdfs_http::{Content, FileContent, SourceError};
use fdfs_types::{FileKind, RemoteFilename, TrunkSlot};

const HEADER: usize = 24;

/// Opens a file of a trunk file below `data`, if the slot holds it.
pub(crate) fn open(data: &Path, name: &RemoteFilename) -> Result<Content, SourceError> {
    let Ok(FileKind::Trunk(slot)) = name.kind() else { return Err(SourceError::NotFound) };
    let fields = name.fields().map_err(|_| SourceError::NotFound)?;
    let size = fields.size.size().ok_or(SourceError::NotFound)?;
    let directory = data.join(name.local_path()).parent().ok_or(SourceError::NotFound)?.to_owned();
    let file =
        File::open(directory.join(format!("{:06}", slot.trunk_id))).map_err(|_| SourceError::NotFound)?;
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, slot.offset.into()).map_err(|_| SourceError::NotFound)?;
    if header != expected(slot, size, fields.crc32, fields.created, name.tail()) {
        return Err(SourceError::NotFound);
    }
    let base = u64::from(slot.offset) + HEADER as u64;
    let reader = Box::new(FileContent::part(Arc::new(file), base));
    Ok(Content { size, modified: fields.created(), holder: None, reader })
}

fn expected(slot: TrunkSlot, size: u64, crc32: u32, created: u32, tail: &str) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = b'F';
    header[1..5].copy_from_slice(&slot.allocated.to_be_bytes());
    header[5..9].copy_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    header[9..13].copy_from_slice(&crc32.to_be_bytes());
    header[13..17].copy_from_slice(&created.to_be_bytes());
    header[17..17 + tail.len()].copy_from_slice(tail.as_bytes());
    header
}
