//! Objects by inode, as a mount sees them: buckets in the root, directories and files below, raw files under `M00`.

use std::ops::Range;
use std::sync::Arc;

use fdfs_namespace::{
    Attributes, Bucket, ContentSource, Entry, Kind, NamespaceError, NewBucket, NewInode, Preconditions, ROOT,
    RenameMode, SetAttributes,
};

use crate::error::ObjectsError;
use crate::files::NewUpload;
use crate::info::{ObjectInfo, split_record};
use crate::objects::Objects;
use crate::patch::ContentPatch;
use crate::raw::{self, RawPath};
use crate::reader::ObjectReader;
use crate::writer::{Destination, Incoming, ObjectWriter, extension_of};

/// An entry of a directory, with its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: Vec<u8>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A page of a directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectoryPage {
    /// The entries, in byte order of their keys. A page may be short of what was asked for, or empty, and not be the last.
    pub entries: Vec<DirectoryEntry>,
    /// What to ask the next page with; none after the last.
    pub next: Option<Vec<u8>>,
}

/// Space, as statfs tells it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
}

impl Objects {
    /// The attributes of what stands under `name` in a directory.
    pub async fn lookup(&self, parent: u64, name: &[u8]) -> Result<Attributes, ObjectsError> {
        match self.place(parent, name).await? {
            Place::Root => {
                let bucket = self.bucket(&bucket_name(name)?).await.map_err(no_entry)?;
                Ok(self.names.attributes(bucket.root).await?)
            }
            Place::Raw(path) => self.raw_attributes(&path).await,
            Place::Tree => Ok(self.names.lookup(parent, name).await?),
        }
    }

    /// The attributes of an inode.
    pub async fn attributes(&self, inode: u64) -> Result<Attributes, ObjectsError> {
        if inode == ROOT {
            return Ok(root_attributes());
        }
        match self.raw_inodes.path(inode) {
            Some(path) => self.raw_attributes(&path?).await,
            None => Ok(self.names.attributes(inode).await?),
        }
    }

    /// Everything that is known of an inode but its bytes.
    pub async fn inode_info(&self, inode: u64) -> Result<ObjectInfo, ObjectsError> {
        if inode == ROOT {
            return Ok(ObjectInfo { attributes: root_attributes(), ..ObjectInfo::default() });
        }
        match self.raw_inodes.path(inode) {
            Some(path) => {
                let path = path?;
                match path.file() {
                    Some(_) => self.raw_info(&path).await,
                    None => Ok(ObjectInfo {
                        attributes: self.raw_attributes(&path).await?,
                        raw: true,
                        ..ObjectInfo::default()
                    }),
                }
            }
            None => Ok(split_record(self.names.record(inode).await?).0),
        }
    }

    /// Changes attributes. A new size cuts the content, or is followed by zeros.
    pub async fn set_attributes(&self, inode: u64, set: SetAttributes) -> Result<Attributes, ObjectsError> {
        self.check_changeable(inode)?;
        Ok(self.names.set_attributes(inode, set).await?)
    }

    /// Notes that a file was read now, where the time of its last access is older than its last change, or than a day. No other time changes.
    pub async fn note_access(&self, inode: u64) -> Result<(), ObjectsError> {
        self.check_changeable(inode)?;
        Ok(self.names.note_access(inode).await?)
    }

    /// A page of a directory: none for the first, else what the page before gave as next. Raw trees are not among a group's entries.
    pub async fn read_directory(
        &self,
        inode: u64,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<DirectoryPage, ObjectsError> {
        if inode == ROOT {
            return self.read_root(after, limit).await;
        }
        if let Some(path) = self.raw_inodes.path(inode) {
            return self.read_raw_directory(&path?, after, limit).await;
        }
        let (entries, next) = self.names.read_directory(inode, after, limit).await?;
        let with_attributes = |entry: Entry| {
            let attributes = entry.attributes?;
            Some(DirectoryEntry { name: entry.name, attributes })
        };
        Ok(DirectoryPage { entries: entries.into_iter().filter_map(with_attributes).collect(), next })
    }

    /// Makes a file, directory, link or node. A directory in the root is a bucket.
    pub async fn make(&self, parent: u64, name: &[u8], new: NewInode) -> Result<Attributes, ObjectsError> {
        match self.place(parent, name).await? {
            Place::Root if new.kind == Kind::Directory => {
                let options = NewBucket {
                    mode: Some(new.mode),
                    inode_owner: Some((new.uid, new.gid)),
                    ..NewBucket::default()
                };
                let made = self.create_bucket(&bucket_name(name)?, options).await;
                let bucket = made.map_err(|error| match error {
                    ObjectsError::BucketExists => ObjectsError::AlreadyExists,
                    error => error,
                })?;
                Ok(self.names.attributes(bucket.root).await?)
            }
            Place::Root => Err(ObjectsError::NotPermitted("the root holds buckets only")),
            Place::Raw(_) => Err(RAW_READ_ONLY),
            Place::Tree => Ok(self.names.make(parent, name, new).await?),
        }
    }

    /// Gives a file another name in its bucket.
    pub async fn link(&self, inode: u64, parent: u64, name: &[u8]) -> Result<Attributes, ObjectsError> {
        self.check_changeable(inode)?;
        match self.place(parent, name).await? {
            Place::Tree => Ok(self.names.link(inode, parent, name).await?),
            Place::Root => Err(ObjectsError::NotPermitted("the root holds buckets only")),
            Place::Raw(_) => Err(RAW_READ_ONLY),
        }
    }

    /// Removes a file's name; a raw file where that is allowed.
    pub async fn unlink(&self, parent: u64, name: &[u8]) -> Result<(), ObjectsError> {
        match self.place(parent, name).await? {
            Place::Tree => Ok(self.names.unlink(parent, name).await?),
            Place::Root => Err(ObjectsError::IsDirectory),
            Place::Raw(path) if raw::kind(&path) == Kind::Directory => Err(ObjectsError::IsDirectory),
            Place::Raw(path) => self.raw_delete(&path).await,
        }
    }

    /// Removes an empty directory, or an empty bucket.
    pub async fn remove_directory(&self, parent: u64, name: &[u8]) -> Result<(), ObjectsError> {
        match self.place(parent, name).await? {
            Place::Tree => Ok(self.names.remove_directory(parent, name).await?),
            Place::Raw(_) => Err(RAW_READ_ONLY),
            Place::Root => self.delete_bucket(&bucket_name(name)?).await.map_err(|error| match error {
                ObjectsError::BucketNotEmpty => ObjectsError::NotEmpty,
                error => no_entry(error),
            }),
        }
    }

    /// Moves a name in its bucket.
    pub async fn rename_entry(
        &self,
        parent: u64,
        name: &[u8],
        new_parent: u64,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), ObjectsError> {
        let places = (self.place(parent, name).await?, self.place(new_parent, new_name).await?);
        match places {
            (Place::Tree, Place::Tree) => {
                Ok(self.names.rename(parent, name, new_parent, new_name, mode).await?)
            }
            (Place::Root, Place::Root) => Err(ObjectsError::NotPermitted("buckets are not renamed")),
            (Place::Raw(_), _) | (_, Place::Raw(_)) => Err(RAW_READ_ONLY),
            _ => Err(ObjectsError::CrossBucket),
        }
    }

    /// Opens a file for reading: it reads the content of now, whatever happens to it. To keep the inode itself alive while it is open, hold it.
    pub async fn open_inode(&self, inode: u64) -> Result<ObjectReader, ObjectsError> {
        let pin = self.pins.pin();
        if let Some(path) = self.raw_inodes.path(inode) {
            return self.raw_open(&path?, pin).await;
        }
        let (info, extents) = split_record(self.names.record(inode).await?);
        if info.attributes.kind == Kind::Directory {
            return Err(ObjectsError::IsDirectory);
        }
        Ok(ObjectReader::new(info, extents, Arc::clone(&self.files), pin))
    }

    /// Takes a range's bytes away: it reads as zeros. The content grows up to the end of the range where `grows` says so.
    pub async fn zero_range(
        &self,
        inode: u64,
        range: Range<u64>,
        grows: bool,
    ) -> Result<Attributes, ObjectsError> {
        self.check_changeable(inode)?;
        Ok(self.names.zero_range(inode, range, grows).await?)
    }

    /// Puts up to `length` bytes of one inode over those of another, each from an offset on. No byte moves: both use the same files. How many
    /// bytes that were.
    pub async fn copy_range(
        &self,
        (source, from): (u64, u64),
        (inode, to): (u64, u64),
        length: u64,
    ) -> Result<u64, ObjectsError> {
        self.check_changeable(inode)?;
        let source = match self.raw_inodes.path(source) {
            Some(_) => {
                let info = self.inode_info(source).await?;
                let size = info.size();
                ContentSource::File(info.file_id.ok_or(ObjectsError::IsDirectory)?, size)
            }
            None => ContentSource::Inode(source, Preconditions::default()),
        };
        Ok(self.names.copy_range((source, from), (inode, to), length).await?)
    }

    /// Begins to write a whole new content for a file, from its first byte to its last. However long it gets, it becomes one FastDFS file.
    pub async fn write_inode(
        self: &Arc<Self>,
        inode: u64,
        length: Option<u64>,
    ) -> Result<ObjectWriter, ObjectsError> {
        let new = self.content_of(inode, length).await?;
        Ok(ObjectWriter::new(Incoming::plain(self, new), Destination::Inode(inode)))
    }

    /// Begins to write parts of a file's content anew, one after the other. They become one FastDFS file; the rest stays where it is. The commit is
    /// refused ([`ObjectsError::PreconditionFailed`]) where the content is another by then.
    pub async fn write_parts(
        self: &Arc<Self>,
        inode: u64,
        patch: ContentPatch,
    ) -> Result<ObjectWriter, ObjectsError> {
        let new = self.content_of(inode, Some(patch.written())).await?;
        Ok(ObjectWriter::new(Incoming::plain(self, new), Destination::Parts(inode, patch)))
    }

    /// What an inode's new content is uploaded as.
    async fn content_of(&self, inode: u64, length: Option<u64>) -> Result<NewUpload, ObjectsError> {
        self.check_changeable(inode)?;
        let attributes = self.names.attributes(inode).await?;
        if attributes.kind != Kind::File {
            return Err(ObjectsError::IsDirectory);
        }
        let (_, name) = self.names.location(inode).await?;
        let bucket = self.names.bucket_of(attributes.bucket).await?;
        Ok(NewUpload {
            groups: Self::placement(&bucket),
            write_concern: self.settings.write_concern.of(&bucket.name),
            private: bucket.native_read_off,
            length,
            extension: extension_of(&name),
            ..NewUpload::default()
        })
    }

    /// Keeps an inode alive, whatever becomes of its names, until it is released as often as it was held.
    pub fn hold(&self, inode: u64) {
        self.names.hold(inode);
    }

    /// Lets go of a held inode.
    pub async fn release(&self, inode: u64) -> Result<(), ObjectsError> {
        Ok(self.names.release(inode).await?)
    }

    /// The space that content of an inode's bucket has; of all groups for the root.
    pub async fn space(&self, inode: u64) -> Result<Space, ObjectsError> {
        let groups = self.known_groups().await?;
        let wanted = match self.raw_inodes.path(inode) {
            Some(path) => vec![path?.group],
            None if inode == ROOT => Vec::new(),
            None => {
                let attributes = self.names.attributes(inode).await?;
                Self::placement(&self.names.bucket_of(attributes.bucket).await?)
            }
        };
        let counted = groups.iter().filter(|group| wanted.is_empty() || wanted.contains(&group.name));
        Ok(counted.fold(Space::default(), |space, group| Space {
            total: space.total.saturating_add(group.total),
            free: space.free.saturating_add(group.free),
        }))
    }

    async fn read_root(&self, after: Option<Vec<u8>>, limit: usize) -> Result<DirectoryPage, ObjectsError> {
        if after.is_none() {
            // A group that is new since the last look gets its bucket; a tracker that is away does not hide those known.
            let _ = self.refresh_groups_if_due().await;
        }
        let after = String::from_utf8_lossy(&after.unwrap_or_default()).into_owned();
        let buckets = self.names.buckets(&after, limit.max(1)).await?;
        let next = (buckets.len() == limit.max(1))
            .then(|| buckets.last().map(|last| last.name.clone().into_bytes()));
        let mut entries = Vec::with_capacity(buckets.len());
        for Bucket { name, root, .. } in buckets {
            match self.names.attributes(root).await {
                Ok(attributes) => entries.push(DirectoryEntry { name: name.into_bytes(), attributes }),
                // Removed since the list was read.
                Err(NamespaceError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(DirectoryPage { entries, next: next.flatten() })
    }

    /// Where a name of a directory belongs.
    async fn place(&self, parent: u64, name: &[u8]) -> Result<Place, ObjectsError> {
        if parent == ROOT {
            return Ok(Place::Root);
        }
        if let Some(path) = self.raw_inodes.path(parent) {
            let name = std::str::from_utf8(name).map_err(|_| ObjectsError::NotFound)?;
            return Ok(Place::Raw(path?.child(name)?));
        }
        if raw::is_store_path(name) {
            match self.names.bucket_of(parent).await {
                Ok(bucket) => return Ok(raw::store_path(&bucket, name).map_or(Place::Tree, Place::Raw)),
                Err(NamespaceError::NoSuchBucket) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Place::Tree)
    }

    fn check_changeable(&self, inode: u64) -> Result<(), ObjectsError> {
        if inode == ROOT {
            return Err(ObjectsError::NotPermitted("the root cannot be changed"));
        }
        if self.raw_inodes.path(inode).is_some() { Err(RAW_READ_ONLY) } else { Ok(()) }
    }
}

/// Where a name belongs.
enum Place {
    /// It is a bucket's.
    Root,
    /// It is a raw file's or directory's.
    Raw(RawPath),
    /// It has a row.
    Tree,
}

fn bucket_name(name: &[u8]) -> Result<String, ObjectsError> {
    String::from_utf8(name.to_vec()).map_err(|_| ObjectsError::InvalidName)
}

fn no_entry(error: ObjectsError) -> ObjectsError {
    match error {
        ObjectsError::NoSuchBucket => ObjectsError::NotFound,
        error => error,
    }
}

fn root_attributes() -> Attributes {
    Attributes { inode: ROOT, kind: Kind::Directory, mode: 0o755, links: 2, ..Attributes::default() }
}

const RAW_READ_ONLY: ObjectsError = ObjectsError::NotPermitted("raw files are read-only");
