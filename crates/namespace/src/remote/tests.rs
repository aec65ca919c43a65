//! The service and its engine over real sockets.

mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{RemoteEngine, RowServer, Secret};
use crate::engine::{Engine, EngineError, Job, MemoryEngine, Read, Row, Sharing};
use crate::namespace::Namespace;

/// A running service.
pub(crate) struct Served {
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Serves an engine.
    pub(crate) fn engine(engine: Arc<dyn Engine>) -> Self {
        let announce = crate::settings::Announcer::new(64);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start(async || RowServer::bind_engine(loopback, engine, announce, None).await.unwrap())
    }

    /// Serves a namespace at `address`.
    pub(crate) fn namespace(address: SocketAddr, namespace: &Namespace, secret: Option<Secret>) -> Self {
        Self::start(async || RowServer::bind(address, namespace, secret).await.unwrap())
    }

    fn start(bind: impl AsyncFnOnce() -> RowServer) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = runtime.block_on(bind());
        let address = server.address();
        runtime.spawn(server.run(stopped));
        Self { runtime: Some(runtime), stop, address }
    }

    /// Ends it as a crash does: whatever is under way is cut off.
    pub(crate) fn kill(mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// An engine behind a service of its own.
pub(crate) struct Loopback {
    remote: RemoteEngine,
    _served: Served,
}

impl Loopback {
    /// Over rows in memory.
    pub(crate) fn over_memory() -> Self {
        Self::over(Arc::new(MemoryEngine::default()))
    }

    /// Over any engine.
    pub(crate) fn over(engine: Arc<dyn Engine>) -> Self {
        let served = Served::engine(engine);
        Self { remote: RemoteEngine::new(served.address, None).unwrap(), _served: served }
    }
}

impl Engine for Loopback {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.remote.read(job)
    }

    fn submit(&self, job: Box<dyn Job>) {
        self.remote.submit(job);
    }

    fn snapshot(&self, take: &mut dyn FnMut(Vec<Row>) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.remote.snapshot(take)
    }

    fn reads_inline(&self) -> bool {
        self.remote.reads_inline()
    }

    fn sharing(&self) -> Sharing {
        Sharing::Service
    }
}
