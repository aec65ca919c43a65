//! What is known of a file or directory apart from its name and bytes.

mod etag;

use std::collections::BTreeMap;

use fdfs_types::FileId;

use crate::error::NamespaceError;
use crate::rows::{ChecksumRow, EntryRow, ExtentRow, InodeRow, PairRow};
use crate::tree::versions::{self, VersionId};

pub use etag::{ETag, ParseETagError};

/// What an inode is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
}

/// Why a directory is there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DirectoryState {
    /// Somebody made it: it is listed as a key of its own.
    #[default]
    Explicit,
    /// It came with a key below it and goes with the last one.
    Implicit,
    /// Only older versions are below it.
    Ghost,
}

/// An inode's attributes, as a lookup, a HEAD or a stat wants them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    /// The inode's number.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// For directories: why it is there.
    pub state: DirectoryState,
    /// Bytes of content.
    pub size: u64,
    /// Permission bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Names of it; for directories 2 and one for each directory in it.
    pub links: u32,
    /// Last access, nanoseconds since 1970.
    pub atime: i64,
    /// Last change of content, as programs set it.
    pub mtime: i64,
    /// Last change of anything.
    pub ctime: i64,
    /// Birth.
    pub btime: i64,
    /// When the server committed the content, milliseconds since 1970: S3's Last-Modified.
    pub content_time: u64,
    /// The content's ETag; none for what has no content.
    pub etag: Option<ETag>,
    /// Which checksum is kept of the content, if any.
    pub checksum: Option<ChecksumForm>,
    /// Grows with every change of the inode.
    pub version: u64,
    /// The device, for block and character devices.
    pub device: u64,
    /// The root inode of its bucket.
    pub bucket: u64,
    /// Which version of its key it is.
    pub version_id: VersionId,
}

/// An entry of a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The name, without the slash that directories have in their key.
    pub name: Vec<u8>,
    /// The inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// For directories: why it is there.
    pub state: DirectoryState,
    /// Its attributes where the entry carries them: files with one link.
    pub attributes: Option<Attributes>,
}

/// A piece of content: bytes of a FastDFS file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extent {
    /// First byte of the content that it gives.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
    /// The file that holds them.
    pub file: FileId,
    /// Where in that file they begin.
    pub file_offset: u64,
    /// Others uploaded the file: it is never freed, whoever lets go of it.
    pub foreign: bool,
}

/// Extended attributes by full name (`user.width`).
pub type ExtendedAttributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// A header of the content that is kept and answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum ContentHeader {
    /// `Content-Type`.
    ContentType = 1,
    /// `Content-Encoding`.
    ContentEncoding = 2,
    /// `Content-Disposition`.
    ContentDisposition = 3,
    /// `Content-Language`.
    ContentLanguage = 4,
    /// `Cache-Control`.
    CacheControl = 5,
    /// `Expires`.
    Expires = 6,
    /// `x-amz-website-redirect-location`.
    WebsiteRedirect = 7,
    /// `x-amz-storage-class`.
    StorageClass = 8,
    /// The canned ACL; none is `private`. It is never answered as a header, and copies do not take it along.
    Acl = 9,
}

/// The kept headers of a content.
pub type ContentHeaders = BTreeMap<ContentHeader, String>;

/// Which checksum a content has, without its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChecksumForm {
    /// Which function, as in [`Checksum`].
    pub algorithm: u32,
    /// It is composed of the parts' checksums, not made of the whole content.
    pub composed: bool,
}

/// A checksum of the content that S3 keeps and answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checksum {
    /// Which function: 1 CRC32, 2 CRC32C, 3 CRC64NVME, 4 SHA1, 5 SHA256.
    pub algorithm: u32,
    /// 0 of the whole object, 1 composed of the parts'.
    pub kind: u32,
    /// The sum's bytes.
    pub value: Vec<u8>,
}

/// How much of an inode's `user.` attributes also stands in the file's FastDFS metadata.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mirrored {
    /// Nothing.
    #[default]
    None,
    /// All of it.
    Whole,
    /// What fits FastDFS's limits.
    Partial,
}

impl Kind {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::File => 0,
            Self::Directory => 1,
            Self::Symlink => 2,
            Self::Fifo => 3,
            Self::Socket => 4,
            Self::BlockDevice => 5,
            Self::CharDevice => 6,
        }
    }

    pub(crate) fn from_number(number: u32, family: char) -> Result<Self, NamespaceError> {
        Ok(match number {
            0 => Self::File,
            1 => Self::Directory,
            2 => Self::Symlink,
            3 => Self::Fifo,
            4 => Self::Socket,
            5 => Self::BlockDevice,
            6 => Self::CharDevice,
            _ => return Err(NamespaceError::Corrupt { family, what: "unknown kind" }),
        })
    }
}

impl DirectoryState {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Explicit => 0,
            Self::Implicit => 1,
            Self::Ghost => 2,
        }
    }

    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Implicit,
            2 => Self::Ghost,
            _ => Self::Explicit,
        }
    }
}

impl Mirrored {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Whole => 1,
            Self::Partial => 2,
        }
    }

    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Whole,
            2 => Self::Partial,
            _ => Self::None,
        }
    }
}

impl ContentHeader {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::ContentType,
            2 => Self::ContentEncoding,
            3 => Self::ContentDisposition,
            4 => Self::ContentLanguage,
            5 => Self::CacheControl,
            6 => Self::Expires,
            7 => Self::WebsiteRedirect,
            8 => Self::StorageClass,
            9 => Self::Acl,
            _ => return None,
        })
    }
}

impl ChecksumForm {
    /// As an entry carries it; 0 is none.
    pub(crate) fn number(form: Option<Self>) -> u32 {
        form.map_or(0, |form| form.algorithm.saturating_mul(2) + u32::from(form.composed))
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        (number > 1).then_some(Self { algorithm: number / 2, composed: number % 2 == 1 })
    }

    pub(crate) fn of_rows(rows: &[ChecksumRow]) -> Option<Self> {
        rows.first().map(|row| Self { algorithm: row.algorithm, composed: row.kind == 1 })
    }
}

impl Attributes {
    pub(crate) fn of_inode(inode: u64, row: &InodeRow) -> Result<Self, NamespaceError> {
        Ok(Self {
            inode,
            kind: Kind::from_number(row.kind, 'i')?,
            state: DirectoryState::from_number(row.state),
            size: row.size,
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            links: row.links,
            atime: row.atime,
            mtime: row.mtime,
            ctime: row.ctime,
            btime: row.btime,
            content_time: row.content_time,
            etag: ETag::from_row(&row.etag, row.etag_parts),
            checksum: ChecksumForm::of_rows(&row.checksums),
            version: row.version,
            device: row.device,
            bucket: row.bucket,
            version_id: versions::of_row(row),
        })
    }
}

impl Entry {
    /// Reads an entry; `name` is the name in its key.
    pub(crate) fn of_row(name: &[u8], row: &EntryRow) -> Result<Self, NamespaceError> {
        let kind = Kind::from_number(row.kind, 'e')?;
        let state = DirectoryState::from_number(row.state);
        let attributes = row.mode.map(|mode| Attributes {
            inode: row.inode,
            kind,
            state,
            size: row.size,
            mode,
            uid: row.uid,
            gid: row.gid,
            links: 1,
            atime: row.atime.unwrap_or(row.mtime),
            mtime: row.mtime,
            ctime: row.ctime,
            btime: row.ctime,
            content_time: row.content_time,
            etag: ETag::from_row(&row.etag, row.etag_parts),
            checksum: ChecksumForm::from_number(row.checksum),
            ..Attributes::default()
        });
        let name = if kind == Kind::Directory { name.strip_suffix(b"/").unwrap_or(name) } else { name };
        Ok(Self { name: name.to_vec(), inode: row.inode, kind, state, attributes })
    }
}

impl Extent {
    /// The whole of `file`, `length` bytes, as a content.
    pub fn whole(file: FileId, length: u64) -> Self {
        Self { offset: 0, length, file, file_offset: 0, foreign: false }
    }

    /// The first byte after it.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    pub(crate) fn of_row(row: &ExtentRow) -> Result<Self, NamespaceError> {
        let file = row.file.parse();
        Ok(Self {
            offset: row.offset,
            length: row.length,
            file: file.map_err(|_| NamespaceError::Corrupt { family: 'i', what: "an extent's file ID" })?,
            file_offset: row.file_offset,
            foreign: row.foreign,
        })
    }

    pub(crate) fn to_row(&self) -> ExtentRow {
        ExtentRow {
            offset: self.offset,
            length: self.length,
            file: self.file.to_string(),
            file_offset: self.file_offset,
            foreign: self.foreign,
        }
    }
}

pub(crate) fn pairs_to_rows(pairs: &ExtendedAttributes) -> Vec<PairRow> {
    pairs.iter().map(|(name, value)| PairRow { name: name.clone(), value: value.clone() }).collect()
}

pub(crate) fn pairs_of_rows(rows: &[PairRow]) -> ExtendedAttributes {
    rows.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
}
