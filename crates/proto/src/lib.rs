//! The FastDFS wire protocol, sans-io: bytes in, messages out, and back.
//!
//! A message is a [`Header`] and a body. Every body is a struct that implements [`Encode`] and [`Decode`];
//! a question implements [`Request`], which names its [`Command`] and the type of its answer. One command
//! family is one file. `PROTOCOL.md` beside this crate describes the wire, our own commands among it.

mod command;
mod error;
mod header;
mod message;
mod reader;
mod status;
mod writer;

pub use crate::command::Command;
pub use crate::error::DecodeError;
pub use crate::header::{Header, HeaderError};
pub use crate::message::{Decode, Empty, Encode, Request, Streamed, response_frame};
pub use crate::reader::Reader;
pub use crate::status::Status;
pub use crate::writer::Writer;
