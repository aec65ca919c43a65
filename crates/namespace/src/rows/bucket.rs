//! Rows of a bucket: itself, and its settings.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BucketRow {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, tag = "2")]
    pub(crate) root: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) kind: u32,
    #[prost(string, tag = "4")]
    pub(crate) group: String,
    #[prost(string, repeated, tag = "5")]
    pub(crate) placement: Vec<String>,
    #[prost(sfixed64, tag = "6")]
    pub(crate) created: i64,
    #[prost(string, tag = "7")]
    pub(crate) owner: String,
    #[prost(uint32, tag = "8")]
    pub(crate) versioning: u32,
    #[prost(bool, tag = "9")]
    pub(crate) native_read_off: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BlobRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) data: bytes::Bytes,
}
