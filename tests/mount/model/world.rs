//! One tree, seen through two mounts, through S3, and as it should be.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use fdfs_tests::{Deadline, HttpAnswer, Mounting, Site, s3_request};
use rustix::fs::{FallocateFlags, RenameFlags};

use super::reference::{Reference, looks};

/// One tree and those who look at it.
pub(super) struct World<'a> {
    site: &'a Site,
    /// The tree on the mount in the gateway's process, and on one in a process of its own.
    mounts: [PathBuf; 2],
    /// Through which of them programs work now.
    works: usize,
    /// The tree's directory in the bucket.
    name: String,
    reference: Reference,
    open: Vec<Open>,
    dice: Rng,
    history: Vec<String>,
    /// S3 changed something.
    by_s3: bool,
}

/// A file that a program has open, there and in the reference.
struct Open {
    there: File,
    here: File,
    inode: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(site: &'a Site, other: &Mounting, seed: u64) -> Result<Self> {
        let name = format!("model-{seed}");
        let mounts = [site.mounted("group1").join(&name), other.path("group1").join(&name)];
        fs::create_dir(&mounts[0])?;
        Ok(Self {
            site,
            mounts,
            works: 0,
            name,
            reference: Reference::new()?,
            open: Vec::new(),
            dice: Rng::with_seed(seed),
            history: Vec::new(),
            by_s3: false,
        })
    }

    /// The last operations.
    pub(super) fn history(&self) -> String {
        self.history[self.history.len().saturating_sub(40)..].join("\n")
    }

    /// One operation, everywhere.
    pub(super) fn step(&mut self) -> Result<()> {
        self.by_s3 = false;
        let (one, two) = (self.any_name(), self.any_name());
        match self.dice.u32(0..100) {
            0..12 => self.write(&one),
            12..17 => self.append(&one),
            17..22 => self.truncate(&one),
            22..32 => self.open(&one),
            32..47 => self.use_open(),
            47..57 => self.rename(&one, &two),
            57..63 => self.both(&format!("unlink {one}"), |root| fs::remove_file(root.join(&one))).map(drop),
            63..69 => self.both(&format!("mkdir {one}"), |root| fs::create_dir(root.join(&one))).map(drop),
            69..73 => self.both(&format!("rmdir {one}"), |root| fs::remove_dir(root.join(&one))).map(drop),
            73..77 => {
                let link = |root: &Path| fs::hard_link(root.join(&one), root.join(&two));
                self.both(&format!("link {one} {two}"), link).map(drop)
            }
            77..80 => self.copy(&one, &two),
            80..88 => self.put(&one),
            88..93 => self.delete(&one),
            93..97 => self.s3_copy(&one, &two),
            _ => self.work_elsewhere(),
        }?;
        self.reference.keep_emptied();
        Ok(())
    }

    /// Everybody sees the same.
    pub(super) fn compare(&mut self, step: u64) -> Result<()> {
        let root = self.mounts[self.works].clone();
        // What S3 changed is told to a mount in another process in a moment.
        if self.by_s3 && self.works == 1 { self.same_soon(&root) } else { self.same(&root) }?;
        if step.is_multiple_of(2) { self.same_list() } else { self.same_object() }
    }

    fn same(&mut self, root: &Path) -> Result<()> {
        let (expected, found) = (self.reference.looks()?, looks(root)?);
        for (name, look) in &expected {
            ensure!(
                found.get(name) == Some(look),
                "{name}: {look:?}, but {:?} on {}",
                found.get(name),
                root.display()
            );
        }
        for name in found.keys() {
            ensure!(expected.contains_key(name), "{name} is on {}", root.display());
        }
        let files: Vec<_> =
            expected.iter().filter(|(_, look)| !look.is_directory).map(|(name, _)| name).collect();
        let chosen: Vec<_> = (0..2).filter_map(|_| self.dice.choice(&files)).collect();
        for name in chosen {
            let (expected, found) = (fs::read(self.reference.path(name))?, fs::read(root.join(name))?);
            ensure!(found == expected, "{name} on {}: {}", root.display(), difference(&expected, &found));
        }
        Ok(())
    }

    fn same_soon(&mut self, root: &Path) -> Result<()> {
        Deadline::after(PATIENCE).wait_for("the same on the other mount", || self.same(root))
    }

    /// S3 lists what is there.
    fn same_list(&self) -> Result<()> {
        let prefix = format!("{}/", self.name);
        let answer = self.s3_at(&format!("?list-type=2&max-keys=1000&prefix={}%2F", self.name), &[])?;
        ensure!(answer.status == 200, "list: {}", answer.status);
        let text = String::from_utf8(answer.body)?;
        let mut expected = self.reference.keys()?;
        for part in text.split("<Contents>").skip(1) {
            let value = |tag: &str| -> Result<String> {
                let (_, rest) = part.split_once(&format!("<{tag}>")).context("a tag")?;
                Ok(rest.split_once('<').context("its end")?.0.to_owned())
            };
            let (key, size) = (value("Key")?, value("Size")?.parse::<u64>()?);
            let Some(name) = key.strip_prefix(&prefix).filter(|name| !name.is_empty()) else { continue };
            match expected.remove(name) {
                Some(known) => {
                    ensure!(known.is_none_or(|known| known == size), "S3: {name} of {size}, not {known:?}");
                }
                None => bail!("S3 lists {name}"),
            }
        }
        ensure!(expected.is_empty(), "S3 does not list {expected:?}");
        Ok(())
    }

    /// S3 reads what is there.
    fn same_object(&mut self) -> Result<()> {
        let keys = self.reference.keys()?;
        let files: Vec<_> =
            keys.iter().filter(|(name, size)| size.is_some() && !name.ends_with('/')).collect();
        let Some((name, _)) = self.dice.choice(&files) else { return Ok(()) };
        let answer = self.s3(name, &[])?;
        ensure!(answer.status == 200, "GET {name}: {}", answer.status);
        let expected = fs::read(self.reference.path(name))?;
        ensure!(answer.body == expected, "S3: {name}: {}", difference(&expected, &answer.body));
        Ok(())
    }

    /// The same in the reference and on the mount, with the same answer.
    fn both<T: Debug + Eq>(&mut self, what: &str, act: impl Fn(&Path) -> io::Result<T>) -> Result<bool> {
        let answer = |result: io::Result<T>| result.map_err(|error| error.raw_os_error());
        let expected = answer(act(&self.reference.root()));
        self.history.push(format!("{what} on {}: {expected:?}", self.works));
        let found = answer(act(&self.mounts[self.works]));
        ensure!(found == expected, "{what}: {expected:?}, but on the mount {found:?}");
        Ok(expected.is_ok())
    }

    fn write(&mut self, name: &str) -> Result<()> {
        let content = self.content();
        self.both(&format!("write {name} {}", content.len()), |root| fs::write(root.join(name), &content))?;
        self.reference.closed(name);
        Ok(())
    }

    fn append(&mut self, name: &str) -> Result<()> {
        let content = self.content();
        self.both(&format!("append {name} {}", content.len()), |root| {
            OpenOptions::new().append(true).open(root.join(name))?.write_all(&content)
        })?;
        self.reference.closed(name);
        Ok(())
    }

    fn truncate(&mut self, name: &str) -> Result<()> {
        let size = self.dice.u64(0..400_000);
        self.both(&format!("truncate {name} {size}"), |root| {
            OpenOptions::new().write(true).open(root.join(name))?.set_len(size)
        })?;
        self.reference.closed(name);
        Ok(())
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        if from == to {
            return Ok(());
        }
        self.both(&format!("copy {from} {to}"), |root| fs::copy(root.join(from), root.join(to)))?;
        self.reference.closed(from);
        self.reference.closed(to);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let flags = match self.dice.u32(0..6) {
            0 => RenameFlags::EXCHANGE,
            1 => RenameFlags::NOREPLACE,
            _ => RenameFlags::empty(),
        };
        let done = self.both(&format!("rename {from} {to} {flags:?}"), |root| {
            let cwd = rustix::fs::CWD;
            Ok(rustix::fs::renameat_with(cwd, root.join(from), cwd, root.join(to), flags)?)
        })?;
        if done && from != to {
            self.reference.renamed(from, to, flags == RenameFlags::EXCHANGE);
        }
        Ok(())
    }

    fn open(&mut self, name: &str) -> Result<()> {
        let open = |root: &Path| OpenOptions::new().read(true).write(true).open(root.join(name));
        let done = self.both(&format!("open {name}"), |root| open(root).map(drop))?;
        self.reference.closed(name);
        if done && self.open.len() < MOST_OPEN {
            let (here, there) = (open(&self.reference.root())?, open(&self.mounts[self.works])?);
            let inode = here.metadata()?.ino();
            self.open.push(Open { there, here, inode });
        }
        Ok(())
    }

    /// Reads, changes, syncs or closes a file that is open.
    fn use_open(&mut self) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let number = self.dice.usize(0..self.open.len());
        let what = self.dice.u32(0..10);
        let (offset, content) = (self.dice.u64(0..500_000), self.content());
        let file = &self.open[number];
        self.history.push(format!("open file {number}: {what} at {offset}, {} bytes", content.len()));
        match what {
            0..3 => {
                let read = |file: &File| -> io::Result<Vec<u8>> {
                    let mut bytes = vec![0; content.len()];
                    let length = file.read_at(&mut bytes, offset)?;
                    bytes.truncate(length);
                    Ok(bytes)
                };
                let (expected, found) = (read(&file.here)?, read(&file.there)?);
                ensure!(found == expected, "an open file at {offset}: {}", difference(&expected, &found));
                return Ok(());
            }
            3..6 => [&file.here, &file.there]
                .into_iter()
                .try_for_each(|file| file.write_all_at(&content, offset))?,
            6 => [&file.here, &file.there].into_iter().try_for_each(|file| file.set_len(offset))?,
            7 => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                for file in [&file.here, &file.there] {
                    rustix::fs::fallocate(file, flags, offset, content.len() as u64 + 1)?;
                }
            }
            8 => {
                file.there.sync_all()?;
                let inode = file.inode;
                self.reference.set_unsaved(inode, false);
                return Ok(());
            }
            _ => {
                let inode = file.inode;
                drop(self.open.swap_remove(number));
                self.reference.set_unsaved(inode, false);
                return Ok(());
            }
        }
        let inode = file.inode;
        self.reference.set_unsaved(inode, true);
        Ok(())
    }

    fn put(&mut self, name: &str) -> Result<()> {
        let content = self.content();
        if !self.reference.takes_key(name) {
            return Ok(());
        }
        self.history.push(format!("S3 put {name} {}", content.len()));
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&content)?;
        let path = file.path().to_str().context("path is UTF-8")?;
        let answer = self.s3(name, &["--upload-file", path])?;
        ensure!(answer.status == 200, "PUT: {}", answer.status);
        self.by_s3 = true;
        Ok(self.reference.put(name, &content)?)
    }

    fn delete(&mut self, name: &str) -> Result<()> {
        if !self.reference.path(name).is_file() {
            return Ok(());
        }
        self.history.push(format!("S3 delete {name}"));
        let answer = self.s3(name, &["--request", "DELETE"])?;
        ensure!(answer.status == 204, "DELETE: {}", answer.status);
        self.by_s3 = true;
        Ok(self.reference.delete(name)?)
    }

    fn s3_copy(&mut self, from: &str, to: &str) -> Result<()> {
        let is_known = self.reference.path(from).is_file() && !self.reference.is_unsaved(from);
        if from == to || !is_known || !self.reference.takes_key(to) {
            return Ok(());
        }
        self.history.push(format!("S3 copy {from} {to}"));
        let source = format!("x-amz-copy-source: /group1/{}/{from}", self.name);
        let answer = self.s3(to, &["--request", "PUT", "--header", &source])?;
        ensure!(answer.status == 200, "copy: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        self.by_s3 = true;
        let content = fs::read(self.reference.path(from))?;
        Ok(self.reference.put(to, &content)?)
    }

    /// From here on programs work through the other mount, which sees all of it in a moment.
    fn work_elsewhere(&mut self) -> Result<()> {
        self.works = 1 - self.works;
        self.history.push(format!("work on {}", self.works));
        for open in std::mem::take(&mut self.open) {
            self.reference.set_unsaved(open.inode, false);
        }
        let root = self.mounts[self.works].clone();
        self.same_soon(&root)
    }

    fn s3(&self, name: &str, arguments: &[&str]) -> Result<HttpAnswer> {
        self.s3_at(&format!("/{}/{name}", self.name), arguments)
    }

    fn s3_at(&self, path: &str, arguments: &[&str]) -> Result<HttpAnswer> {
        s3_request(&format!("{}/group1{path}", self.site.s3()), &self.site.credentials(), arguments)
    }

    /// A name of few, so that they meet.
    fn any_name(&mut self) -> String {
        let depth = self.dice.usize(1..4);
        let parts: Vec<String> = (0..depth).map(|_| self.dice.char('a'..='c').to_string()).collect();
        parts.join("/")
    }

    fn content(&mut self) -> Vec<u8> {
        let length = match self.dice.u32(0..20) {
            0 => 0,
            1..14 => self.dice.usize(1..5_000),
            14..19 => self.dice.usize(5_000..300_000),
            _ => self.dice.usize(300_000..2_500_000),
        };
        let mut content = vec![0; length];
        self.dice.fill(&mut content);
        content
    }
}

/// Where two contents part.
fn difference(expected: &[u8], found: &[u8]) -> String {
    let at = expected.iter().zip(found).position(|(one, other)| one != other);
    format!("{} bytes, but {}; the first other one at {at:?}", expected.len(), found.len())
}

const MOST_OPEN: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);
