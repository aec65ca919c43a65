//! The S3 API over real sockets, names and files in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod bad_input;
mod buckets;
mod checksums;
mod conditional;
mod forms;
mod lifecycle;
mod lists;
mod local_files;
mod manners;
mod metadata;
mod metrics;
mod objects;
mod operations;
mod parts;
mod proxies;
mod speed;
mod support;
mod temporary_keys;
mod tls;
mod versions;
mod website;
