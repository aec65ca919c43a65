//! Rows of multipart uploads.

use super::ExtentRow;
use super::inode::{ChecksumRow, HeaderRow, PairRow};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UploadRow {
    #[prost(uint64, tag = "1")]
    pub(crate) initiated: u64,
    #[prost(string, tag = "2")]
    pub(crate) owner: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) headers: Vec<HeaderRow>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) attributes: Vec<PairRow>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) tags: Vec<PairRow>,
    #[prost(uint32, tag = "6")]
    pub(crate) checksum_algorithm: u32,
    #[prost(string, tag = "7")]
    pub(crate) group: String,
    #[prost(string, tag = "8")]
    pub(crate) storage: String,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) path: Option<u32>,
    #[prost(uint32, tag = "10")]
    pub(crate) mode: u32,
    #[prost(uint32, tag = "11")]
    pub(crate) uid: u32,
    #[prost(uint32, tag = "12")]
    pub(crate) gid: u32,
    #[prost(uint32, tag = "13")]
    pub(crate) checksum_type: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartRow {
    #[prost(message, repeated, tag = "1")]
    pub(crate) extents: Vec<ExtentRow>,
    #[prost(uint64, tag = "2")]
    pub(crate) size: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) md5: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) checksums: Vec<ChecksumRow>,
    #[prost(uint64, tag = "5")]
    pub(crate) time: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CompletedRow {
    #[prost(uint64, tag = "1")]
    pub(crate) inode: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) etag: Vec<u8>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) etag_parts: Option<u32>,
    #[prost(uint64, tag = "4")]
    pub(crate) time: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartTableRow {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) sizes: Vec<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) checksums: Vec<ChecksumRow>,
    #[prost(uint32, repeated, tag = "3")]
    pub(crate) numbers: Vec<u32>,
}
