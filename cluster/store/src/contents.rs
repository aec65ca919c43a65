//! Contents that names are links to: equal uploads kept once, and slave files that are links.
//!
//! A content is a file that no client is told of: its name ends in [`TAIL`], which no file for a client does, and it goes
//! with the last link to it. Which links lead to it is on the disk itself; the index only makes that quick to find.

mod check;
mod index;
mod rebuild;
mod signature;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use fdfs_types::{FileKind, RemoteFilename, Source};
use parking_lot::{Mutex, MutexGuard};
use tracing::{error, info, warn};

pub use self::{check::ContentCheck, signature::SignatureMethod};
pub(crate) use self::{
    index::{Index, IndexError, Kept},
    rebuild::{content_at, note_condemned, note_signature},
    signature::{Signature, Signer},
};
use crate::{StoreError, StoreOptions, journal::Unfinished, layout::StorePath, store::SIDECAR};

/// The contents of a store.
#[derive(Debug)]
pub(crate) struct Contents {
    directory: PathBuf,
    /// How equal uploads are found; `None` where they are not sought.
    method: Option<SignatureMethod>,
    /// Slave files are links.
    pub(crate) links_slaves: bool,
    index: OnceLock<Index>,
    making: Mutex<()>,
    /// Uploads of one signature follow each other.
    turns: [Mutex<()>; TURNS],
}

/// What [`Contents::open`] has to know.
pub(crate) struct Circumstances<'a> {
    pub(crate) paths: &'a [StorePath],
    /// Changes that an earlier run has not finished; they are settled on the disk by now.
    pub(crate) unfinished: &'a [Unfinished],
    /// Files may have come and gone without the index.
    pub(crate) is_doubtful: bool,
    /// There was no storage here before.
    pub(crate) is_new: bool,
}

impl Contents {
    /// Opens the index, if there is one or it is wanted, and brings it up to what is on the disk. Says whether it had to be
    /// made anew from the disk, which takes its time.
    pub(crate) fn open(
        directory: PathBuf,
        options: &StoreOptions,
        around: &Circumstances<'_>,
    ) -> io::Result<(Self, bool)> {
        let contents = Self {
            method: options.deduplicate,
            links_slaves: options.slaves_are_links,
            index: OnceLock::new(),
            making: Mutex::new(()),
            turns: [const { Mutex::new(()) }; TURNS],
            directory,
        };
        let is_wanted = contents.method.is_some() || contents.links_slaves;
        let is_there = contents.directory.exists();
        if !is_wanted && !is_there {
            return Ok((contents, false));
        }
        let source = options.policy.source;
        let reason = match () {
            () if !is_there => (!around.is_new).then_some("there is none"),
            () if around.is_doubtful => Some("files may have changed without it"),
            () if contents.directory.join(STALE).exists() => Some("it could not be written"),
            () => None,
        };
        let opened = match reason {
            Some(reason) => Err(reason.to_owned()),
            None => Index::open(&contents.directory).map_err(|error| error.to_string()).and_then(|index| {
                match index.is_whole() {
                    _ if around.is_new && !is_there => Ok(index),
                    Ok(true) => Ok(index),
                    Ok(false) => Err(String::from("it is not whole")),
                    Err(error) => Err(error.to_string()),
                }
            }),
        };
        let (index, rebuilt) = match opened {
            Ok(index) => {
                index.set_whole()?;
                rebuild::settle(&index, around.paths, around.unfinished, contents.method, source)?;
                (index, false)
            }
            Err(reason) => {
                info!(reason, "the index of contents is made from what is on the disk");
                let index = rebuild::rebuild(&contents.directory, around.paths, contents.method, source)?;
                (index, true)
            }
        };
        // Nobody else can have set it.
        let _ = contents.index.set(index);
        Ok((contents, rebuilt))
    }

    /// The index, if there is one: there may be contents.
    pub(crate) fn index(&self) -> Option<&Index> {
        self.index.get()
    }

    /// The index, made if there is none: the first content has come.
    pub(crate) fn index_or_new(&self) -> Result<&Index, IndexError> {
        let _making = self.making.lock();
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = Index::open(&self.directory)?;
        index.set_whole()?;
        Ok(self.index.get_or_init(|| index))
    }

    /// What finds out whether an upload is equal to a content, where that is wanted.
    pub(crate) fn signer(&self) -> Option<Signer> {
        self.method.map(Signer::new)
    }

    /// Waits until no other upload of this signature is being finished.
    pub(crate) fn turn(&self, signature: &Signature) -> MutexGuard<'_, ()> {
        self.turns[signature.low_byte() % TURNS].lock()
    }

    /// The index could not be written after a change was made: the next start makes it anew.
    pub(crate) fn distrust(&self, error: &IndexError) {
        metrics::counter!("fdfs_storage_contents_failures_total").increment(1);
        error!(%error, "the index of contents cannot be written: contents may stay until the next start makes it anew");
        if let Err(error) = fs::write(self.directory.join(STALE), "") {
            warn!(%error, "nor can that be noted: run fdfs dedup rebuild");
        }
    }

    /// Puts the index on the disk.
    pub(crate) fn sync(&self) {
        if let Some(Err(error)) = self.index().map(Index::sync) {
            self.distrust(&error);
        }
    }
}

/// Whether a name is that of a content.
pub(crate) fn is_content(name: &RemoteFilename) -> bool {
    name.as_str().len() == RemoteFilename::NORMAL_LEN
        && name.has_store_path()
        && name.tail() == TAIL
        && name.kind() == Ok(FileKind::Normal)
}

/// Whether a file was accepted by the storage that names say is `source`.
pub(crate) fn is_of(name: &RemoteFilename, source: Source) -> bool {
    name.fields().is_ok_and(|fields| fields.source == source)
}

/// Removes the index.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The owner of metadata, if the name is that of metadata.
fn is_metadata(name: &str) -> bool {
    name.ends_with(SIDECAR)
}

/// The error of an operation that needs the index.
pub(crate) fn unusable(error: IndexError) -> StoreError {
    crate::store::io_error("using the index of contents")(error.into())
}

/// What the names of contents end in, where those of other files have digits, or a dot and an extension.
pub(crate) const TAIL: &str = "content";
/// A file beside the index: it is not to be trusted.
const STALE: &str = "stale";
const TURNS: usize = 64;
