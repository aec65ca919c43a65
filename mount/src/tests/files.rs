//! The files of a cluster in memory, with the faults that tests want.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use fdfs_objects::{
    FileStat, FileStream, FileUpload, Files, FilesError, GroupSpace, NewUpload, OwnerToken, RawFile,
    RawFiles, UploadTarget,
};
use fdfs_types::{Extension, FileId, GroupName, Metadata, NameFields, RemoteFilename, SizeField, Source};
use futures_util::stream;
use parking_lot::Mutex;

/// The files of a cluster with one group, `group1`.
#[derive(Clone, Default)]
pub(super) struct MemoryFiles(Arc<Mutex<State>>);

/// What the files are, and what happened to them.
#[derive(Default)]
pub(super) struct State {
    files: BTreeMap<String, (Bytes, Metadata)>,
    /// Nothing can be reached.
    pub(super) away: bool,
    /// A read panics.
    pub(super) panics: bool,
    /// Streams that break at their first byte.
    pub(super) broken_streams: usize,
    /// Ranges that were asked for.
    pub(super) reads: Vec<(u64, u64)>,
    /// Lengths as said when uploads began.
    pub(super) uploads: Vec<Option<u64>>,
    /// Pieces that uploads came in.
    pub(super) pieces: usize,
    counter: u32,
}

impl State {
    /// Files that there are.
    pub(super) fn count(&self) -> usize {
        self.files.len()
    }
}

impl MemoryFiles {
    pub(super) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock())
    }

    /// Adds a file as an old client does.
    pub(super) fn add(&self, content: &[u8], extension: &str) -> FileId {
        self.store(&extension.parse().unwrap(), Bytes::copy_from_slice(content))
    }

    pub(super) fn content(&self, file: &str) -> Option<Bytes> {
        self.0.lock().files.get(file).map(|(content, _)| content.clone())
    }

    pub(super) fn metadata_of(&self, file: &str) -> Metadata {
        self.0.lock().files[file].1.clone()
    }

    fn store(&self, extension: &Extension, content: Bytes) -> FileId {
        let mut state = self.0.lock();
        state.counter += 1;
        let fields = NameFields {
            source: Source::Ip([127, 0, 0, 2].into()),
            created: 1_795_323_909,
            size: SizeField::normal(content.len() as u64, state.counter),
            crc32: crc32fast::hash(&content),
        };
        let directory = format!("M00/{:02X}/{:02X}", state.counter % 3, state.counter % 2);
        let name = format!("group1/{directory}/{}{}", fields.encode(), extension.tail(|| b'7'));
        state.files.insert(name.clone(), (content, Metadata::new()));
        name.parse().unwrap()
    }

    fn reach(&self) -> Result<(), FilesError> {
        if self.0.lock().away { Err(FilesError::Unavailable("away".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Files for MemoryFiles {
    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError> {
        self.reach()?;
        self.0.lock().uploads.push(new.length);
        Ok(Box::new(MemoryUpload { files: self.clone(), new, content: BytesMut::new() }))
    }

    async fn place(&self, _groups: &[GroupName]) -> Result<UploadTarget, FilesError> {
        let (group, storage) = ("group1".parse().unwrap(), "100001".parse().unwrap());
        Ok(UploadTarget { group, storage, path: 0 })
    }

    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError> {
        self.reach()?;
        let mut state = self.0.lock();
        assert!(!state.panics, "a fault that a test wants");
        state.reads.push((offset, length));
        if state.broken_streams > 0 {
            state.broken_streams -= 1;
            let broken = Err(FilesError::Unavailable("the stream broke".to_owned()));
            return Ok(Box::pin(stream::iter([broken])));
        }
        let (content, _) = state.files.get(&file.to_string()).ok_or(FilesError::NotFound)?;
        let content = content.slice(offset as usize..(offset + length) as usize);
        let chunks: Vec<_> = content.chunks(50_000).map(|chunk| Ok(content.slice_ref(chunk))).collect();
        Ok(Box::pin(stream::iter(chunks)))
    }

    async fn delete(&self, file: &FileId) -> Result<(), FilesError> {
        self.reach()?;
        self.0.lock().files.remove(&file.to_string()).map(drop).ok_or(FilesError::NotFound)
    }

    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError> {
        let content = self.content(&file.to_string()).ok_or(FilesError::NotFound)?;
        let fields = file.filename.fields().unwrap();
        let (size, created) = (content.len() as u64, fields.created().0);
        Ok(FileStat { size, created, crc32: fields.crc32, source: None })
    }

    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError> {
        let state = self.0.lock();
        let (_, metadata) = state.files.get(&file.to_string()).ok_or(FilesError::NotFound)?;
        Ok(metadata.clone())
    }

    async fn set_metadata(&self, file: &FileId, metadata: &Metadata) -> Result<(), FilesError> {
        self.reach()?;
        let mut state = self.0.lock();
        let (_, old) = state.files.get_mut(&file.to_string()).ok_or(FilesError::NotFound)?;
        *old = metadata.clone();
        Ok(())
    }

    async fn join(
        &self,
        _parts: &[FileId],
        _extension: &Extension,
        _owner: OwnerToken,
    ) -> Result<FileId, FilesError> {
        Err(FilesError::Unsupported)
    }

    async fn list(
        &self,
        group: &GroupName,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<RawFiles, FilesError> {
        let prefix = format!("{group}/M{store_path:02X}/");
        let after = after.map_or_else(|| prefix.clone(), |after| format!("{group}/{after}"));
        let state = self.0.lock();
        let listed = state.files.range(after.clone()..).filter(|(file, _)| **file > after);
        let mut files: Vec<RawFile> = listed
            .filter(|(file, _)| file.starts_with(&prefix))
            .map(|(file, (content, _))| RawFile {
                filename: file.parse::<FileId>().unwrap().filename,
                size: content.len() as u64,
            })
            .collect();
        let more = files.len() > limit;
        files.truncate(limit);
        Ok(RawFiles { files, more })
    }

    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError> {
        let name = "group1".parse().unwrap();
        Ok(vec![GroupSpace { name, total: 4_096_000, free: 409_600, store_paths: 1, subdirs: 3 }])
    }
}

struct MemoryUpload {
    files: MemoryFiles,
    new: NewUpload,
    content: BytesMut,
}

#[async_trait]
impl FileUpload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        self.files.reach()?;
        self.files.0.lock().pieces += 1;
        self.content.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<FileId, FilesError> {
        self.files.reach()?;
        Ok(self.files.store(&self.new.extension, self.content.freeze()))
    }
}
