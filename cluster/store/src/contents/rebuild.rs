//! The index, made from the disk or brought up to it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use fdfs_types::{RemoteFilename, Source};
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, openat, readlinkat},
    io::Errno,
};
use tracing::{info, warn};

use super::{
    Index, Kept, Signature, SignatureMethod, Signer, check::Place, is_content, is_metadata, is_of, remove,
};
use crate::{journal::Unfinished, layout::StorePath};

/// Makes the index anew from the names on the disk.
pub(super) fn rebuild(
    directory: &Path,
    paths: &[StorePath],
    method: Option<SignatureMethod>,
    source: Source,
) -> io::Result<Index> {
    remove(directory)?;
    let mut walk = Walk {
        index: Index::open(directory)?,
        paths,
        method,
        source,
        contents: Vec::new(),
        links: Vec::new(),
    };
    for path in paths {
        walk.read_path(path)?;
    }
    walk.enter()?;
    walk.index.set_whole()?;
    walk.index.sync()?;
    let [contents, links, unlinked] = walk.index.counts()?;
    info!(contents, links, unlinked, "index of contents made");
    Ok(walk.index)
}

/// Brings the index up to the names that an earlier run was about to change.
pub(super) fn settle(
    index: &Index,
    paths: &[StorePath],
    unfinished: &[Unfinished],
    method: Option<SignatureMethod>,
    source: Source,
) -> io::Result<()> {
    let changes = unfinished.iter().map(|found| &found.record.change);
    let names = changes.flat_map(|change| [Some(change.name()), change.other_name()]).flatten();
    let names: Vec<RemoteFilename> =
        names.filter(|name| !is_metadata(name)).filter_map(|name| name.parse().ok()).collect();
    for name in names.iter().filter(|name| is_content(name)) {
        let Some(path) = paths.get(usize::from(name.store_path())) else { continue };
        match openat(&path.data, name.local_path(), READ, Mode::empty()) {
            Ok(file) if index.content(name)?.is_none_or(|known| known.signature.is_none()) => {
                let is_ours = is_of(name, source);
                let found = kept(File::from(file), method, is_ours)?;
                match index.content(name)? {
                    Some(_) if let Some(signature) = found.signature => {
                        index.learn(name, signature, is_ours)?;
                    }
                    None => index.add_content(name, found)?,
                    _ => {}
                }
            }
            Err(Errno::NOENT) => index.remove_content(name)?,
            _ => {}
        }
    }
    for name in names.iter().filter(|name| !is_content(name)) {
        let Some(path) = paths.get(usize::from(name.store_path())) else { continue };
        let content = content_at(paths, path, name.local_path())?;
        let is_ours = content.as_ref().is_some_and(|content| is_of(content, source));
        index.set_link(name, content.as_ref(), is_ours)?;
    }
    Ok(())
}

struct Walk<'a> {
    index: Index,
    paths: &'a [StorePath],
    method: Option<SignatureMethod>,
    source: Source,
    contents: Vec<(RemoteFilename, Kept)>,
    links: Vec<(RemoteFilename, RemoteFilename)>,
}

impl Walk<'_> {
    fn read_path(&mut self, path: &StorePath) -> io::Result<()> {
        for high in 0..=u8::MAX {
            let level =
                match openat(&path.data, format!("{high:02X}"), READ | OFlags::DIRECTORY, Mode::empty()) {
                    Err(Errno::NOENT | Errno::NOTDIR) => continue,
                    level => level?,
                };
            for low in 0..=u8::MAX {
                match openat(&level, format!("{low:02X}"), READ | OFlags::DIRECTORY, Mode::empty()) {
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    directory => {
                        self.read_directory(path, &format!("{high:02X}/{low:02X}"), File::from(directory?))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_directory(&mut self, path: &StorePath, local: &str, directory: File) -> io::Result<()> {
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let Ok(base_name) = entry.file_name().to_str() else { continue };
            let Ok(name) = format!("M{:02X}/{local}/{base_name}", path.index).parse::<RemoteFilename>()
            else {
                continue;
            };
            if is_content(&name) {
                let file = openat(&directory, base_name, READ, Mode::empty())?;
                let kept = kept(File::from(file), self.method, is_of(&name, self.source))?;
                self.contents.push((name, kept));
            } else if matches!(entry.file_type(), FileType::Symlink | FileType::Unknown)
                && let Some(content) = content_at(self.paths, path, name.local_path())?
            {
                self.links.push((name, content));
            }
            if self.contents.len() + self.links.len() >= AT_ONCE {
                self.enter()?;
            }
        }
        Ok(())
    }

    fn enter(&mut self) -> io::Result<()> {
        let source = self.source;
        self.index.add_all(&self.contents, &self.links, |content| is_of(content, source))?;
        self.contents.clear();
        self.links.clear();
        Ok(())
    }
}

/// The content that a name is a link to, if it is one.
pub(crate) fn content_at(
    paths: &[StorePath],
    path: &StorePath,
    local: &str,
) -> io::Result<Option<RemoteFilename>> {
    let target = match readlinkat(&path.data, local, Vec::new()) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::INVAL | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let places = paths.iter().map(|path| (path.index, path.data_path.as_path()));
    Ok(content_of_target(&target.to_string_lossy(), places))
}

/// The content at a path, if there is one.
pub(super) fn content_of_target<'a>(
    target: &str,
    mut places: impl Iterator<Item = Place<'a>>,
) -> Option<RemoteFilename> {
    let name = places.find_map(|(index, data)| {
        let local = target.strip_prefix(data.to_str()?)?.strip_prefix('/')?;
        format!("M{index:02X}/{local}").parse::<RemoteFilename>().ok()
    });
    name.filter(is_content)
}

/// What there is to know of a content.
fn kept(file: File, method: Option<SignatureMethod>, is_ours: bool) -> io::Result<Kept> {
    if fgetxattr(&file, CONDEMNED, &mut [0; 1]).is_ok() {
        return Ok(Kept { is_ours, is_condemned: true, signature: None });
    }
    let signature = method.map(|method| read_signature(file, method)).transpose()?;
    Ok(Kept { is_ours, is_condemned: false, signature })
}

/// The signature of a content: as it was noted on the file when that was made, else of its bytes.
pub(crate) fn read_signature(mut file: File, method: SignatureMethod) -> io::Result<Signature> {
    let mut noted = [0; Signature::LEN + 1];
    if let Ok(length) = fgetxattr(&file, ATTRIBUTE, &mut noted)
        && let Some(signature) = Signature::parse(&noted[..length], method)
        && signature.size() == file.metadata()?.len()
    {
        return Ok(signature);
    }
    let mut signer = Signer::new(method);
    let mut block = vec![0; BLOCK];
    let mut size = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(length) => {
                signer.update(&block[..length]);
                size += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let signature = signer.finish(size);
    note_signature(&file, &signature);
    Ok(signature)
}

/// Notes the signature of a content on its file, where the file system can: a rebuild need not read it then.
pub(crate) fn note_signature(file: impl std::os::fd::AsFd, signature: &Signature) {
    match fsetxattr(file, ATTRIBUTE, signature.as_bytes(), XattrFlags::empty()) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM | Errno::ROFS) => {}
        Err(error) => warn!(%error, "the signature of a content cannot be noted on its file"),
    }
}

/// Notes on the file of a content that it has been deleted by its maker, and goes with its last link here.
pub(crate) fn note_condemned(path: &StorePath, content: &RemoteFilename) {
    let noted = openat(&path.data, content.local_path(), READ, Mode::empty())
        .and_then(|file| fsetxattr(file, CONDEMNED, b"1", XattrFlags::empty()));
    match noted {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOENT) => {}
        Err(error) => {
            warn!(file_id = %content, %error, "that a content is to go cannot be noted on its file");
        }
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const ATTRIBUTE: &str = "user.fdfs.signature";
const CONDEMNED: &str = "user.fdfs.condemned";
/// Names entered in one transaction.
const AT_ONCE: usize = 10_000;
const BLOCK: usize = 256 * 1024;
