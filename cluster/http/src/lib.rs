//! Native HTTP paths: `/group1/M00/00/00/…` answered from a [`Source`] of files.
//!
//! The same code serves on a storage, where the source is its own disk and its peers, and at the
//! front, where it is the whole cluster. What is answered to which request stands in
//! `COMPATIBILITY.md` beside this crate.
//!
//! ```text
//!  request → Target (grammar) → TokenCheck → FileId → Source → Content → Response<Body>
//!            ╰ Settings: mod_fastdfs.conf, http.conf ╯   ╰ or another member, by pass_on
//! ```

mod attachment;
mod body;
mod client_limits;
mod cluster_files;
mod conditions;
mod flv;
pub mod front;
#[doc(hidden)]
pub mod fuzzing;
mod media_types;
mod member_files;
mod native_paths;
mod pass_on;
mod patience;
mod query;
mod ranges;
mod redirect;
mod respond;
mod server;
mod settings;
mod socket;
mod source;
mod target;
mod token;

pub use body::Body;
pub use client_limits::{ClientLimitSettings, ClientLimits, ConnectionPlace};
pub use cluster_files::ClusterFiles;
pub use fdfs_net::{FileContent, FilePiece};
pub use media_types::MediaTypes;
pub use member_files::{Local, MemberFiles};
pub use native_paths::NativePaths;
pub use query::Query;
pub use ranges::{ParseRangesError, RangeRequest, resolve};
pub use respond::{Refusal, is_immutable, serve};
pub use server::{Connection, Handler, HttpServer, Limits};
pub use settings::{Picture, Settings, SettingsError};
pub use source::{Content, Reader, Source, SourceError};
pub use target::{ParseTargetError, Target};
pub use token::{Granted, TokenCheck, TokenError, token_of};
