//! The S3 API: buckets and objects over HTTP, as aws-cli, the SDKs and s3cmd speak it.
//!
//! A request is answered in this order: its target (bucket and key) is read from path and host,
//! its operation is chosen, its signature is verified, its headers and XML are parsed,
//! and only then the operation runs and reads the body. Whatever is refused is refused
//! before the body is asked for. What is supported stands in `COMPATIBILITY.md`.

mod access;
mod acl;
mod body;
mod bucket_setting;
mod checksum;
mod conditions;
mod config;
mod connection;
mod context;
mod copy_source;
mod cors;
mod crc_combination;
mod credentials;
mod error;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod lifecycle;
mod listing;
mod multipart;
mod object_checksum;
mod object_headers;
mod object_response;
mod ops;
mod payload;
mod peer;
mod public;
mod range;
mod request;
mod respond;
mod rfc2047;
mod route;
mod server;
mod service;
mod session;
mod signature;
mod slow;
mod sts;
mod tagging;
mod tally;
mod target;
mod time;
mod unsupported;
mod uri;
mod website;
mod xml;

pub use config::Config;
pub use credentials::{
    Credentials, CredentialsError, CredentialsFile, CredentialsProvider, Identity, KeyPair,
};
pub use fdfs_net::TlsFiles;
pub use lifecycle::{LifecycleError, LifecycleReport, apply_lifecycle};
pub use public::PublicObjects;
pub use server::S3Server;
