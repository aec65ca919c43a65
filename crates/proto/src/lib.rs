//! The FastDFS wire protocol, sans-io: bytes in, messages out, and back.
//!
//! A message is a [`Header`] and a body. Every body is a struct that implements [`Encode`] and [`Decode`];
//! a question implements [`Request`], which names its [`Command`] and the type of its answer. One command
//! family is one file. `PROTOCOL.md` beside this crate describes the wire, our own commands among it.

mod address;
mod brief;
pub mod cluster;
mod command;
mod error;
mod file_id;
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod keep_alive;
mod message;
pub mod ours;
mod reader;
mod stat;
mod status;
pub mod storage;
pub mod sync;
pub mod tracker;
mod width;
mod writer;

pub use crate::address::{ParseServerAddressError, ServerAddress};
pub use crate::brief::Brief;
pub use crate::command::Command;
pub use crate::error::DecodeError;
pub use crate::header::{Header, HeaderError};
pub use crate::keep_alive::{ActiveTestRequest, QuitRequest};
pub use crate::message::{Decode, Empty, Encode, Ignored, Raw, Request, Streamed, response_frame};
pub use crate::reader::Reader;
pub use crate::stat::{Connections, Counter, StorageStat};
pub use crate::status::Status;
pub use crate::width::{CLUSTER_IP_WIDTH, IpWidth, STORAGE_ID_WIDTH, VERSION_WIDTH};
pub use crate::writer::Writer;
