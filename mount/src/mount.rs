//! A mount, from its beginning to its end.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use fdfs_objects::Objects;
use fuser::{MountOption, SessionACL};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::adapter::FuseAdapter;
use crate::attach::attach;
use crate::config::Config;
use crate::disk_cache::DiskCache;
use crate::error::MountError;
use crate::file_system::FileSystem;
use crate::kernel_cache::{Notifier, follow};
use crate::{kernel_limits, preflight};

/// A mount. Dropped without [`Mount::unmount`], it is unmounted without waiting for anything.
pub struct Mount {
    mountpoint: PathBuf,
    fs: Arc<FileSystem>,
    ended: watch::Receiver<bool>,
    housekeeping: JoinHandle<()>,
    mounted: bool,
}

/// How a mount ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unmounted {
    /// Nobody used it.
    Clean,
    /// Programs still had files open: it is out of the tree, and gone when the last of them closes.
    Lazily,
}

impl Mount {
    /// Mounts. Requests are answered on threads of the mount and on `runtime`.
    pub fn start(config: &Config, objects: Arc<Objects>, runtime: &Handle) -> Result<Self, MountError> {
        preflight::check(&config.mountpoint)?;
        // As the kernel names it; once it is mounted, asking for it would be a request.
        let resolved = config.mountpoint.canonicalize().unwrap_or_else(|_| config.mountpoint.clone());
        let kept = config.disk_cache.as_ref().map(|kept| {
            let refused = |source| MountError::DiskCache { path: kept.directory.clone(), source };
            DiskCache::open(&kept.directory, kept.size).map_err(refused)
        });
        let fs = FileSystem::with_cache(objects, config, kept.transpose()?);
        if config.access_times && !config.read_only {
            fs.accesses.begin(Arc::clone(&fs.objects), runtime);
        }
        let adapter = FuseAdapter::new(Arc::clone(&fs), runtime.clone());
        let refused = |source| MountError::Refused { path: config.mountpoint.clone(), source };
        let lingering = adapter.lingering();
        let session = attach(adapter, config, options(config)).map_err(refused)?;
        lingering.begin(session.as_fd()).map_err(refused)?;

        let (end, ended) = watch::channel(false);
        let notifier = Notifier::new(session.as_fd()).map_err(refused)?;
        let (cache, objects) = (Arc::clone(&fs.cache), Arc::clone(&fs.objects));
        follow(cache, notifier, objects, fs.origin, ended.clone()).map_err(refused)?;
        let mountpoint = config.mountpoint.clone();
        let serve = move || {
            match session.run() {
                Ok(()) => info!(mountpoint = %mountpoint.display(), "unmounted"),
                Err(error) => error!(mountpoint = %mountpoint.display(), %error, "the mount failed"),
            }
            end.send_replace(true);
        };
        thread::Builder::new().name("fdfs-mount".to_owned()).spawn(serve).map_err(refused)?;

        kernel_limits::raise_read_ahead(&resolved);
        let housekeeping = runtime.spawn(housekeeping(Arc::clone(&fs)));
        info!(mountpoint = %config.mountpoint.display(), "mounted");
        Ok(Self { mountpoint: config.mountpoint.clone(), fs, ended, housekeeping, mounted: true })
    }

    /// Returns when the mount has ended, whoever ended it.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the serving thread is gone, too.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// How often the kernel has asked for anything.
    pub fn requests(&self) -> u64 {
        self.fs.requests.load(Ordering::Relaxed)
    }

    /// Commits what was written and unmounts; out of the tree only, where programs still use it.
    pub async fn unmount(mut self) -> Result<Unmounted, MountError> {
        self.mounted = false;
        self.housekeeping.abort();
        self.fs.end();
        let failed = self.fs.origin.scope(self.fs.flush_all()).await;
        let how = if *self.ended.borrow() { Unmounted::Clean } else { self.take_down().await? };
        if how == Unmounted::Clean && tokio::time::timeout(PATIENCE, self.ended()).await.is_err() {
            warn!(mountpoint = %self.mountpoint.display(), "the mount is gone, its threads are not");
        }
        // What came between the first look and the unmount.
        let failed = failed.max(self.fs.flush_all().await);
        if failed > 0 { Err(MountError::NotFlushed(failed)) } else { Ok(how) }
    }

    async fn take_down(&self) -> Result<Unmounted, MountError> {
        let path = self.mountpoint.clone();
        let work = move || match preflight::unmount(&path, false) {
            Ok(()) => Ok(Unmounted::Clean),
            Err(error) => {
                warn!(mountpoint = %path.display(), %error, "still in use: taken out of the tree, ends with the last user");
                preflight::unmount(&path, true).map(|()| Unmounted::Lazily)
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|source| MountError::Unmount { path: self.mountpoint.clone(), source })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.housekeeping.abort();
        self.fs.end();
        if self.mounted
            && !*self.ended.borrow()
            && let Err(error) = preflight::unmount(&self.mountpoint, true)
        {
            warn!(mountpoint = %self.mountpoint.display(), %error, "not unmounted");
        }
    }
}

fn options(config: &Config) -> fuser::Config {
    let mut options = fuser::Config::default();
    options.mount_options = vec![
        MountOption::FSName(config.source_name.clone()),
        MountOption::Subtype("fdfs".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoDev,
        MountOption::NoSuid,
        if config.read_only { MountOption::RO } else { MountOption::RW },
    ];
    if !config.access_times {
        options.mount_options.push(MountOption::NoAtime);
    }
    if config.no_exec {
        options.mount_options.push(MountOption::NoExec);
    }
    options.acl = if config.allow_other { SessionACL::All } else { SessionACL::Owner };
    options.n_threads = Some(config.threads.max(1));
    options.clone_fd = true;
    options
}

async fn housekeeping(fs: Arc<FileSystem>) {
    let mut ticks = tokio::time::interval(IDLE / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        fs.rest(IDLE).await;
    }
}

/// How long a stream to or from a storage may stand still.
const IDLE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end a mount.
const PATIENCE: Duration = Duration::from_secs(10);
