//! Conversations captured from the original.

use std::path::Path;

use fdfs_proto::Header;
use serde::Deserialize;

/// The files, in the order of their size.
pub(crate) const FILES: [&str; 3] =
    ["wire-client.json", "wire-tracker-cluster.json", "wire-storage-sync.json"];

/// One question and its answer. Fields that only one of the files has are optional.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) note: String,
    request_hex: Option<String>,
    response_hex: Option<String>,
    /// Length of a request that is cut in the file.
    pub(crate) request_len: Option<u64>,
    /// Length of an answer that is cut in the file.
    pub(crate) response_len: Option<u64>,
}

impl Exchange {
    pub(crate) fn request(&self) -> Option<(Header, Vec<u8>)> {
        message(self.request_hex.as_ref())
    }

    pub(crate) fn answer(&self) -> Option<(Header, Vec<u8>)> {
        message(self.response_hex.as_ref())
    }
}

pub(crate) fn exchanges(file: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(file);
    let json = std::fs::read(path).expect("the file is there");
    serde_json::from_slice(&json).expect("the file is a list of exchanges")
}

/// The same bytes, save where the original leaves old ones behind a NUL and we write zeros.
pub(crate) fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a == b || *a == 0)
}

fn message(hex_text: Option<&String>) -> Option<(Header, Vec<u8>)> {
    let bytes = hex::decode(hex_text?).expect("the file has hex digits");
    let (head, body) = bytes.split_first_chunk()?;
    Some((Header::decode(head).ok()?, body.to_vec()))
}
