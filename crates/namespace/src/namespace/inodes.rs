//! Inodes and names in directories, as a mount sees them.

use std::ops::Range;

use super::Namespace;
use crate::attributes::{Attributes, ETag, Entry, Extent, Mirrored};
use crate::buckets::{self, Bucket};
use crate::engine::Read as _;
use crate::error::NamespaceError;
use crate::keys;
use crate::tree;
use crate::tree::keyed::{self, FileRecord};
use crate::tree::patches::{self, Patch};
use crate::tree::posix::{self, NewInode, RenameMode, SetAttributes, SetMode};
use crate::tree::ranges;
use crate::tree::shared::ContentSource;

impl Namespace {
    /// The attributes of what a mount shows under `name`.
    pub async fn lookup(&self, parent: u64, name: &[u8]) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.read(move |read| posix::lookup(read, parent, &name)).await
    }

    /// The attributes of an inode.
    pub async fn attributes(&self, inode: u64) -> Result<Attributes, NamespaceError> {
        self.read(move |read| posix::get_attributes(read, inode)).await
    }

    /// Everything about an inode.
    pub async fn record(&self, inode: u64) -> Result<FileRecord, NamespaceError> {
        self.read(move |read| keyed::record(read, inode)).await
    }

    /// Where an inode's (first) name stands: the directory and the name in its key. A bucket's root stands in [`keys::ROOT`].
    pub async fn location(&self, inode: u64) -> Result<(u64, Vec<u8>), NamespaceError> {
        self.read(move |read| {
            let row = tree::inode(read, inode)?;
            Ok((if row.parent == inode { keys::ROOT } else { row.parent }, row.name))
        })
        .await
    }

    /// The bucket whose topmost directory is `root`.
    pub async fn bucket_of(&self, root: u64) -> Result<Bucket, NamespaceError> {
        self.read(move |read| buckets::of_root(read, root)).await
    }

    /// Entries of a directory that a mount shows, after the name `after` as an earlier page gave it; and where to go on.
    pub async fn read_directory(
        &self,
        inode: u64,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<Vec<u8>>), NamespaceError> {
        self.read(move |read| posix::read_directory(read, inode, after.as_deref(), limit)).await
    }

    /// Names in a directory that a mount cannot show, as they stand in keys; a page, and where to go on.
    pub async fn hidden_names(
        &self,
        inode: u64,
        after: Option<Vec<u8>>,
    ) -> Result<(Vec<Vec<u8>>, Option<Vec<u8>>), NamespaceError> {
        self.read(move |read| posix::hidden_names(read, inode, after.as_deref())).await
    }

    /// Makes a file, directory, link or node under a free name.
    pub async fn make(&self, parent: u64, name: &[u8], new: NewInode) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::make(tx, parent, &name, &new)).await
    }

    /// Gives a file another name.
    pub async fn link(&self, inode: u64, parent: u64, name: &[u8]) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::link(tx, inode, parent, &name)).await
    }

    /// Removes a file's name.
    pub async fn unlink(&self, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::unlink(tx, parent, &name)).await
    }

    /// Removes an empty directory.
    pub async fn remove_directory(&self, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::remove_directory(tx, parent, &name)).await
    }

    /// Moves a name.
    pub async fn rename(
        &self,
        parent: u64,
        name: &[u8],
        new_parent: u64,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), NamespaceError> {
        let (name, new_name) = (name.to_vec(), new_name.to_vec());
        self.write(move |tx| posix::rename(tx, parent, &name, new_parent, &new_name, mode)).await
    }

    /// Changes attributes.
    pub async fn set_attributes(&self, inode: u64, set: SetAttributes) -> Result<Attributes, NamespaceError> {
        let attributes = self.write(move |tx| posix::set_attributes(tx, inode, &set)).await?;
        if set.size.is_some() {
            self.note_kept(inode);
        }
        Ok(attributes)
    }

    /// Notes that a file was read now, where the time of its last access is older than its last change, or than a day.
    pub async fn note_access(&self, inode: u64) -> Result<(), NamespaceError> {
        self.write(move |tx| posix::note_access(tx, inode)).await
    }

    /// Sets an extended attribute, or removes it (no value); notes how much of all of them is mirrored now.
    pub async fn set_extended(
        &self,
        inode: u64,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
        mirrored: Mirrored,
    ) -> Result<(), NamespaceError> {
        let (name, value) = (name.to_vec(), value.map(<[u8]>::to_vec));
        self.write(move |tx| posix::set_extended(tx, inode, &name, value.as_deref(), mode, mirrored)).await
    }

    /// Replaces the content of an inode.
    pub async fn set_content(
        &self,
        inode: u64,
        extents: Vec<Extent>,
        size: u64,
        etag: ETag,
        mtime: Option<i64>,
    ) -> Result<Attributes, NamespaceError> {
        let written =
            self.write(move |tx| posix::set_content(tx, inode, &extents, size, etag, mtime)).await?;
        self.note_kept(inode);
        Ok(written)
    }

    /// Replaces parts of the content of an inode, if it still is the one that the rest is of.
    pub async fn patch_content(
        &self,
        inode: u64,
        patch: Patch,
        etag: ETag,
        mtime: Option<i64>,
    ) -> Result<Attributes, NamespaceError> {
        let written = self.write(move |tx| patches::apply(tx, inode, &patch, etag, mtime)).await?;
        self.note_kept(inode);
        Ok(written)
    }

    /// Takes a range's bytes away: it reads as zeros. The content grows up to the end of the range where `grows` says so.
    pub async fn zero_range(
        &self,
        inode: u64,
        range: Range<u64>,
        grows: bool,
    ) -> Result<Attributes, NamespaceError> {
        let zeroed = self.write(move |tx| ranges::zero(tx, inode, range.clone(), grows)).await?;
        self.note_kept(inode);
        Ok(zeroed)
    }

    /// Puts up to `length` bytes of `source` from `from` on over those of `inode` from `to` on, by using the same files; how many that were.
    pub async fn copy_range(
        &self,
        (source, from): (ContentSource, u64),
        (inode, to): (u64, u64),
        length: u64,
    ) -> Result<u64, NamespaceError> {
        let copied = self.write(move |tx| ranges::copy(tx, &source, from, inode, to, length)).await?.1;
        self.note_kept(inode);
        Ok(copied)
    }

    /// What an inode was before it was opened is kept as far as its bucket wants that: until it is closed no more versions are made.
    fn note_kept(&self, inode: u64) {
        if self.shared.holds.lock().contains_key(&inode) {
            self.shared.kept.lock().insert(inode);
        }
    }

    /// Keeps an inode alive while somebody here has it open, even when its last name goes.
    pub fn hold(&self, inode: u64) {
        *self.shared.holds.lock().entry(inode).or_default() += 1;
    }

    /// Lets go of a held inode; one without a name is removed with the last hold.
    pub async fn release(&self, inode: u64) -> Result<(), NamespaceError> {
        let last = {
            let mut holds = self.shared.holds.lock();
            let left = holds.get(&inode).copied().unwrap_or_default().saturating_sub(1);
            match left {
                0 => {
                    self.shared.kept.lock().remove(&inode);
                    holds.remove(&inode)
                }
                left => holds.insert(inode, left),
            };
            left == 0
        };
        let orphaned = last && self.read(move |read| Ok(read.get(&keys::orphan(inode))?.is_some())).await?;
        if !orphaned {
            return Ok(());
        }
        self.write(move |tx| {
            if tx.get(&keys::orphan(inode))?.is_none() || tx.shared.holds.lock().contains_key(&inode) {
                return Ok(());
            }
            let mut row = tree::inode(tx, inode)?;
            tree::purge(tx, inode, &mut row)
        })
        .await
    }
}
