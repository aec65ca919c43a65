//! A cluster with files, and fronts of it.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use fdfs_client::{Client, UploadKind, UploadSpec};
use fdfs_tests::{Cluster, Deadline, Gateway, wait_for_equal_replicas};
use fdfs_types::{FileId, NameFields, RemoteFilename, SizeField, Source, Subdir};

use crate::browser::Browser;
use crate::fleet::{client_of, fleet};

/// A cluster with files in it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    runtime: tokio::runtime::Runtime,
}

/// A file and its content.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: FileId,
    pub(crate) content: Vec<u8>,
}

impl Stage {
    /// Starts one tracker and so many storages in each group.
    pub(crate) fn start(groups: &[(&str, usize)]) -> Result<Self> {
        let cluster = Cluster::start(fleet(1, groups)?)?;
        let client = client_of(&cluster.config().trackers);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { cluster, client, runtime })
    }

    /// Stores a file of this size in a group.
    pub(crate) fn store(&self, group: &str, size: usize) -> Result<Stored> {
        self.store_as(group, size, UploadKind::Normal)
    }

    /// Stores a file of a kind.
    pub(crate) fn store_as(&self, group: &str, size: usize, kind: UploadKind) -> Result<Stored> {
        let mut content = vec![0; size];
        fastrand::fill(&mut content);
        let spec = UploadSpec::new("bin".parse()?).in_group(group.parse()?).of_kind(kind);
        let stored = self.runtime.block_on(self.client.upload(spec, &content))?;
        Ok(Stored { id: stored.file_id, content })
    }

    /// Puts a file on the disks of these storages as it lay there so many seconds after it was stored at the first of them.
    pub(crate) fn put_old(&self, storages: &[usize], size: usize, age: u32) -> Result<Stored> {
        let mut content = vec![0; size];
        fastrand::fill(&mut content);
        let IpAddr::V4(source) = self.cluster.config().storages[storages[0]].address.ip() else {
            bail!("an address of another family");
        };
        let now = u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let fields = NameFields {
            source: Source::Ip(source),
            created: now - age,
            size: SizeField::normal(u64::try_from(size)?, fastrand::u32(..)),
            crc32: crc32fast::hash(&content),
        };
        let filename = RemoteFilename::compose(0, Subdir { high: 0, low: 0 }, &fields, None, "123.bin")?;
        for storage in storages {
            let path = self.cluster.store_path(*storage, 0).join("data").join(filename.local_path());
            std::fs::create_dir_all(path.parent().context("a directory")?)?;
            std::fs::write(path, &content)?;
        }
        Ok(Stored { id: FileId { group: "group1".parse()?, filename }, content })
    }

    /// Runs something of the client.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits until these storages have the same files.
    pub(crate) fn settle(&self, storages: &[usize]) -> Result<()> {
        wait_for_equal_replicas(&self.cluster, storages, SYNC_LIMIT).map(drop)
    }

    /// Starts a gateway with further lines of configuration, and waits until its front is ready.
    pub(crate) fn front(&self, lines: &str) -> Result<(Gateway, Browser)> {
        Self::ready(Gateway::start_with(&self.cluster, None, lines)?)
    }

    /// The same with names in this directory.
    pub(crate) fn front_with(&self, names: &Path, lines: &str) -> Result<(Gateway, Browser)> {
        Self::ready(Gateway::start_with(&self.cluster, Some(names), lines)?)
    }

    /// The storage that took a file.
    pub(crate) fn index_of_source(&self, file: &Stored) -> Result<usize> {
        let source = self.block_on(self.client.file_info(&file.id))?.source.context("a source")?;
        let storages = &self.cluster.config().storages;
        storages.iter().position(|storage| storage.address.ip() == source).context("a storage")
    }

    fn ready(gateway: Gateway) -> Result<(Gateway, Browser)> {
        let browser = Browser::of(address_of(&gateway)?);
        Deadline::after(SYNC_LIMIT).wait_for("a front that is ready", || {
            let page = browser.get("/readyz")?;
            anyhow::ensure!(page.status == 200, "{}", page.status);
            Ok(())
        })?;
        Ok((gateway, browser))
    }
}

impl Stored {
    /// Its path at a front.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.id)
    }
}

/// Where a gateway listens.
pub(crate) fn address_of(gateway: &Gateway) -> Result<IpAddr> {
    let base = gateway.s3_base();
    let host = base.trim_start_matches("http://").split(':').next().context("a host")?;
    Ok(host.parse()?)
}

const SYNC_LIMIT: Duration = Duration::from_secs(90);
