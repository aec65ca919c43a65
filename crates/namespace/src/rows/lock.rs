//! Rows of locks on files.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LockRow {
    #[prost(message, repeated, tag = "1")]
    pub(crate) ranges: Vec<LockedRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LockedRow {
    #[prost(uint64, tag = "1")]
    pub(crate) start: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) end: u64,
    #[prost(bool, tag = "3")]
    pub(crate) exclusive: bool,
    #[prost(uint32, tag = "4")]
    pub(crate) pid: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) kind: u32,
}
