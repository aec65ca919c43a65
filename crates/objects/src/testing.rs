//! A double of a cluster's files, in memory, with the faults that tests want. Only tests and the feature `testing` compile it.
#![expect(clippy::unwrap_used, reason = "a double panics where a test is wrong")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use fdfs_client::{FilePiece, Piece};
use fdfs_types::{
    Extension, FileId, GroupName, Metadata, NameFields, RemoteFilename, SizeField, Source, StorageStatus,
};
use futures_util::{TryStreamExt as _, stream};
use parking_lot::Mutex;

use crate::{
    FileStat, FileStream, FileUpload, Files, FilesError, GroupSpace, NewUpload, OwnerToken, PieceStream,
    RawFile, RawFiles, Replica, TokenKeeper, UploadTarget, WriteConcern,
};

/// The files of a cluster that is not there; a clone shares them.
#[derive(Clone, Default)]
pub struct MemoryFiles {
    state: Arc<Mutex<State>>,
    before_join: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What the files are, what happened to them, and what is to go wrong.
pub struct State {
    /// Content and metadata by file ID.
    pub files: BTreeMap<String, (Bytes, Metadata)>,
    /// The groups; `group1` at first.
    pub groups: Vec<GroupName>,
    /// Lengths as said when uploads began.
    pub lengths: Vec<Option<u64>>,
    /// Write concerns as asked for by uploads and joins.
    pub concerns: Vec<WriteConcern>,
    /// Targets as asked for.
    pub targets: Vec<String>,
    /// Ranges that were asked for.
    pub reads: Vec<(u64, u64)>,
    /// Pieces that uploads came in.
    pub pieces: usize,
    /// Longest piece that a read comes in.
    pub read_piece: usize,
    /// Files lie on this machine: reads come as pieces of files, each of this length at the most.
    pub lent_piece: Option<usize>,
    /// Whose files are, by owner and sequence.
    pub tokens: BTreeMap<(u64, u64), FileId>,
    /// Empty files are refused, as original storages do.
    pub refuses_empty: bool,
    /// Files cannot be joined, as at original storages.
    pub cannot_join: bool,
    /// Private files are kept private.
    pub keeps_private: bool,
    /// Nothing can be reached.
    pub away: bool,
    /// A read panics.
    pub panics: bool,
    /// Streams that break at their first byte.
    pub broken_streams: usize,
    counter: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            groups: vec!["group1".parse().unwrap()],
            lengths: Vec::new(),
            concerns: Vec::new(),
            targets: Vec::new(),
            reads: Vec::new(),
            pieces: 0,
            read_piece: 50_000,
            lent_piece: None,
            tokens: BTreeMap::new(),
            refuses_empty: false,
            cannot_join: false,
            keeps_private: false,
            away: false,
            panics: false,
            broken_streams: 0,
            counter: 0,
        }
    }
}

impl MemoryFiles {
    /// Looks at the state, or changes it.
    pub fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Runs `hook` whenever files are to be joined, before they are.
    pub fn before_join(&self, hook: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static) {
        *self.before_join.lock() = Some(Box::new(hook));
    }

    /// Adds a file as an old client does.
    pub fn add(&self, content: &[u8], extension: &str) -> FileId {
        let group = self.state.lock().groups[0];
        self.store(&group, &extension.parse().unwrap(), Bytes::copy_from_slice(content), false)
    }

    /// The content of a file, if there is one.
    pub fn content(&self, file: &impl Display) -> Option<Bytes> {
        self.state.lock().files.get(&file.to_string()).map(|(content, _)| content.clone())
    }

    /// The metadata of a file that there is.
    pub fn metadata_of(&self, file: &impl Display) -> Metadata {
        self.state.lock().files[&file.to_string()].1.clone()
    }

    /// Every file, in byte order.
    pub fn ids(&self) -> Vec<FileId> {
        self.state.lock().files.keys().map(|file| file.parse().unwrap()).collect()
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.state.lock().files.len()
    }

    fn store(&self, group: &GroupName, extension: &Extension, content: Bytes, private: bool) -> FileId {
        let mut state = self.state.lock();
        state.counter += 1;
        let size = SizeField::normal(content.len() as u64, state.counter);
        let fields = NameFields {
            source: Source::Ip([127, 0, 0, 2].into()),
            created: 1_795_323_909,
            size: if private { size.private() } else { size },
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
        self.reach()?;
        let group = groups.first().copied().unwrap_or_else(|| self.state.lock().groups[0]);
        Ok(UploadTarget { group, storage: "100001".parse().unwrap(), path: 0 })
    }

    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        if state.refuses_empty && new.length == Some(0) {
            return Err(FilesError::Unsupported);
        }
        if new.private && !state.keeps_private {
            return Err(FilesError::Unsupported);
        }
        state.lengths.push(new.length);
        state.concerns.push(new.write_concern);
        state.targets.push(format!("{:?}", new.target));
        let group = new.groups.first().copied().unwrap_or(state.groups[0]);
        drop(state);
        Ok(Box::new(MemoryUpload { files: self.clone(), group, new, content: BytesMut::new() }))
    }

    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        assert!(!state.panics, "a fault that a test wants");
        state.reads.push((offset, length));
        if state.broken_streams > 0 {
            state.broken_streams -= 1;
            let broken = Err(FilesError::Unavailable("the stream broke".to_owned()));
            return Ok(Box::pin(stream::iter([broken])));
        }
        let (content, _) = state.files.get(&file.to_string()).ok_or(FilesError::NotFound)?;
        let content = content.slice(offset as usize..(offset + length) as usize);
        let pieces = content.chunks(state.read_piece).map(|piece| Ok(content.slice_ref(piece)));
        Ok(Box::pin(stream::iter(pieces.collect::<Vec<_>>())))
    }

    async fn read_pieces(&self, file: &FileId, offset: u64, length: u64) -> Result<PieceStream, FilesError> {
        let Some(most) = self.state.lock().lent_piece else {
            return Ok(Box::pin(self.read(file, offset, length).await?.map_ok(Piece::Bytes)));
        };
        let content = self.content(file).ok_or(FilesError::NotFound)?;
        let mut lent = tempfile::tempfile().unwrap();
        lent.write_all(&content).unwrap();
        let lent = Arc::new(lent);
        self.state.lock().reads.push((offset, length));
        let pieces = (offset..offset + length).step_by(most).map(move |at| {
            let length = most.min((offset + length - at) as usize);
            Ok(Piece::File(FilePiece { file: Arc::clone(&lent), offset: at, length }))
        });
        Ok(Box::pin(stream::iter(pieces)))
    }

    async fn delete(&self, file: &FileId) -> Result<(), FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        state.tokens.retain(|_, owned| owned != file);
        state.files.remove(&file.to_string()).map(drop).ok_or(FilesError::NotFound)
    }

    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError> {
        self.reach()?;
        let content = self.content(file).ok_or(FilesError::NotFound)?;
        let fields = file.filename.fields().unwrap();
        Ok(FileStat {
            size: content.len() as u64,
            created: fields.created().0,
            crc32: fields.crc32,
            source: None,
        })
    }

    async fn replicas(&self, file: &FileId) -> Result<Vec<Replica>, FilesError> {
        self.reach()?;
        self.content(file).ok_or(FilesError::NotFound)?;
        let replica = |id: &str, address: &str, status| Replica {
            storage: id.parse().unwrap(),
            address: address.parse().ok(),
            status,
        };
        Ok(vec![
            replica("100001", "10.0.0.1", StorageStatus::Active),
            replica("100002", "", StorageStatus::Offline),
        ])
    }

    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError> {
        self.reach()?;
        let state = self.state.lock();
        let (_, metadata) = state.files.get(&file.to_string()).ok_or(FilesError::NotFound)?;
        Ok(metadata.clone())
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
        owner: OwnerToken,
        write_concern: WriteConcern,
    ) -> Result<FileId, FilesError> {
        self.reach()?;
        self.state.lock().concerns.push(write_concern);
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
        let private = parts.iter().any(|part| part.filename.is_private());
        let file = self.store(&parts[0].group, extension, whole.into(), private);
        self.state.lock().tokens.insert((owner.session, owner.sequence), file.clone());
        Ok(file)
    }

    async fn list(
        &self,
        group: &GroupName,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<RawFiles, FilesError> {
        self.reach()?;
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

    async fn keeps_private(&self, _groups: &[GroupName]) -> Result<bool, FilesError> {
        self.reach()?;
        Ok(self.state.lock().keeps_private)
    }

    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError> {
        self.reach()?;
        let space = |name: &GroupName| GroupSpace {
            name: *name,
            total: 4_096_000,
            free: 409_600,
            store_paths: 1,
            subdirs: 3,
        };
        Ok(self.state.lock().groups.iter().map(space).collect())
    }

    async fn keepers(&self) -> Result<Vec<TokenKeeper>, FilesError> {
        self.reach()?;
        let group = self.state.lock().groups[0];
        let address = ([127, 0, 0, 2], 23_000).into();
        Ok(vec![TokenKeeper { group, storage: "100001".parse().unwrap(), address }])
    }

    async fn owned(
        &self,
        _: &TokenKeeper,
        owner: u64,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, FileId)>, bool), FilesError> {
        self.reach()?;
        let state = self.state.lock();
        let range = state.tokens.range((owner, after.saturating_add(1))..=(owner, u64::MAX));
        // As a storage may: fewer than asked for.
        let limit = limit.min(2);
        let files: Vec<_> = range.map(|((_, sequence), file)| (*sequence, file.clone())).collect();
        let more = files.len() > limit;
        Ok((files.into_iter().take(limit).collect(), more))
    }

    async fn forget(&self, _: &TokenKeeper, owner: u64, sequences: Vec<u64>) -> Result<(), FilesError> {
        self.reach()?;
        let mut state = self.state.lock();
        sequences.into_iter().for_each(|sequence| drop(state.tokens.remove(&(owner, sequence))));
        Ok(())
    }
}

struct MemoryUpload {
    files: MemoryFiles,
    group: GroupName,
    new: NewUpload,
    content: BytesMut,
}

#[async_trait]
impl FileUpload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        self.files.reach()?;
        self.files.state.lock().pieces += 1;
        self.content.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<FileId, FilesError> {
        self.files.reach()?;
        let file =
            self.files.store(&self.group, &self.new.extension, self.content.freeze(), self.new.private);
        if let Some(owner) = self.new.owner {
            self.files.state.lock().tokens.insert((owner.session, owner.sequence), file.clone());
        }
        Ok(file)
    }
}
