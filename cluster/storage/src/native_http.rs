//! Native HTTP paths.

mod all_files;

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use fdfs_conf::{Configuration as _, HttpConf, NativeHttpConfig, StorageConfig};
use fdfs_http::{HttpServer, Limits, MemberFiles, NativePaths, Settings};
use fdfs_net::PoolConfig;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use self::all_files::{OthersFiles, OwnFiles};
use crate::{StorageError, shared::Shared};

/// The running server; it is cut off when this is dropped.
#[derive(Debug)]
pub(crate) struct NativeHttp {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl NativeHttp {
    /// Serves native paths as configured; `None` where they are switched off, or where nobody asked for
    /// the default port and it is taken.
    pub(crate) async fn start(
        config: &StorageConfig,
        shared: &Arc<Shared>,
        pool: PoolConfig,
    ) -> Result<Option<Self>, StorageError> {
        let Some(service) = &config.http_listen else { return Ok(None) };
        let native = config.listeners.first().and_then(|listener| listener.addresses.first().copied());
        let ip = service.address.or(native).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let address = SocketAddr::new(ip, service.port);
        let Some(settings) = settings(&config.http_conf)? else { return Ok(None) };
        let own = OwnFiles::new(shared, settings.expose_metadata);
        let files = MemberFiles::new(own, OthersFiles::new(shared, pool));
        let paths = NativePaths::new(Arc::new(files), Arc::new(settings), Some(shared.group()));
        let limits = Limits { threads: config.work_threads as usize, ..Limits::default() };
        let server = match HttpServer::bind(address, Arc::new(paths), limits).await {
            Ok(server) => server,
            Err(error) if !service.is_explicit => {
                warn!(%address, %error, "no native HTTP: set http_listen to a free port");
                return Ok(None);
            }
            Err(source) => return Err(StorageError::Listen { address, source }),
        };
        let address = server.local_addr().map_err(|source| StorageError::Listen { address, source })?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(server.run(stopped));
        info!(%address, "native HTTP paths are served");
        Ok(Some(Self { address, stop, task }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and waits for those that are being answered, within their grace time.
    pub(crate) async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        if let Err(error) = (&mut self.task).await {
            warn!(%error, "native HTTP ended badly");
        }
    }
}

impl Drop for NativeHttp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How native paths are to be served; `None` where a file that merely lies there cannot be used: what it asks for, tokens
/// maybe, must not be left out in silence.
fn settings(conf: &HttpConf) -> Result<Option<Settings>, StorageError> {
    let (path, is_named) = match conf {
        HttpConf::None => return Ok(Some(Settings::default())),
        HttpConf::Beside(path) if !path.exists() => return Ok(Some(Settings::default())),
        HttpConf::Beside(path) => (path, false),
        HttpConf::Named(path) => (path, true),
    };
    match read(path) {
        Ok(settings) => Ok(Some(settings)),
        Err(error) if is_named => Err(error),
        Err(error) => {
            warn!(path = %path.display(), %error, "no native HTTP: mend the file, or set mod_fastdfs_conf to another, or to off");
            Ok(None)
        }
    }
}

fn read(path: &Path) -> Result<Settings, StorageError> {
    let loaded = NativeHttpConfig::read(path, &mut |path| std::fs::read(path))?;
    for warning in &loaded.warnings {
        if warning.is_harmless() { info!("{warning}") } else { warn!("{warning}") }
    }
    Ok(Settings::load(&loaded.config)?)
}
