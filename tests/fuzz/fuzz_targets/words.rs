//! Any bytes as a file ID or as metadata: an error, or a value that is written as it was read.

#![no_main]

use fdfs_types::{FileId, Metadata};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(metadata) = Metadata::decode(bytes) {
        assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(id) = text.parse::<FileId>() else { return };
    assert_eq!(id.to_string(), text);
    let _ = (id.filename.kind(), id.filename.trunk_part(), id.filename.tail());
    if let Ok(fields) = id.filename.fields() {
        assert_eq!(fields, fdfs_types::NameFields::from_bytes(&fields.to_bytes()));
    }
});
