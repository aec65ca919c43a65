//! Tests of the answer to command 75.

use std::path::PathBuf;

use super::*;
use crate::TrackerConfig;

#[test]
fn the_captured_answer_is_read_and_written_again() {
    let mut parameters = ClusterParameters::from_reply(CAPTURED).expect("an answer");
    assert_eq!(parameters.ip_field_width, IpFieldWidth::Narrow);
    assert_eq!(parameters.reserved_space, ReservedSpace::Millionths(10_000));
    assert_eq!(parameters.to_reply(16), CAPTURED);

    parameters.ip_field_width = IpFieldWidth::Auto;
    parameters.reserved_space = ReservedSpace::DEFAULT;
    assert_eq!(parameters, TrackerConfig::new(PathBuf::from("/x")).cluster);
}

#[test]
fn an_answer_without_keys_has_the_defaults_of_a_reader() {
    let parameters = ClusterParameters::from_reply("").expect("an answer");
    assert_eq!(parameters.trunk.slot_max_size, 16 << 20);
    assert_eq!(parameters.ip_field_width, IpFieldWidth::Wide);
    assert!(!parameters.use_storage_id);
}

#[test]
fn a_key_that_nobody_knows_is_passed_over() {
    let parameters = ClusterParameters::from_reply("use_trunk_file=1\nnew_key=7\n\n").expect("an answer");
    let mut expected = ClusterParameters::from_reply("").expect("an answer");
    expected.trunk.enabled = true;
    assert_eq!(parameters, expected);
}

#[test]
fn the_longest_answer_is_read_by_originals() {
    let largest = Duration::from_secs(u32::MAX.into());
    let mut parameters = ClusterParameters::from_reply(CAPTURED).expect("an answer");
    parameters.storage_sync_file_max_delay = largest;
    parameters.reserved_space = ReservedSpace::Megabytes(u64::MAX >> 20);
    parameters.trunk = TrunkParameters {
        slot_min_size: u32::MAX,
        slot_max_size: u32::MAX,
        alignment: u32::MAX,
        file_size: u32::MAX,
        create_time_base: "23:59:59".parse().expect("a time"),
        create_interval: largest,
        create_space_threshold: u64::MAX,
        compress_min_interval: largest,
        compress_interval: largest,
        compress_time_base: "23:59:59".parse().expect("a time"),
        binlog_max_backups: u32::MAX,
        ..parameters.trunk
    };
    assert!(parameters.to_reply(46).len() <= ClusterParameters::MAX_REPLY);
}

#[test]
fn an_answer_that_cannot_be_used_is_an_error() {
    let error = ClusterParameters::from_reply("reserved_storage_space=x").expect_err("no size");
    assert!(error.to_string().starts_with("parameters of the tracker:1: reserved"), "{error}");
}

/// What the original answers with default settings and 1 % reserved.
const CAPTURED: &str = "\
use_storage_id=0
id_type_in_filename=ip
trust_storage_server_id=1
response_ip_addr_size=16
storage_ip_changed_auto_adjust=1
storage_sync_file_max_delay=86400
store_path=0
reserved_storage_space=1.00%
use_trunk_file=0
slot_min_size=256
slot_max_size=8388608
trunk_alloc_alignment_size=0
trunk_file_size=67108864
trunk_create_file_advance=0
trunk_create_file_time_base=02:00
trunk_create_file_interval=86400
trunk_create_file_space_threshold=0
trunk_init_check_occupying=0
trunk_init_reload_from_binlog=0
trunk_free_space_merge=0
delete_unused_trunk_files=0
trunk_compress_binlog_min_interval=0
trunk_compress_binlog_interval=0
trunk_compress_binlog_time_base=03:00
trunk_binlog_max_backups=0
store_slave_file_use_link=0
";
