//! Rows of content: extents, who uses a file, what is to be deleted.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExtentRow {
    #[prost(uint64, tag = "1")]
    pub(crate) offset: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) length: u64,
    #[prost(string, tag = "3")]
    pub(crate) file: String,
    #[prost(uint64, tag = "4")]
    pub(crate) file_offset: u64,
    #[prost(bool, tag = "5")]
    pub(crate) foreign: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExtentsRow {
    #[prost(message, repeated, tag = "1")]
    pub(crate) extents: Vec<ExtentRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReverseRow {
    #[prost(uint32, tag = "1")]
    pub(crate) uses: u32,
    #[prost(bool, tag = "2")]
    pub(crate) foreign: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FreedRow {
    #[prost(uint32, tag = "1")]
    pub(crate) reason: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) attempts: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) not_before: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OrphanRow {
    #[prost(uint64, tag = "1")]
    pub(crate) session: u64,
    #[prost(sfixed64, tag = "2")]
    pub(crate) since: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JoinRow {
    #[prost(uint64, tag = "1")]
    pub(crate) since: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) attempts: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) not_before: u64,
    #[prost(bool, tag = "4")]
    pub(crate) rewrite: bool,
}
