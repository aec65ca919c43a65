//! Joining files into one, without reading them.

use std::fs::File;

use fdfs_types::{FileKind, RemoteFilename};

use super::{NewFile, Store, StorePathChoice, StoredFile, Upload, copy::copy, info::crc32_of};
use crate::StoreError;

impl Store {
    /// Makes one file of `parts`, in their order; the parts stay. Where the caller leaves the store path
    /// open, the first part's is taken, so that file systems that can will share the blocks.
    ///
    /// The CRC32 is combined from the names of the parts; a part whose name does not tell it is read.
    pub fn join(&self, parts: &[RemoteFilename], new: &NewFile) -> Result<StoredFile, StoreError> {
        self.join_parts(parts, new)?.finish()
    }

    /// Joins files as [`Store::join`] does, up to the last step, which is [`Upload::finish`].
    pub fn join_parts(&self, parts: &[RemoteFilename], new: &NewFile) -> Result<Upload, StoreError> {
        let mut opened: Vec<(File, u64, Option<u32>)> = Vec::with_capacity(parts.len());
        for part in parts {
            let open = self.open_file(part)?;
            let named = match (part.kind(), part.fields()) {
                (Ok(FileKind::Normal), Ok(fields)) if fields.size.size() == Some(open.size) => {
                    Some(fields.crc32)
                }
                _ => None,
            };
            opened.push((open.file, open.size, named));
        }
        let size = opened.iter().map(|(_, size, _)| size).sum();
        let store_path = match (new.store_path, parts.first()) {
            (StorePathChoice::Any, Some(first)) => StorePathChoice::Index(first.store_path()),
            (choice, _) => choice,
        };
        let mut upload = self.create(&NewFile { size: Some(size), store_path, ..*new })?;
        for (mut file, size, named) in opened {
            let crc32 = match named {
                Some(crc32) => crc32,
                None => crc32_of(&mut file)?,
            };
            let (_, copied) = copy(&file, upload.file(), upload.size(), size);
            copied.map_err(StoreError::doing("copying a part"))?;
            upload.advance(size, &crc32fast::Hasher::new_with_initial_len(crc32, size));
        }
        Ok(upload)
    }
}
