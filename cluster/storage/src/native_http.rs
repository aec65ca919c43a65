//! Native HTTP paths of the storage's own files.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use fdfs_conf::StorageConfig;
use fdfs_http::{Content, FileContent, HttpServer, Limits, NativePaths, Source, SourceError};
use fdfs_store::StoreError;
use fdfs_types::FileId;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use crate::{StorageError, error::Refusal, relay::RelayedContent, shared::Shared};

/// The disk of this storage as a source of files.
struct OwnFiles(Arc<Shared>);

/// The running server; it is cut off when this is dropped.
#[derive(Debug)]
pub(crate) struct NativeHttp {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Source for OwnFiles {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        if id.group != self.0.group() {
            return Err(SourceError::NotFound);
        }
        let open = match self.0.store.open_file(&id.filename) {
            Err(StoreError::NotFound) => return self.relayed(id).await,
            open => open.map_err(refusal)?,
        };
        let reader = Box::new(FileContent::new(Arc::new(open.file)));
        Ok(Content { size: open.size, modified: open.modified, holder: None, reader })
    }
}

impl OwnFiles {
    /// The file of another member.
    async fn relayed(&self, id: &FileId) -> Result<Content, SourceError> {
        match RelayedContent::open(&self.0, id).await {
            Ok((size, modified, content)) => {
                Ok(Content { size, modified, holder: None, reader: Box::new(content) })
            }
            Err(Refusal::Store(_) | Refusal::Told(_)) => Err(SourceError::NotFound),
            Err(_) => Err(SourceError::Unavailable),
        }
    }
}

/// What a store error means to a browser.
fn refusal(error: StoreError) -> SourceError {
    match error {
        StoreError::NoSuchStorePath { .. } => SourceError::Foreign("no such store path"),
        StoreError::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound => {
            SourceError::Io(std::io::Error::new(source.kind(), source))
        }
        _ => SourceError::NotFound,
    }
}

impl NativeHttp {
    /// Serves native paths as configured; `None` where they are switched off, or where nobody asked for
    /// the default port and it is taken.
    pub(crate) async fn start(
        config: &StorageConfig,
        shared: &Arc<Shared>,
    ) -> Result<Option<Self>, StorageError> {
        let Some(service) = &config.http_listen else { return Ok(None) };
        let native = config.listeners.first().and_then(|listener| listener.addresses.first().copied());
        let ip = service.address.or(native).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let address = SocketAddr::new(ip, service.port);
        let source = Arc::new(OwnFiles(Arc::clone(shared)));
        let paths = NativePaths::new(source, Arc::default(), Some(shared.group()));
        let server = match HttpServer::bind(address, Arc::new(paths), Limits::default()).await {
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
