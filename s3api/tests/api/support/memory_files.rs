//! The files of a cluster, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use fdfs_objects::{
    FileStat, FileStream, FileUpload, Files, FilesError, GroupSpace, NewUpload, OwnerToken, RawFile,
    RawFiles, UploadTarget,
};
use fdfs_types::{
    Extension, FileId, GroupName, Metadata, NameFields, RemoteFilename, SizeField, Source, Subdir,
};
use futures_util::stream;
use parking_lot::Mutex;

/// The files of a cluster with the one group `group1`.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryFiles {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Bytes>>,
    metadata: Mutex<BTreeMap<String, Metadata>>,
    count: AtomicU32,
    broken: AtomicBool,
}

impl MemoryFiles {
    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.shared.files.lock().len()
    }

    /// From now on nothing can be reached.
    pub(crate) fn break_down(&self) {
        self.shared.broken.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), FilesError> {
        match self.shared.broken.load(Ordering::SeqCst) {
            true => Err(FilesError::Unavailable("broken down".into())),
            false => Ok(()),
        }
    }

    fn store(&self, bytes: Bytes, extension: &Extension) -> FileId {
        let count = self.shared.count.fetch_add(1, Ordering::SeqCst);
        let fields = NameFields {
            source: Source::Ip([127, 0, 0, 1].into()),
            created: 1_800_000_000 + count,
            size: SizeField::normal(bytes.len() as u64, count),
            crc32: 0,
        };
        let extension = extension.to_string();
        let dotted = if extension.is_empty() { String::new() } else { format!(".{extension}") };
        let tail = format!("{:0width$}{dotted}", count % 10, width = 7 - dotted.len());
        let filename = RemoteFilename::compose(0, Subdir { high: 0, low: 0 }, &fields, None, &tail).unwrap();
        let file = FileId { group: "group1".parse().unwrap(), filename };
        self.shared.files.lock().insert(file.to_string(), bytes);
        file
    }

    fn get(&self, file: &FileId) -> Result<Bytes, FilesError> {
        self.check()?;
        self.shared.files.lock().get(&file.to_string()).cloned().ok_or(FilesError::NotFound)
    }
}

#[async_trait]
impl Files for MemoryFiles {
    async fn place(&self, _: &[GroupName]) -> Result<UploadTarget, FilesError> {
        self.check()?;
        Ok(UploadTarget { group: "group1".parse().unwrap(), storage: "127.0.0.1".parse().unwrap(), path: 0 })
    }

    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError> {
        self.check()?;
        Ok(Box::new(MemoryUpload { files: self.clone(), new, bytes: BytesMut::new() }))
    }

    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError> {
        let bytes = self.get(file)?;
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        let bytes = bytes.slice(range);
        let pieces: Vec<_> = bytes.chunks(64 * 1024).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        Ok(Box::pin(stream::iter(pieces)))
    }

    async fn delete(&self, file: &FileId) -> Result<(), FilesError> {
        self.check()?;
        self.shared.files.lock().remove(&file.to_string()).map(drop).ok_or(FilesError::NotFound)
    }

    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError> {
        let size = self.get(file)?.len() as u64;
        Ok(FileStat { size, created: 1_800_000_000, crc32: 0, source: None })
    }

    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError> {
        Ok(self.shared.metadata.lock().get(&file.to_string()).cloned().unwrap_or_default())
    }

    async fn set_metadata(&self, file: &FileId, metadata: &Metadata) -> Result<(), FilesError> {
        self.shared.metadata.lock().insert(file.to_string(), metadata.clone());
        Ok(())
    }

    async fn join(
        &self,
        parts: &[FileId],
        extension: &Extension,
        _: OwnerToken,
    ) -> Result<FileId, FilesError> {
        let mut joined = BytesMut::new();
        for part in parts {
            joined.extend_from_slice(&self.get(part)?);
        }
        Ok(self.store(joined.freeze(), extension))
    }

    async fn list(
        &self,
        group: &GroupName,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<RawFiles, FilesError> {
        let prefix = format!("{group}/M{store_path:02X}/");
        let after = after.map(|after| format!("{group}/{}", after.as_str())).unwrap_or_default();
        let stored = self.shared.files.lock();
        let mut listed =
            stored.iter().filter(|(id, _)| id.starts_with(&prefix) && **id > after).map(|(id, bytes)| {
                let file: FileId = id.parse().unwrap();
                RawFile { filename: file.filename, size: bytes.len() as u64 }
            });
        let files = listed.by_ref().take(limit).collect();
        Ok(RawFiles { files, more: listed.next().is_some() })
    }

    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError> {
        self.check()?;
        let name = "group1".parse().unwrap();
        Ok(vec![GroupSpace { name, total: 1 << 40, free: 1 << 39, store_paths: 1, subdirs: 256 }])
    }
}

struct MemoryUpload {
    files: MemoryFiles,
    new: NewUpload,
    bytes: BytesMut,
}

#[async_trait]
impl FileUpload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        self.files.check()?;
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<FileId, FilesError> {
        self.files.check()?;
        Ok(self.files.store(self.bytes.freeze(), &self.new.extension))
    }
}
