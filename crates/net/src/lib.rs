//! Connections: the server loop, pools of connections to servers, and streamed payloads.
//!
//! A server is one acceptor that deals sockets to worker threads in turn; each worker runs its connections on a runtime of
//! its own, so that a request is read, served and answered on one thread. Waiting connections hold no buffer.

mod buffer;
mod connection;
mod error;
mod file_content;
mod lending;
mod near;
mod outgoing;
mod pool;
mod secret;
mod server;
mod serving_thread;
mod tls;
mod wire;

pub use connection::{Connection, FileError, RequestError};
pub use error::{CallError, NetError};
pub use file_content::{FileContent, FilePiece};
pub use lending::{Borrower, Lender, Lent, Loan};
pub use near::{connect, is_near, prepare};
pub use outgoing::Outgoing;
pub use pool::{Lease, Peer, Pool, PoolConfig};
pub use secret::{SecretError, SharedSecret};
pub use server::{ConnectionCounts, Limits, Server, Service, listen, listen_here};
pub use serving_thread::serving_thread;
pub use tls::{Tls, TlsFiles};
