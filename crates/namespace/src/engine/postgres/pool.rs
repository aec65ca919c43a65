//! Connections, and attempts while a server is away.

use std::str::FromStr as _;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tracing::debug;

use super::connection::Connection;
use super::failure::Failure;
use super::tls::Tls;
use super::wait::wait;
use crate::engine::EngineError;

/// Connections to one database, a bounded number of them.
pub(super) struct Pool {
    pub(super) runtime: Handle,
    config: Config,
    tls: Tls,
    state: Mutex<State>,
    returned: Condvar,
    /// Commits that were tried, and those among them that met others.
    pub(super) attempts: AtomicU64,
    pub(super) conflicts: AtomicU64,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    in_use: usize,
}

impl Pool {
    /// Connects when a connection is first needed.
    pub(super) fn new(url: &str, runtime: Handle) -> Result<Self, EngineError> {
        // The URL may hold a password: no error repeats it.
        let (url, tls) = Tls::of_url(url)?;
        let mut config = Config::from_str(&url).map_err(|error| {
            EngineError::Store(format!(
                "the database's URL cannot be read ({error}): postgres://USER:PASSWORD@HOST/DATABASE"
            ))
        })?;
        if let Some(password) = std::env::var_os("PGPASSWORD").filter(|_| config.get_password().is_none()) {
            config.password(password.into_encoded_bytes());
        }
        let is_local = config.get_hosts().iter().any(is_local);
        config
            .ssl_mode(if is_local { SslMode::Disable } else { tls.mode })
            .application_name("fdfs")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEP_ALIVE)
            .keepalives_interval(KEEP_ALIVE)
            .tcp_user_timeout(SILENCE)
            // A standby would answer with names of before.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self {
            runtime,
            config,
            tls,
            state: Mutex::default(),
            returned: Condvar::new(),
            attempts: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        })
    }

    /// Makes attempts until one succeeds, is refused for good, or the time is over.
    pub(super) fn until<T>(
        &self,
        end: Instant,
        mut attempt: impl FnMut(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.take(end) {
                Ok(connection) => match attempt(&connection) {
                    Ok(value) => {
                        self.give_back(Some(connection));
                        return Ok(value);
                    }
                    Err(failure) => {
                        let spared = failure.spares_connection().then(|| {
                            connection.roll_back();
                            connection
                        });
                        self.give_back(spared);
                        failure
                    }
                },
                Err(failure) => failure,
            };
            let again = matches!(failure, Failure::Conflict | Failure::Lost(_));
            if !again || Instant::now() + pause >= end {
                metrics::counter!("fdfs_namespace_database_failures_total").increment(1);
                return Err(failure);
            }
            debug!(?failure, "the database is asked again");
            metrics::counter!("fdfs_namespace_database_retries_total").increment(1);
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// An idle connection, or a new one.
    pub(super) fn take(&self, end: Instant) -> Result<Connection, Failure> {
        {
            let mut state = self.state.lock();
            loop {
                if let Some(connection) = state.idle.pop() {
                    if !connection.is_open() {
                        // Those before it are as old.
                        state.idle.clear();
                        continue;
                    }
                    state.in_use += 1;
                    return Ok(connection);
                }
                if state.in_use < MAX_CONNECTIONS {
                    state.in_use += 1;
                    break;
                }
                if self.returned.wait_until(&mut state, end).timed_out() {
                    return Err(Failure::Lost(format!("all {MAX_CONNECTIONS} connections are in use")));
                }
            }
        }
        let left = end.saturating_duration_since(Instant::now()).min(CONNECT_TIMEOUT);
        let opened = wait(&self.runtime, left, self.open());
        match opened {
            Ok(connection) => Ok(connection),
            Err(failure) => {
                self.give_back(None);
                // A server that does not answer now may do so when it is asked again.
                Err(match failure {
                    Failure::Silent => Failure::Lost("it gives no answer".to_owned()),
                    failure => failure,
                })
            }
        }
    }

    /// Connects; in a task, as the runtime drives the connection.
    async fn open(&self) -> Result<Connection, Failure> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let opening = self.runtime.spawn(async move { Connection::open(&config, tls).await });
        opening.await.unwrap_or_else(|error| Err(Failure::Lost(error.to_string())))
    }

    /// Takes a connection back; none, where it is of no use any more.
    pub(super) fn give_back(&self, connection: Option<Connection>) {
        let mut state = self.state.lock();
        state.in_use -= 1;
        state.idle.extend(connection.filter(Connection::is_open));
        drop(state);
        self.returned.notify_one();
    }
}

/// A socket of this machine: nobody listens in, and PostgreSQL has no TLS there.
fn is_local(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

/// Connections of one gateway: PostgreSQL takes 100 by default.
const MAX_CONNECTIONS: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A connection whose data is not acknowledged for so long is lost.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);
