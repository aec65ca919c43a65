//! Every file ID captured from the original decodes to what was recorded, and encodes to itself.

use std::net::Ipv4Addr;

use fdfs_types::{
    Extension, FileId, FileKind, NameFields, RemoteFilename, ServerId, Source, base64, pjw, slave_name,
};
use serde_json::Value;

fn vectors() -> Value {
    let text = include_str!("../../../tests/vectors/file-ids.json");
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn list(key: &str) -> Vec<Value> {
    vectors()[key].as_array().expect(key).clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect(text)
}

#[test]
fn every_captured_file_id_decodes_to_its_fields() {
    let vectors = list("vectors");
    assert_eq!(vectors.len(), 72);
    for vector in vectors {
        let id: FileId = text(&vector, "file_id").parse().unwrap();
        let name = &id.filename;
        let fields = name.fields().unwrap();
        assert_eq!(id.group.as_str(), text(&vector, "group"));
        assert_eq!(name.as_str(), text(&vector, "logic_name"));
        assert_eq!(name.as_str().len() as u64, number(&vector, "logic_name_length"));
        assert_eq!(u64::from(name.store_path()), number(&vector, "store_path_index"));
        assert_eq!(u64::from(name.subdir().high), number(&vector, "subdir_high"));
        assert_eq!(u64::from(name.subdir().low), number(&vector, "subdir_low"));
        let source = match text(&vector, "source_kind") {
            "ip" => Source::Ip(text(&vector, "source_ip").parse::<Ipv4Addr>().unwrap()),
            "id" => Source::Id(ServerId::new(number(&vector, "source_id") as u32).unwrap()),
            other => panic!("source kind {other}"),
        };
        assert_eq!(fields.source, source);
        assert_eq!(u64::from(fields.created), number(&vector, "create_timestamp"));
        assert_eq!(fields.size.0, hex(text(&vector, "size_field_hex")));
        assert_eq!(u64::from(fields.crc32), hex(text(&vector, "crc32_in_name")));
        if let Some(size) = fields.size.size() {
            assert_eq!(size, number(&vector, "size_from_name"));
        }
        match vector.get("trunk_info") {
            Some(trunk) => {
                let slot = name.trunk_part().unwrap();
                assert_eq!(u64::from(slot.trunk_id), number(trunk, "trunk_file_id"));
                assert_eq!(u64::from(slot.offset), number(trunk, "offset"));
                assert_eq!(u64::from(slot.allocated), number(trunk, "alloc_size"));
                assert_eq!(slot.encode(), text(trunk, "base64"));
            }
            None => assert_eq!(name.trunk_part(), None),
        }
    }
}

#[test]
fn every_captured_file_id_has_the_kind_that_the_original_saw() {
    for vector in list("vectors") {
        let name: RemoteFilename = text(&vector, "logic_name").parse().unwrap();
        let kind = match name.kind().unwrap() {
            FileKind::Normal | FileKind::Trunk(_) => "normal",
            FileKind::Appender => "appender",
            FileKind::Slave => "slave",
        };
        if let Some(seen) = vector["c_file_info"]["file_type"].as_str() {
            assert_eq!(kind, seen, "{name}");
        }
    }
}

#[test]
fn every_captured_file_id_encodes_to_itself() {
    for vector in list("vectors") {
        let name: RemoteFilename = text(&vector, "logic_name").parse().unwrap();
        let fields = name.fields().unwrap();
        assert_eq!(fields.encode(), text(&vector, "base64"));
        assert_eq!(NameFields::from_bytes(&fields.to_bytes()), fields);
        let slot = name.trunk_part();
        let composed =
            RemoteFilename::compose(name.store_path(), name.subdir(), &fields, slot, text(&vector, "tail"));
        assert_eq!(composed, Ok(name));
    }
}

#[test]
fn the_tail_of_a_captured_name_is_digits_and_its_extension() {
    for vector in list("vectors") {
        if text(&vector, "kind").starts_with("slave") {
            continue;
        }
        let tail = text(&vector, "tail");
        let (digits, extension) = tail.split_once('.').unwrap_or((tail, ""));
        let extension: Extension = extension.parse().unwrap();
        let mut digits = digits.bytes();
        assert_eq!(extension.tail(|| digits.next().unwrap() - b'0'), tail);
    }
}

#[test]
fn base64_is_strict_where_the_original_is_lax() {
    for case in list("base64") {
        let encoded = text(&case, "encoded");
        let decoded = match encoded.len() {
            16 => base64::decode::<12>(encoded.as_bytes()).map(|bytes| bytes.to_vec()),
            _ => base64::decode::<20>(encoded.as_bytes()).map(|bytes| bytes.to_vec()),
        };
        if case["note"].as_str().is_some_and(|note| note.contains("outside the alphabet")) {
            assert_eq!(decoded, None, "{encoded}");
            continue;
        }
        let bytes = decoded.expect(encoded);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, text(&case, "decodes_to"));
        if case.get("raw_hex").is_some() {
            assert_eq!(base64::encode(&bytes), encoded);
        }
    }
}

#[test]
fn slave_names_equal_the_originals() {
    for case in list("slave_name") {
        let derived = slave_name(text(&case, "master"), text(&case, "prefix"), case["ext"].as_str());
        assert_eq!(derived.ok().as_deref(), case["slave"].as_str(), "{case}");
    }
}

#[test]
fn pjw_and_directories_equal_the_originals() {
    for case in list("pjw_hash") {
        let input = text(&case, "input").as_bytes();
        assert_eq!(u64::from(pjw::hash(input)), number(&case, "pjw"));
        for (count, key) in [(256, "subdirs_256"), (8, "subdirs_8")] {
            let (high, low) = pjw::subdirs(input, count);
            assert_eq!(format!("{high:02X}/{low:02X}"), text(&case, key));
        }
    }
}

#[test]
fn names_that_the_original_refuses_or_serves_by_mistake_are_refused() {
    for case in list("invalid") {
        let parsed = text(&case, "file_id").parse::<FileId>();
        // Well-formed names that only a disk can refuse: no such file, or no such store path.
        let well_formed =
            text(&case, "download_status") == "ENOENT" || text(&case, "reason").contains("out of range");
        assert_eq!(parsed.is_ok(), well_formed, "{case}");
    }
}
