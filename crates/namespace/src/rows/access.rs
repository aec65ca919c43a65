//! The row of an access key.

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct AccessKeyRow {
    #[prost(string, tag = "1")]
    pub(crate) secret: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) grants: Vec<GrantRow>,
    #[prost(uint64, tag = "4")]
    pub(crate) created: u64,
    #[prost(bool, tag = "5")]
    pub(crate) disabled: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GrantRow {
    #[prost(string, tag = "1")]
    pub(crate) bucket: String,
    #[prost(uint32, tag = "2")]
    pub(crate) permissions: u32,
}

impl std::fmt::Debug for AccessKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeyRow").field("name", &self.name).finish_non_exhaustive()
    }
}
