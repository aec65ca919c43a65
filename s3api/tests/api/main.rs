//! The S3 API over real sockets, names and files in memory.

mod manners;
mod objects;
mod support;
