//! Clients that change files without a pause, and remember what they were answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use fastrand::Rng;
use fdfs_client::{Client, ClientError, UploadKind, UploadSpec};
use fdfs_proto::storage::MetadataMode;
use fdfs_tests::{Deadline, FileState, Files};
use fdfs_types::{Extension, FileId, Metadata};
use tokio::time::{MissedTickBehavior, interval};

/// Clients at work.
pub(crate) struct Load {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

/// What the clients were answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// What each file may hold now.
    pub(crate) files: BTreeMap<String, Expected>,
    /// Changes that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Changes that failed after all retries.
    pub(crate) refused: Vec<String>,
}

/// What a file may be, by the answers that its clients got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Contents that are allowed, more than one after a change whose answer was lost.
    contents: Vec<Vec<u8>>,
    /// Whether it may be gone.
    may_be_gone: bool,
}

impl Load {
    /// Starts `clients` clients with a rhythm of their own.
    pub(crate) fn start(client: Client, clients: u64, rng: Rng) -> Self {
        Self::start_with(client, clients, rng, None)
    }

    /// Starts `clients` clients that have so many contents for new files, if that is told, else new ones.
    pub(crate) fn start_with(client: Client, clients: u64, mut rng: Rng, kinds: Option<u8>) -> Self {
        let (record, stop) = (Arc::<Mutex<Record>>::default(), Arc::<AtomicBool>::default());
        let workers: Vec<Worker> = (0..clients)
            .map(|_| Worker {
                client: client.clone(),
                rng: rng.fork(),
                record: Arc::clone(&record),
                mine: Vec::new(),
                kinds,
            })
            .collect();
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                futures_util::future::join_all(workers.into_iter().map(|worker| worker.run(&ends))).await;
            });
            Ok(())
        });
        Self { record, stop, thread }
    }

    /// Waits until each of these groups has got some files.
    pub(crate) fn wait_for_files(&self, groups: &[&str], limit: Duration) -> Result<()> {
        Deadline::after(limit).wait_for("files in every group", || {
            let record = lock(&self.record);
            for group in groups {
                let count = record.of_group(group).count();
                ensure!(count >= 20, "{group} has {count}; failed: {:?}", record.refused.last());
            }
            Ok(())
        })
    }

    /// Waits until `count` more changes were acknowledged.
    pub(crate) fn wait_for_more(&self, count: usize, limit: Duration) -> Result<()> {
        let before = lock(&self.record).acknowledged;
        Deadline::after(limit).wait_for("acknowledged changes", || {
            let record = lock(&self.record);
            let more = record.acknowledged - before;
            ensure!(more >= count, "{more} of {count}; failed: {:?}", record.refused.last());
            Ok(())
        })
    }

    /// Lets every client end what it is doing, and returns what they were answered.
    pub(crate) fn stop(self) -> Result<Record> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("a client panicked"))??;
        Ok(lock(&self.record).clone())
    }
}

impl Record {
    /// Checks what a storage of `group` holds against what its clients were told.
    pub(crate) fn agrees_with(&self, group: &str, files: &Files) -> Result<()> {
        for (id, expected) in self.of_group(group) {
            let (_, name) = id.split_once('/').context("a group")?;
            // A link is what it leads to.
            let file = match files.get(name) {
                Some(FileState::Link(target)) => files.get(&name_of_target(target)?),
                file => file,
            };
            match file {
                Some(FileState::Regular { size, crc32 }) => ensure!(
                    expected
                        .contents
                        .iter()
                        .any(|content| content.len() as u64 == *size && crc32fast::hash(content) == *crc32),
                    "{id} has {size} bytes with CRC {crc32:08x}, which is none of {} contents",
                    expected.contents.len(),
                ),
                Some(FileState::Link(target)) => bail!("{id} is a link to a link to {target}"),
                None => ensure!(expected.may_be_gone, "{id} was acknowledged and is not there"),
            }
        }
        Ok(())
    }

    fn of_group(&self, group: &str) -> impl Iterator<Item = (&String, &Expected)> {
        self.files.iter().filter(move |(id, _)| id.split('/').next() == Some(group))
    }
}

/// The name that a link in a cluster of one store path leads to: [`FileState::Link`] has it backwards.
pub(crate) fn name_of_target(target: &str) -> Result<String> {
    let parts: Vec<&str> = target.split('<').collect();
    let [name, low, high, "data"] = parts[..] else { bail!("a link leads to {target}") };
    Ok(format!("M00/{high}/{low}/{name}"))
}

/// One client with files of its own, so that its answers come in order.
struct Worker {
    client: Client,
    rng: Rng,
    record: Arc<Mutex<Record>>,
    mine: Vec<Mine>,
    kinds: Option<u8>,
}

/// A file whose content is known for certain.
struct Mine {
    id: FileId,
    content: Vec<u8>,
    is_appender: bool,
}

impl Worker {
    async fn run(mut self, stop: &AtomicBool) {
        let mut rhythm = interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            rhythm.tick().await;
            match self.rng.u8(..100) {
                0..50 => self.upload(UploadKind::Normal).await,
                50..60 => self.upload(UploadKind::Appender).await,
                60..65 => self.upload_slave().await,
                65..85 => self.change_an_appender().await,
                85..93 => self.set_metadata().await,
                _ => self.delete().await,
            }
        }
    }

    async fn upload(&mut self, kind: UploadKind) {
        let size = if self.rng.u8(..40) == 0 { 300_000 } else { self.rng.usize(1..9000) };
        let content = match self.kinds {
            Some(kinds) => {
                let kind = self.rng.u8(..kinds);
                vec![kind; 500 + 1000 * usize::from(kind)]
            }
            None => self.bytes(size),
        };
        let is_appender = kind == UploadKind::Appender;
        let spec = UploadSpec::new(Extension::none()).of_kind(kind);
        match self.client.upload(spec, &content).await {
            Ok(uploaded) => {
                self.expect(&uploaded.file_id, [content.clone()], false);
                self.mine.push(Mine { id: uploaded.file_id, content, is_appender });
            }
            Err(error) => self.failed("upload", &error),
        }
    }

    async fn upload_slave(&mut self) {
        let Some(master) = self.pick(|file| !file.is_appender) else { return };
        let master = self.mine[master].id.clone();
        let Ok(prefix) = format!("-{}", self.rng.u32(..)).parse() else { return };
        self.upload(UploadKind::Slave { master, prefix }).await;
    }

    async fn change_an_appender(&mut self) {
        let Some(index) = self.pick(|file| file.is_appender) else { return };
        let mut file = self.mine.swap_remove(index);
        let before = file.content.clone();
        let piece = self.bytes(500);
        let (what, done) = match self.rng.u8(..10) {
            0..5 => {
                file.content.extend_from_slice(&piece);
                ("append", self.client.append(&file.id, &piece).await)
            }
            5..7 => {
                let offset = self.rng.usize(..=before.len());
                file.content.resize(before.len().max(offset + piece.len()), 0);
                file.content[offset..offset + piece.len()].copy_from_slice(&piece);
                ("modify", self.client.modify(&file.id, offset as u64, &piece).await)
            }
            7..9 => {
                file.content.truncate(self.rng.usize(..=before.len()));
                ("truncate", self.client.truncate(&file.id, file.content.len() as u64).await)
            }
            _ => return self.regenerate(file).await,
        };
        match done {
            Ok(()) => {
                self.expect(&file.id, [file.content.clone()], false);
                self.mine.push(file);
            }
            Err(error) => {
                self.expect(&file.id, [before, file.content], false);
                self.failed(what, &error);
            }
        }
    }

    async fn regenerate(&mut self, mut file: Mine) {
        match self.client.regenerate(&file.id).await {
            Ok(id) => {
                self.expect(&file.id, [], true);
                self.expect(&id, [file.content.clone()], false);
                (file.id, file.is_appender) = (id, false);
                self.mine.push(file);
            }
            Err(error) => {
                self.expect(&file.id, [file.content], true);
                self.failed("regenerate", &error);
            }
        }
    }

    async fn set_metadata(&mut self) {
        let Some(index) = self.pick(|_| true) else { return };
        let id = self.mine[index].id.clone();
        let mut metadata = Metadata::new();
        if metadata.insert(b"width", self.rng.u32(..).to_string().as_bytes()).is_err() {
            return;
        }
        let mode = if self.rng.bool() { MetadataMode::Merge } else { MetadataMode::Overwrite };
        match self.client.set_metadata(&id, mode, metadata).await {
            Ok(()) => lock(&self.record).acknowledged += 1,
            Err(error) => self.failed("set metadata", &error),
        }
    }

    async fn delete(&mut self) {
        let Some(index) = self.pick(|_| true) else { return };
        let file = self.mine.swap_remove(index);
        match self.client.delete(&file.id).await {
            Ok(()) => self.expect(&file.id, [], true),
            Err(error) => {
                self.expect(&file.id, [file.content], true);
                self.failed("delete", &error);
            }
        }
    }

    fn expect(&self, id: &FileId, contents: impl IntoIterator<Item = Vec<u8>>, may_be_gone: bool) {
        let expected = Expected { contents: contents.into_iter().collect(), may_be_gone };
        let mut record = lock(&self.record);
        record.acknowledged += 1;
        record.files.insert(id.to_string(), expected);
    }

    fn failed(&self, what: &str, error: &ClientError) {
        lock(&self.record).refused.push(format!("{what}: {error}"));
    }

    fn pick(&mut self, wanted: impl Fn(&Mine) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.mine.len()).filter(|index| wanted(&self.mine[*index])).collect();
        self.rng.choice(fitting)
    }

    fn bytes(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.rng.fill(&mut bytes);
        bytes
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time between two changes of one client.
const RHYTHM: Duration = Duration::from_millis(4);
