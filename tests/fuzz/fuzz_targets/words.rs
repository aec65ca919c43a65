//! Any bytes as a word of the domain: an error, or a value that is written as it was read.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use fdfs_proto::ServerAddress;
use fdfs_types::{Extension, FileId, GroupName, Metadata, NameFields, SlavePrefix, StorageId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(metadata) = Metadata::decode(bytes) {
        assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    word::<GroupName>(text);
    word::<StorageId>(text);
    word::<Extension>(text);
    word::<SlavePrefix>(text);
    if let Ok(address) = ServerAddress::parse(text, 7) {
        assert_eq!(ServerAddress::parse(&address.to_string(), 8), Ok(address));
    }
    let Some(id) = word::<FileId>(text) else { return };
    let _ = (id.filename.kind(), id.filename.trunk_part(), id.filename.tail());
    if let Ok(fields) = id.filename.fields() {
        assert_eq!(fields, NameFields::from_bytes(&fields.to_bytes()));
        assert_eq!(NameFields::decode(fields.encode().as_bytes()), Ok(fields));
    }
});

fn word<T: Debug + Display + FromStr + PartialEq>(text: &str) -> Option<T> {
    let word: T = text.parse().ok()?;
    assert_eq!(word.to_string(), text);
    Some(word)
}
