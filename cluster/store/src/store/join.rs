//! Joining files into one, without reading them.

use fdfs_proto::ours::OwnerToken;
use fdfs_types::{FileKind, RemoteFilename};

use super::{NewFile, Store, StorePathChoice, StoredFile, copy::copy};
use crate::StoreError;

impl Store {
    /// Makes one file of `parts`, in their order; the parts stay. Where the caller leaves the store path
    /// open, the first part's is taken, so that file systems that can will share the blocks.
    ///
    /// The CRC32 is combined from the names of the parts; a part whose name does not tell it is read.
    pub fn join(
        &self,
        parts: &[RemoteFilename],
        new: &NewFile,
        owner: Option<OwnerToken>,
    ) -> Result<StoredFile, StoreError> {
        let sizes: Vec<u64> =
            parts.iter().map(|part| self.open_file(part).map(|open| open.size)).collect::<Result<_, _>>()?;
        let store_path = match (new.store_path, parts.first()) {
            (StorePathChoice::Any, Some(first)) => StorePathChoice::Index(first.store_path()),
            (choice, _) => choice,
        };
        let mut upload = self.create(&NewFile { size: Some(sizes.iter().sum()), store_path, ..*new })?;
        if let Some(owner) = owner {
            upload.set_owner(owner);
        }
        for (part, announced) in parts.iter().zip(sizes) {
            let open = self.open_file(part)?;
            let size = open.size;
            if size != announced {
                return Err(StoreError::WrongLength { announced, received: size });
            }
            let crc32 = match (part.kind(), part.fields()) {
                (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields))
                    if fields.size.size() == Some(size) =>
                {
                    fields.crc32
                }
                _ => open.compute_crc32()?,
            };
            let to = upload.size();
            let (_, copied) = copy((&*open.file, open.start), upload.file()?, to, size);
            copied.map_err(StoreError::doing("copying a part"))?;
            upload.advance(size, &crc32fast::Hasher::new_with_initial_len(crc32, size));
        }
        upload.finish()
    }
}
