//! Every word of the domain is read as it is written.

use std::fmt::{Debug, Display};
use std::net::Ipv4Addr;
use std::str::FromStr;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::{
    Extension, FileId, FileKind, GroupName, Metadata, NameFields, RemoteFilename, ServerId, SizeField,
    SlavePrefix, Source, StorageId, Subdir, TrunkSlot, slave_name,
};

proptest! {
    #[test]
    fn checked_texts(
        group in "[A-Za-z0-9]{1,16}",
        storage_id in "[!-~]{1,15}",
        extension in "[A-Za-z0-9._-]{0,6}",
        prefix in "[A-Za-z0-9._-]{1,16}",
    ) {
        text::<GroupName>(&group)?;
        text::<StorageId>(&storage_id)?;
        text::<Extension>(&extension)?;
        text::<SlavePrefix>(&prefix)?;
    }

    #[test]
    fn any_text_is_an_error_or_itself(any in ".{0,40}") {
        for own in [
            any.parse::<GroupName>().map(|word| word.to_string()).ok(),
            any.parse::<StorageId>().map(|word| word.to_string()).ok(),
            any.parse::<Extension>().map(|word| word.to_string()).ok(),
            any.parse::<SlavePrefix>().map(|word| word.to_string()).ok(),
            any.parse::<FileId>().map(|word| word.to_string()).ok(),
        ] {
            prop_assert!(own.is_none_or(|own| own == any));
        }
    }

    #[test]
    fn name_fields(fields in fields(), bytes in any::<[u8; 20]>()) {
        prop_assert_eq!(NameFields::from_bytes(&fields.to_bytes()), fields);
        prop_assert_eq!(NameFields::decode(fields.encode().as_bytes()), Ok(fields));
        prop_assert_eq!(NameFields::from_bytes(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn trunk_slots(slot in slot(), text in prop::collection::vec(any::<u8>(), 0..20)) {
        prop_assert_eq!(TrunkSlot::decode(slot.encode().as_bytes()), Some(slot));
        if let Some(slot) = TrunkSlot::decode(&text) {
            prop_assert_eq!(slot.encode().into_bytes(), text);
        }
    }

    #[test]
    fn a_name_tells_what_it_was_made_of(
        (store_path, subdir, fields, extension, digits) in parts(),
        slot in slot(),
        group in "[a-z0-9]{1,16}",
    ) {
        let tail = extension.tail(|| digits);
        let slot = (fields.size.has_trunk_bit() && !fields.size.is_appender()).then_some(slot);
        let name = RemoteFilename::compose(store_path, subdir, &fields, slot, &tail).expect("a name");
        prop_assert_eq!((name.store_path(), name.subdir(), name.tail()), (store_path, subdir, &*tail));
        prop_assert_eq!((name.fields(), name.trunk_part()), (Ok(fields), slot));
        let kind = match slot {
            _ if fields.size.is_appender() => FileKind::Appender,
            Some(slot) => FileKind::Trunk(slot),
            None => FileKind::Normal,
        };
        prop_assert_eq!(name.kind(), Ok(kind));
        text::<FileId>(&format!("{group}/{name}"))?;
    }

    #[test]
    fn a_slave_carries_the_fields_of_its_master(
        (store_path, subdir, fields, extension, digits) in parts(),
        prefix in "[A-Za-z0-9_-]{3,16}",
    ) {
        let fields = NameFields { size: SizeField::normal(7, 7), ..fields };
        let tail = extension.tail(|| digits);
        let master = RemoteFilename::compose(store_path, subdir, &fields, None, &tail).expect("a name");
        let local = slave_name(master.local_path(), &prefix, None).expect("a slave's name");
        let slave: RemoteFilename = local.parse().expect("a name");
        prop_assert_eq!((slave.fields(), slave.kind()), (Ok(fields), Ok(FileKind::Slave)));
    }

    #[test]
    fn sizes(size: u64, random: u32) {
        let size = size >> (random % 64).max(6);
        prop_assert_eq!(SizeField::normal(size, random).size(), Some(size));
        prop_assert_eq!(SizeField::trunk(size as u32, random).size(), Some(u64::from(size as u32)));
        prop_assert_eq!(SizeField::appender(random).size(), None);
        let private = SizeField::normal(size, random).private();
        prop_assert_eq!((private.size(), private.is_private(), private.is_appender()), (Some(size), true, false));
        prop_assert!(!SizeField::normal(size, random).is_private() && !SizeField::appender(random).is_private());
    }

    #[test]
    fn metadata(pairs in prop::collection::vec(pair(), 0..8)) {
        let mut metadata = Metadata::new();
        for (name, value) in &pairs {
            metadata.insert(name, value).expect("a pair");
        }
        prop_assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata.clone()));
        if let Some((name, value)) = pairs.last() {
            prop_assert_eq!(metadata.get(name), Some(&**value));
        }
    }
}

fn text<T: Debug + Display + FromStr<Err: Debug> + PartialEq>(text: &str) -> TestCaseResult {
    let word: T = text.parse().expect("a word");
    prop_assert_eq!(word.to_string(), text);
    Ok(())
}

/// An address that ends in `.0` is read as an ID, as the original does.
fn fields() -> impl Strategy<Value = NameFields> {
    let ip = any::<[u8; 4]>().prop_map(|[a, b, c, d]| Source::Ip(Ipv4Addr::new(a, b, c, d.max(1))));
    let id = prop_oneof![Just(1), Just(ServerId::MAX), 1..=ServerId::MAX];
    let id = id.prop_map(|id| Source::Id(ServerId::new(id).expect("an ID")));
    let size = prop_oneof![
        any::<(u32, u32)>().prop_map(|(size, random)| SizeField::normal(size.into(), random)),
        (1_u64 << 32..1 << 58).prop_map(|size| SizeField::normal(size, 0)),
        any::<u32>().prop_map(SizeField::appender),
        any::<(u32, u32)>().prop_map(|(size, random)| SizeField::trunk(size, random)),
    ];
    (prop_oneof![ip, id], any::<u32>(), size, any::<u32>())
        .prop_map(|(source, created, size, crc32)| NameFields { source, created, size, crc32 })
}

fn parts() -> impl Strategy<Value = (u8, Subdir, NameFields, Extension, u8)> {
    let subdir = any::<(u8, u8)>().prop_map(|(high, low)| Subdir { high, low });
    let extension = "[a-z0-9]{0,6}".prop_map(|text| text.parse::<Extension>().expect("an extension"));
    (any::<u8>(), subdir, fields(), extension, 0..10_u8)
}

fn slot() -> impl Strategy<Value = TrunkSlot> {
    any::<[u32; 3]>().prop_map(|[trunk_id, offset, allocated]| TrunkSlot { trunk_id, offset, allocated })
}

fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop::collection::vec(3..=u8::MAX, 1..=Metadata::MAX_NAME_LEN);
    (name, prop::collection::vec(2..=u8::MAX, 0..=Metadata::MAX_VALUE_LEN))
}
