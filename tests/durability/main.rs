//! What is answered with `write_concern = replicated` outlives the disk of the storage that answered.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fdfs_client::{ByteRange, Client, ClientOptions, UploadKind, UploadSpec, Uploaded};
use fdfs_proto::ServerAddress;
use fdfs_tests::{Addresses, Cluster, ClusterConfig, StorageConfig};
use fdfs_types::FileId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// A group whose members answer what a second one has.
struct Group {
    cluster: Cluster,
    client: Client,
}

impl Group {
    async fn start(storages: usize, lines: &str) -> Result<Self> {
        let mut config = ClusterConfig::new(SocketAddr::new(Addresses::next()?.into(), 22122));
        for _ in 0..storages {
            let address = SocketAddr::new(Addresses::next()?.into(), 23000);
            let lines =
                format!("subdir_count_per_path=4\nwrite_concern=replicated\non_deadline=refuse\n{lines}");
            config.storages.push(StorageConfig { lines, ..StorageConfig::new(address, "group1", 1) });
        }
        let tracker = ServerAddress { ips: vec![config.tracker().ip()], port: config.tracker().port() };
        let group =
            Self { cluster: Cluster::start(config)?, client: Client::new(ClientOptions::new(vec![tracker])) };
        for index in 0..storages {
            group.until_takes_uploads(index).await?;
        }
        Ok(group)
    }

    /// Waits until a storage knows another member: before that it refuses.
    async fn until_takes_uploads(&self, index: usize) -> Result<()> {
        let limit = Instant::now() + START_LIMIT;
        loop {
            match self.upload(index, UploadKind::Normal, b"first").await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > limit => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn upload(&self, index: usize, kind: UploadKind, content: &[u8]) -> Result<Uploaded> {
        let storage = Some(self.cluster.config().storages[index].address);
        let spec = UploadSpec { kind, storage, ..UploadSpec::new("dat".parse()?) };
        Ok(self.client.upload(spec, content).await?)
    }

    /// Where a storage keeps a file.
    fn path(&self, index: usize, file_id: &FileId) -> PathBuf {
        self.cluster.store_path(index, 0).join("data").join(file_id.filename.local_path())
    }

    /// Checks that a file is on the disk of a storage now.
    fn check(&self, index: usize, file_id: &FileId, content: &[u8]) -> Result<()> {
        let path = self.path(index, file_id);
        let there = fs::read(&path).with_context(|| format!("lost: {}", path.display()))?;
        ensure!(there == content, "{file_id} has {} bytes of {}, or others", there.len(), content.len());
        Ok(())
    }
}

#[tokio::test]
async fn what_is_answered_outlives_the_disk_of_its_source() -> Result<()> {
    let mut group = Group::start(2, ALONE).await?;
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        let mut content = vec![round as u8; [10, 5_000, 300_000, 0][round % 4] + round];
        let is_appender = round % 3 == 0;
        let kind = if is_appender { UploadKind::Appender } else { UploadKind::Normal };
        let mut file_id = group.upload(SOURCE, kind, &content).await?.file_id;
        group.check(OTHER, &file_id, &content)?;
        if is_appender {
            group.client.append(&file_id, b"appended").await?;
            content.extend_from_slice(b"appended");
            group.check(OTHER, &file_id, &content)?;
            group.client.modify(&file_id, 3, b"modified").await?;
            content[3..11].copy_from_slice(b"modified");
            group.check(OTHER, &file_id, &content)?;
            group.client.truncate(&file_id, 9).await?;
            content.truncate(9);
            group.check(OTHER, &file_id, &content)?;
            file_id = group.client.regenerate(&file_id).await?;
        }
        wipe(&group.cluster.store_path(SOURCE, 0).join("data"))?;
        ensure!(!group.path(SOURCE, &file_id).exists(), "the source's disk is wiped");
        group.check(OTHER, &file_id, &content)?;
        answered.push((file_id, content));
    }
    group.cluster.kill_storage(SOURCE)?;
    fs::remove_dir_all(group.cluster.dir().join(format!("storage{SOURCE}")))?;
    for (file_id, content) in &answered {
        group.check(OTHER, file_id, content)?;
        let read = group.client.read(file_id, ByteRange::ALL, content.len()).await?;
        ensure!(read == *content, "{file_id} reads as something else");
    }
    Ok(())
}

#[tokio::test]
async fn of_three_members_one_may_be_silent() -> Result<()> {
    let group = Group::start(3, &format!("{ALONE}write_concern_deadline=4s\n")).await?;
    group.cluster.freeze_storage(2)?;
    let mut answered = Vec::new();
    for round in 0..10_u8 {
        let content = vec![round; 1000];
        let uploaded = group.upload(SOURCE, UploadKind::Normal, &content).await?;
        group.check(OTHER, &uploaded.file_id, &content)?;
        answered.push(uploaded.file_id);
    }
    group.cluster.thaw_storage(2)?;
    for file_id in &answered {
        ensure!(group.path(SOURCE, file_id).exists());
    }
    Ok(())
}

#[tokio::test]
async fn the_ordinary_replication_takes_nothing_back() -> Result<()> {
    let group = Group::start(2, "").await?;
    let file_id = group.upload(SOURCE, UploadKind::Appender, b"").await?.file_id;
    let path = group.path(OTHER, &file_id);
    let answered = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for number in 0..4 {
        let (client, file_id, path) = (group.client.clone(), file_id.clone(), path.clone());
        let answered = Arc::clone(&answered);
        writers.spawn(async move {
            for _ in 0..50 {
                client.append(&file_id, &[number; PIECE]).await?;
                let least = (answered.fetch_add(1, Ordering::Relaxed) + 1) * PIECE as u64;
                let there = fs::metadata(&path)?.len();
                ensure!(there >= least, "{there} bytes are there, {least} have been answered");
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    let content = fs::read(group.path(SOURCE, &file_id))?;
    ensure!(content.len() == 200 * PIECE);
    let binlog = group.cluster.dir().join(format!("storage{OTHER}/data/sync/binlog.000"));
    let whole = fs::read_to_string(binlog)?.lines().filter(|line| line.contains(" u ")).count();
    ensure!(whole == 0, "the whole file came {whole} times");
    group.check(OTHER, &file_id, &content)
}

/// Removes every file, as a disk that is replaced would.
fn wipe(data: &Path) -> Result<()> {
    let is_high = |name: &str| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    for high in fs::read_dir(data)? {
        let high = high?;
        if !high.file_name().to_str().is_some_and(is_high) {
            continue;
        }
        for low in fs::read_dir(high.path())? {
            for file in fs::read_dir(low?.path())? {
                fs::remove_file(file?.path())?;
            }
        }
    }
    Ok(())
}

/// The ordinary replication pauses for an hour behind each record.
const ALONE: &str = "sync_interval=3600000\n";
const PIECE: usize = 50_000;
const ROUNDS: usize = 100;
const SOURCE: usize = 0;
const OTHER: usize = 1;
const START_LIMIT: Duration = Duration::from_secs(30);
