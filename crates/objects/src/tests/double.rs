//! Files in memory, with the faults that tests want.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fdfs_types::{Extension, FileId, GroupName, Metadata, NameFields, RemoteFilename, SizeField, Source};
use futures_util::stream;
use parking_lot::Mutex;

use crate::*;

/// The files of a cluster that is not there.
#[derive(Clone, Default)]
pub(crate) struct MemoryFiles {
    state: Arc<Mutex<State>>,
    before_join: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

pub(crate) struct State {
    pub(crate) files: BTreeMap<String, (Bytes, Metadata)>,
    pub(crate) groups: Vec<GroupName>,
    /// Lengths as said at the beginning of uploads.
    pub(crate) lengths: Vec<Option<u64>>,
    /// Targets as asked for.
    pub(crate) targets: Vec<String>,
    pub(crate) refuses_empty: bool,
    pub(crate) cannot_join: bool,
    pub(crate) away: bool,
    counter: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            groups: vec!["group1".parse().unwrap()],
            lengths: Vec::new(),
            targets: Vec::new(),
            refuses_empty: false,
            cannot_join: false,
            away: false,
            counter: 0,
        }
    }
}

impl MemoryFiles {
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }

    pub(crate) fn before_join(
        &self,
        hook: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static,
    ) {
        *self.before_join.lock() = Some(Box::new(hook));
    }

    /// Adds a file as an old client does.
    pub(crate) fn add(&self, content: &'static [u8], extension: &str) -> FileId {
        let group = self.state.lock().groups[0];
        self.store(&group, &extension.parse().unwrap(), Bytes::from_static(content))
    }

    pub(crate) fn content(&self, file: &FileId) -> Option<Bytes> {
        self.state.lock().files.get(&file.to_string()).map(|(content, _)| content.clone())
    }

    pub(crate) fn metadata_of(&self, file: &FileId) -> Metadata {
        self.state.lock().files[&file.to_string()].1.clone()
    }

    pub(crate) fn ids(&self) -> Vec<FileId> {
        self.state.lock().files.keys().map(|file| file.parse().unwrap()).collect()
    }

    fn store(&self, group: &GroupName, extension: &Extension, content: Bytes) -> FileId {
        let mut state = self.state.lock();
        state.counter += 1;
        let fields = NameFields {
            source: Source::Ip([127, 0, 0, 2].into()),
            created: 1_795_323_909,
            size: SizeField::normal(content.len() as u64, state.counter),
            crc32: crc32fast::hash(&content),
        };
        let directory = format!("M00/{:02X}/{:02X}", state.counter % 3, state.counter % 2);
        let name = format!("{group}/{directory}/{}{}", fields.encode(), extension.tail(|| b'7'));
        let file: FileId = name.parse().unwrap();
        state.files.insert(name, (content, Metadata::new()));
        file
    }

    fn reach(&self) -> Result<(), FilesError> {
        if self.state.lock().away { Err(FilesError::Unavailable("away".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Files for MemoryFiles {
    async fn place(&self, groups: &[GroupName]) -> Result<UploadTarget, FilesError> {
        let group = groups.first().copied().unwrap_or_else(|| self.state.lock().groups[0]);
        Ok(UploadTarget { group, storage: "100001".parse().unwrap(), path: 0 })
    }

    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        if state.refuses_empty && new.length == Some(0) {
            return Err(FilesError::Unsupported);
        }
        state.lengths.push(new.length);
        state.targets.push(format!("{:?}", new.target));
        let group = new.groups.first().copied().unwrap_or(state.groups[0]);
        drop(state);
        Ok(Box::new(MemoryUpload { files: self.clone(), group, new, content: Vec::new() }))
    }

    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError> {
        self.reach()?;
        let content = self.content(file).ok_or(FilesError::NotFound)?;
        let range = offset as usize..(offset + length) as usize;
        let content = content.slice(range);
        let chunks: Vec<_> = content.chunks(2).map(|chunk| Ok(content.slice_ref(chunk))).collect();
        Ok(Box::pin(stream::iter(chunks)))
    }

    async fn delete(&self, file: &FileId) -> Result<(), FilesError> {
        self.reach()?;
        self.state.lock().files.remove(&file.to_string()).map(drop).ok_or(FilesError::NotFound)
    }

    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError> {
        let content = self.content(file).ok_or(FilesError::NotFound)?;
        let fields = file.filename.fields().unwrap();
        Ok(FileStat {
            size: content.len() as u64,
            created: fields.created().0,
            crc32: fields.crc32,
            source: None,
        })
    }

    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError> {
        let state = self.state.lock();
        let (_, metadata) = state.files.get(&file.to_string()).ok_or(FilesError::NotFound)?;
        if metadata.is_empty() { Err(FilesError::NotFound) } else { Ok(metadata.clone()) }
    }

    async fn set_metadata(&self, file: &FileId, metadata: &Metadata) -> Result<(), FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        let (_, old) = state.files.get_mut(&file.to_string()).ok_or(FilesError::NotFound)?;
        *old = metadata.clone();
        Ok(())
    }

    async fn join(
        &self,
        parts: &[FileId],
        extension: &Extension,
        _: OwnerToken,
    ) -> Result<FileId, FilesError> {
        if self.state.lock().cannot_join {
            return Err(FilesError::Unsupported);
        }
        let hook = self.before_join.lock().as_ref().map(|hook| hook());
        if let Some(hook) = hook {
            hook.await;
        }
        let mut whole = Vec::new();
        for part in parts {
            whole.extend_from_slice(&self.content(part).ok_or(FilesError::NotFound)?);
        }
        Ok(self.store(&parts[0].group, extension, whole.into()))
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
        let state = self.state.lock();
        let mut files = Vec::new();
        for (file, (content, _)) in state.files.range(after.clone()..) {
            if *file > after && file.starts_with(&prefix) {
                let file: FileId = file.parse().unwrap();
                files.push(RawFile { filename: file.filename, size: content.len() as u64 });
            }
        }
        // As a storage may: fewer than asked for.
        let more = files.len() > limit.min(7);
        files.truncate(limit.min(7));
        Ok(RawFiles { files, more })
    }

    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError> {
        let space = |name: &GroupName| GroupSpace {
            name: *name,
            total: 1_000_000,
            free: 400_000,
            store_paths: 1,
            subdirs: 3,
        };
        Ok(self.state.lock().groups.iter().map(space).collect())
    }
}

struct MemoryUpload {
    files: MemoryFiles,
    group: GroupName,
    new: NewUpload,
    content: Vec<u8>,
}

#[async_trait]
impl FileUpload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        self.content.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<FileId, FilesError> {
        Ok(self.files.store(&self.group, &self.new.extension, self.content.into()))
    }
}
