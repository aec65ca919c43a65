//! Native HTTP paths: `/group1/M00/00/00/…` answered from a [`Source`] of files.
//!
//! The same code serves on a storage, where the source is its own disk and its peers, and at the
//! front, where it is the whole cluster. What is answered to which request stands in
//! `COMPATIBILITY.md` beside this crate.

mod attachment;
mod body;
mod cluster_files;
mod conditions;
#[doc(hidden)]
pub mod fuzzing;
mod media_type;
mod native_path;
mod ranges;
mod respond;
mod server;
mod source;

pub use body::Body;
pub use cluster_files::ClusterFiles;
pub use media_type::media_type;
pub use native_path::{NativePath, ParseNativePathError};
pub use ranges::{ParseRangesError, RangeRequest, resolve};
pub use respond::{Refusal, respond};
pub use server::{HttpServer, Limits};
pub use source::{Content, FileContent, Reader, Source, SourceError};
