//! Rows that keep the store itself: stamp, leases, sessions, changes.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StampRow {
    #[prost(uint32, tag = "1")]
    pub(crate) format: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) min_reader: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) min_writer: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) store: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(crate) epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseRow {
    #[prost(uint64, tag = "1")]
    pub(crate) next: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SessionRow {
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(string, tag = "2")]
    pub(crate) host: String,
    #[prost(uint64, tag = "3")]
    pub(crate) started: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) renewed: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) oldest_open: u64,
    #[prost(uint32, tag = "6")]
    pub(crate) slot: u32,
    #[prost(bool, tag = "7")]
    pub(crate) fenced: bool,
    #[prost(uint64, tag = "8")]
    pub(crate) unowned: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ChangeRow {
    #[prost(uint64, tag = "1")]
    pub(crate) inode: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) version: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) kind: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) parent: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) name: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub(crate) time: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) other_parent: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) other_name: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TaskRow {
    #[prost(uint64, tag = "1")]
    pub(crate) session: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) until: u64,
}
