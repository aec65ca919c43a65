//! Which contents there are, what they hold, and which links lead to them: rows in LMDB.
//!
//! Nothing here is the only copy: the index is made anew from the disk where it is in doubt. So commits are not synced;
//! what a process has committed outlives its `kill -9`, and after a power failure the index is made anew.

#[cfg(test)]
use std::collections::BTreeMap;
use std::{fs, io, ops::Bound, path::Path};

use fdfs_types::RemoteFilename;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls, types::Bytes};
use thiserror::Error;

use super::Signature;

/// The index.
#[derive(Clone)]
pub(crate) struct Index {
    env: Env<WithoutTls>,
    rows: Rows,
}

/// What is known of a content.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kept {
    /// It was made here, and goes for all members when its last link goes here.
    pub(crate) is_ours: bool,
    /// It has been deleted by another member, and goes here when its last link goes.
    pub(crate) is_condemned: bool,
    /// What equal contents have, too.
    pub(crate) signature: Option<Signature>,
}

/// A content without a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unlinked {
    pub(crate) name: RemoteFilename,
    pub(crate) kept: Kept,
}

/// Why the index cannot be used.
#[derive(Debug, Error)]
pub(crate) enum IndexError {
    #[error("{0}")]
    Lmdb(#[from] heed::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is shorter than it says")]
    Cut,
}

impl Index {
    /// Opens the index in a directory, which is made if it is missing. The caller sees to it that no other process does.
    pub(crate) fn open(directory: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(directory)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(MAX_READERS);
        #[expect(
            unsafe_code,
            reason = "a commit that is not synced may be lost by a power failure, as the module says"
        )]
        // SAFETY: a start after a power failure does not open the file that was written then, but a new one.
        unsafe {
            options.flags(EnvFlags::NO_SYNC);
        }
        #[expect(
            unsafe_code,
            reason = "LMDB maps its file; heed leaves it to the caller that nothing else changes it"
        )]
        // SAFETY: the base path is locked by this process, and the directory is the index's own.
        let env = unsafe { options.open(directory) }?;
        let txn = env.write_txn()?;
        let rows: Rows = env
            .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                Ok(CommitOrAbort::<_, ()>::Commit(opener.create_database(txn, None)?))
            })?
            .unwrap_commit();
        let index = Self { env, rows };
        // A page behind the end of the file would end the process.
        let pages = index.env.info().last_page_number as u64 + 1;
        let txn = index.env.read_txn()?;
        let page = u64::from(index.rows.stat(&txn)?.page_size);
        drop(txn);
        if index.env.real_disk_size()? < pages.saturating_mul(page) {
            return Err(IndexError::Cut);
        }
        Ok(index)
    }

    /// Whether all that is on the disk was entered.
    pub(crate) fn is_whole(&self) -> Result<bool, IndexError> {
        let txn = self.env.read_txn()?;
        Ok(self.rows.get(&txn, STATE)? == Some(FORMAT))
    }

    /// All that is on the disk has been entered.
    pub(crate) fn set_whole(&self) -> Result<(), IndexError> {
        if self.is_whole()? {
            return Ok(());
        }
        self.write(|txn, rows| rows.put(txn, STATE, FORMAT))
    }

    /// Contents with this signature, a few of them.
    pub(crate) fn candidates(&self, signature: &Signature) -> Result<Vec<RemoteFilename>, IndexError> {
        let txn = self.env.read_txn()?;
        let prefix = key(SIGNATURE, signature.as_bytes());
        let names = self.rows.prefix_iter(&txn, &prefix)?.take(CANDIDATES);
        Ok(names
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .filter_map(|(key, _)| name(&key[prefix.len()..]))
            .collect())
    }

    /// What is known of a content.
    pub(crate) fn content(&self, content: &RemoteFilename) -> Result<Option<Kept>, IndexError> {
        let txn = self.env.read_txn()?;
        Ok(get_content(&txn, self.rows, content)?)
    }

    /// The content that a link leads to.
    pub(crate) fn content_of(&self, link: &RemoteFilename) -> Result<Option<RemoteFilename>, IndexError> {
        let txn = self.env.read_txn()?;
        Ok(self.rows.get(&txn, &key(LINK, link.as_str().as_bytes()))?.and_then(name))
    }

    /// How many links lead to a content.
    #[cfg(test)]
    pub(crate) fn count(&self, content: &RemoteFilename) -> Result<u64, IndexError> {
        let txn = self.env.read_txn()?;
        let mut count = 0;
        for row in self.rows.prefix_iter(&txn, &references(content))? {
            row?;
            count += 1;
        }
        Ok(count)
    }

    /// Enters a content; without a link, unless it is known and has some.
    pub(crate) fn add_content(&self, content: &RemoteFilename, kept: Kept) -> Result<(), IndexError> {
        self.write(|txn, rows| put_found(txn, rows, content, kept))
    }

    /// Enters what equal contents have of a content that a peer has sent.
    pub(crate) fn learn(
        &self,
        content: &RemoteFilename,
        signature: Signature,
        is_ours: bool,
    ) -> Result<(), IndexError> {
        self.write(|txn, rows| {
            let known = get_content(txn, rows, content)?;
            let kept = known.unwrap_or(Kept { is_ours, ..Kept::default() });
            if kept.is_condemned || kept.signature == Some(signature) {
                return Ok(());
            }
            drop_signature(txn, rows, content, kept)?;
            put_content(txn, rows, content, Kept { signature: Some(signature), ..kept })
        })
    }

    /// Enters contents and links that are on the disk; what is known of a content already stays.
    pub(crate) fn add_all(
        &self,
        contents: &[(RemoteFilename, Kept)],
        links: &[(RemoteFilename, RemoteFilename)],
        is_ours: impl Fn(&RemoteFilename) -> bool,
    ) -> Result<(), IndexError> {
        self.write(|txn, rows| {
            for (content, kept) in contents {
                put_found(txn, rows, content, *kept)?;
            }
            for (link, content) in links {
                put_link(txn, rows, link, content, is_ours(content))?;
            }
            Ok(())
        })
    }

    /// Enters a new content with its first link.
    pub(crate) fn add_linked(
        &self,
        content: &RemoteFilename,
        kept: Kept,
        link: &RemoteFilename,
    ) -> Result<(), IndexError> {
        self.write(|txn, rows| {
            put_content(txn, rows, content, kept)?;
            put_link(txn, rows, link, content, kept.is_ours)
        })
    }

    /// Enters that a name is a link to a content, or not one any more; tells the content to be deleted that has
    /// lost its last link by that.
    pub(crate) fn set_link(
        &self,
        link: &RemoteFilename,
        content: Option<&RemoteFilename>,
        is_ours: bool,
    ) -> Result<Option<Unlinked>, IndexError> {
        let known = self.content_of(link)?;
        if known.as_ref() == content {
            return Ok(None);
        }
        self.write(|txn, rows| {
            let mut unlinked = None;
            if let Some(old) = known {
                rows.delete(txn, &key(LINK, link.as_str().as_bytes()))?;
                rows.delete(txn, &reference(&old, link))?;
                if let Some(kept) = get_content(txn, rows, &old)?
                    && !has_links(txn, rows, &old)?
                {
                    // Of others, their makers say when they go.
                    if kept.is_ours || kept.is_condemned {
                        rows.put(txn, &key(UNLINKED, old.as_str().as_bytes()), b"")?;
                        unlinked = Some(Unlinked { name: old, kept });
                    }
                }
            }
            if let Some(content) = content {
                put_link(txn, rows, link, content, is_ours)?;
            }
            Ok(unlinked)
        })
    }

    /// Whether a link leads to a content.
    pub(crate) fn has_links(&self, content: &RemoteFilename) -> Result<bool, IndexError> {
        let txn = self.env.read_txn()?;
        Ok(has_links(&txn, self.rows, content)?)
    }

    /// Enters that another member has deleted a content, if links lead to it here.
    pub(crate) fn condemn(&self, content: &RemoteFilename) -> Result<bool, IndexError> {
        if !self.has_links(content)? {
            return Ok(false);
        }
        self.write(|txn, rows| {
            let kept = get_content(txn, rows, content)?.unwrap_or_default();
            // Nothing more is to be linked to it.
            drop_signature(txn, rows, content, kept)?;
            put_content(txn, rows, content, Kept { is_condemned: true, signature: None, ..kept })?;
            has_links(txn, rows, content)
        })
    }

    /// Enters that the member that has made a content is no more: it goes here with its last link, and is told to be deleted
    /// if that has gone.
    pub(crate) fn release(&self, content: &RemoteFilename) -> Result<Option<Unlinked>, IndexError> {
        self.write(|txn, rows| {
            let Some(kept) = get_content(txn, rows, content)?.filter(|kept| !kept.is_ours) else {
                return Ok(None);
            };
            drop_signature(txn, rows, content, kept)?;
            let kept = Kept { is_condemned: true, signature: None, ..kept };
            put_found(txn, rows, content, kept)?;
            Ok((!has_links(txn, rows, content)?).then(|| Unlinked { name: content.clone(), kept }))
        })
    }

    /// Contents behind one, some at a time, in the order of their names.
    pub(crate) fn contents_after(
        &self,
        after: Option<&RemoteFilename>,
    ) -> Result<Vec<RemoteFilename>, IndexError> {
        let txn = self.env.read_txn()?;
        let begin = key(CONTENT, after.map_or(b"", |after| after.as_str().as_bytes()));
        let range = (Bound::Excluded(&begin[..]), Bound::Excluded(&[CONTENT + 1][..]));
        let page = self.rows.range(&txn, &range)?.take(PAGE).collect::<Result<Vec<_>, _>>()?;
        Ok(page.into_iter().filter_map(|(key, _)| name(&key[1..])).collect())
    }

    /// A content is not to be linked to any more: it is not what it was.
    pub(crate) fn forget_signature(&self, content: &RemoteFilename) -> Result<(), IndexError> {
        self.write(|txn, rows| match get_content(txn, rows, content)? {
            Some(kept) => {
                drop_signature(txn, rows, content, kept)?;
                put_content(txn, rows, content, Kept { signature: None, ..kept })
            }
            None => Ok(()),
        })
    }

    /// A content has gone. Links that are left stay entered.
    pub(crate) fn remove_content(&self, content: &RemoteFilename) -> Result<(), IndexError> {
        if self.content(content)?.is_none() {
            return Ok(());
        }
        self.write(|txn, rows| {
            if let Some(kept) = get_content(txn, rows, content)? {
                drop_signature(txn, rows, content, kept)?;
            }
            rows.delete(txn, &key(CONTENT, content.as_str().as_bytes()))?;
            rows.delete(txn, &key(UNLINKED, content.as_str().as_bytes()))?;
            Ok(())
        })
    }

    /// The contents without a link.
    pub(crate) fn unlinked(&self) -> Result<Vec<Unlinked>, IndexError> {
        let txn = self.env.read_txn()?;
        let mut found = Vec::new();
        for row in self.rows.prefix_iter(&txn, &[UNLINKED])? {
            let (key, _) = row?;
            let Some(name) = name(&key[1..]) else { continue };
            if let Some(kept) = get_content(&txn, self.rows, &name)? {
                found.push(Unlinked { name, kept });
            }
        }
        Ok(found)
    }

    /// Calls `each` for every link and the content that it leads to.
    pub(crate) fn for_each_link(
        &self,
        mut each: impl FnMut(&RemoteFilename, &RemoteFilename) -> io::Result<()>,
    ) -> Result<(), IndexError> {
        let txn = self.env.read_txn()?;
        for row in self.rows.prefix_iter(&txn, &[LINK])? {
            let (key, content) = row?;
            if let (Some(link), Some(content)) = (name(&key[1..]), name(content)) {
                each(&link, &content)?;
            }
        }
        Ok(())
    }

    /// Every row, for comparisons.
    #[cfg(test)]
    pub(crate) fn dump(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, IndexError> {
        let txn = self.env.read_txn()?;
        let mut rows = BTreeMap::new();
        for row in self.rows.iter(&txn)? {
            let (key, value) = row?;
            rows.insert(key.to_vec(), value.to_vec());
        }
        Ok(rows)
    }

    /// Contents, links, and contents without a link.
    pub(crate) fn counts(&self) -> Result<[u64; 3], IndexError> {
        let txn = self.env.read_txn()?;
        let mut counts = [0; 3];
        for (count, kind) in counts.iter_mut().zip([CONTENT, LINK, UNLINKED]) {
            for row in self.rows.prefix_iter(&txn, &[kind])? {
                row?;
                *count += 1;
            }
        }
        Ok(counts)
    }

    /// Puts everything on the disk.
    pub(crate) fn sync(&self) -> Result<(), IndexError> {
        Ok(self.env.force_sync()?)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut RwTxn<'_>, Rows) -> heed::Result<T>,
    ) -> Result<T, IndexError> {
        let mut txn = self.env.write_txn()?;
        let result = change(&mut txn, self.rows)?;
        txn.commit()?;
        Ok(result)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("path", &self.env.path()).finish()
    }
}

impl From<IndexError> for io::Error {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Io(error) | IndexError::Lmdb(heed::Error::Io(error)) => error,
            error => Self::other(error.to_string()),
        }
    }
}

impl Kept {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_ours) | u8::from(self.is_condemned) << 1];
        bytes.extend(self.signature.iter().flat_map(Signature::as_bytes));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let (flags, signature) = bytes.split_first().unwrap_or((&0, &[]));
        Self {
            is_ours: flags & 1 != 0,
            is_condemned: flags & 2 != 0,
            signature: Signature::from_row(signature),
        }
    }
}

type Rows = Database<'static, Bytes, Bytes>;

fn get_content(txn: &RoTxn<'_>, rows: Rows, content: &RemoteFilename) -> heed::Result<Option<Kept>> {
    Ok(rows.get(txn, &key(CONTENT, content.as_str().as_bytes()))?.map(Kept::from_bytes))
}

fn put_content(txn: &mut RwTxn<'_>, rows: Rows, content: &RemoteFilename, kept: Kept) -> heed::Result<()> {
    if let Some(signature) = &kept.signature {
        rows.put(txn, &of_signature(signature, content), b"")?;
    }
    rows.put(txn, &key(CONTENT, content.as_str().as_bytes()), &kept.to_bytes())
}

/// Enters a content that is on the disk. That of another member is not ours to free for want of links.
fn put_found(txn: &mut RwTxn<'_>, rows: Rows, content: &RemoteFilename, kept: Kept) -> heed::Result<()> {
    put_content(txn, rows, content, kept)?;
    if (kept.is_ours || kept.is_condemned) && !has_links(txn, rows, content)? {
        rows.put(txn, &key(UNLINKED, content.as_str().as_bytes()), b"")?;
    }
    Ok(())
}

fn drop_signature(txn: &mut RwTxn<'_>, rows: Rows, content: &RemoteFilename, kept: Kept) -> heed::Result<()> {
    if let Some(signature) = &kept.signature {
        rows.delete(txn, &of_signature(signature, content))?;
    }
    Ok(())
}

fn put_link(
    txn: &mut RwTxn<'_>,
    rows: Rows,
    link: &RemoteFilename,
    content: &RemoteFilename,
    is_ours: bool,
) -> heed::Result<()> {
    if get_content(txn, rows, content)?.is_none() {
        put_content(txn, rows, content, Kept { is_ours, ..Kept::default() })?;
    }
    rows.put(txn, &key(LINK, link.as_str().as_bytes()), content.as_str().as_bytes())?;
    rows.put(txn, &reference(content, link), b"")?;
    rows.delete(txn, &key(UNLINKED, content.as_str().as_bytes()))?;
    Ok(())
}

fn has_links(txn: &RoTxn<'_>, rows: Rows, content: &RemoteFilename) -> heed::Result<bool> {
    Ok(rows.prefix_iter(txn, &references(content))?.next().transpose()?.is_some())
}

fn key(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(kind);
    key.extend_from_slice(name);
    key
}

fn of_signature(signature: &Signature, content: &RemoteFilename) -> Vec<u8> {
    let mut key = key(SIGNATURE, signature.as_bytes());
    key.extend_from_slice(content.as_str().as_bytes());
    key
}

/// What the rows of all links to a content begin with.
fn references(content: &RemoteFilename) -> Vec<u8> {
    let mut key = key(REFERENCE, content.as_str().as_bytes());
    key.push(0);
    key
}

fn reference(content: &RemoteFilename, link: &RemoteFilename) -> Vec<u8> {
    let mut key = references(content);
    key.extend_from_slice(link.as_str().as_bytes());
    key
}

fn name(bytes: &[u8]) -> Option<RemoteFilename> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// content → flags, signature
const CONTENT: u8 = b'c';
/// link → content
const LINK: u8 = b'l';
/// content, 0, link
const REFERENCE: u8 = b'r';
/// signature, content
const SIGNATURE: u8 = b's';
/// content without a link
const UNLINKED: u8 = b'u';
/// Which rows there are, once all are.
const STATE: &[u8] = b"m";
const FORMAT: &[u8] = b"1";
/// Contents that are looked at in one go.
const PAGE: usize = 1000;
/// Contents of one signature that an upload is compared with.
const CANDIDATES: usize = 32;
/// Address space, not disk: the file grows as rows come.
const MAP_SIZE: usize = 1 << 40;
/// Threads that may read at once.
const MAX_READERS: u32 = 4096;
