//! Rows of the tree: inodes, entries, what directories add up.

use super::ExtentRow;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InodeRow {
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) state: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) version: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) links: u32,
    #[prost(uint64, tag = "5")]
    pub(crate) bucket: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) parent: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) name: Vec<u8>,
    #[prost(uint64, tag = "8")]
    pub(crate) size: u64,
    #[prost(uint32, tag = "9")]
    pub(crate) mode: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) uid: u32,
    #[prost(uint32, tag = "11")]
    pub(crate) gid: u32,
    #[prost(sfixed64, tag = "12")]
    pub(crate) atime: i64,
    #[prost(sfixed64, tag = "13")]
    pub(crate) mtime: i64,
    #[prost(sfixed64, tag = "14")]
    pub(crate) ctime: i64,
    #[prost(sfixed64, tag = "15")]
    pub(crate) btime: i64,
    #[prost(uint64, tag = "16")]
    pub(crate) content_time: u64,
    #[prost(bytes = "vec", tag = "17")]
    pub(crate) etag: Vec<u8>,
    #[prost(uint32, optional, tag = "18")]
    pub(crate) etag_parts: Option<u32>,
    #[prost(message, repeated, tag = "19")]
    pub(crate) headers: Vec<HeaderRow>,
    #[prost(message, repeated, tag = "20")]
    pub(crate) attributes: Vec<PairRow>,
    #[prost(message, repeated, tag = "21")]
    pub(crate) tags: Vec<PairRow>,
    #[prost(message, repeated, tag = "22")]
    pub(crate) checksums: Vec<ChecksumRow>,
    #[prost(message, repeated, tag = "23")]
    pub(crate) extents: Vec<ExtentRow>,
    #[prost(uint32, tag = "24")]
    pub(crate) extent_blocks: u32,
    #[prost(bytes = "vec", tag = "25")]
    pub(crate) target: Vec<u8>,
    #[prost(uint64, tag = "26")]
    pub(crate) device: u64,
    #[prost(uint32, tag = "27")]
    pub(crate) mirrored: u32,
    #[prost(uint32, tag = "28")]
    pub(crate) part_count: u32,
    #[prost(uint64, tag = "40")]
    pub(crate) sequence: u64,
    #[prost(bool, tag = "41")]
    pub(crate) versioned: bool,
    #[prost(bool, tag = "42")]
    pub(crate) history: bool,
    #[prost(uint32, tag = "43")]
    pub(crate) versioning: u32,
    #[prost(bool, tag = "44")]
    pub(crate) native_read_off: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeaderRow {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PairRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ChecksumRow {
    #[prost(uint32, tag = "1")]
    pub(crate) algorithm: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EntryRow {
    #[prost(uint64, tag = "1")]
    pub(crate) inode: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) state: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) size: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) etag: Vec<u8>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) etag_parts: Option<u32>,
    #[prost(uint64, tag = "7")]
    pub(crate) content_time: u64,
    #[prost(sfixed64, tag = "8")]
    pub(crate) mtime: i64,
    #[prost(sfixed64, tag = "9")]
    pub(crate) ctime: i64,
    #[prost(sfixed64, optional, tag = "10")]
    pub(crate) atime: Option<i64>,
    #[prost(uint32, optional, tag = "11")]
    pub(crate) mode: Option<u32>,
    #[prost(uint32, tag = "12")]
    pub(crate) uid: u32,
    #[prost(uint32, tag = "13")]
    pub(crate) gid: u32,
    #[prost(bool, tag = "14")]
    pub(crate) delete_marker: bool,
    #[prost(uint32, tag = "15")]
    pub(crate) checksum: u32,
    #[prost(uint64, tag = "20")]
    pub(crate) sequence: u64,
    #[prost(bool, tag = "21")]
    pub(crate) versioned: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeltaRow {
    #[prost(sint64, tag = "1")]
    pub(crate) entries: i64,
    #[prost(sint64, tag = "2")]
    pub(crate) directories: i64,
    #[prost(sfixed64, tag = "3")]
    pub(crate) mtime: i64,
    #[prost(uint64, tag = "4")]
    pub(crate) version: u64,
}
