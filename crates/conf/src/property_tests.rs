//! Whatever a file says, reading it ends with a configuration or an error that names a line.

use std::io;
use std::path::Path;

use proptest::prelude::*;

use crate::{
    ClientConfig, ClusterParameters, ConfFile, Configuration, StorageConfig, StorageIds, TrackerAddress,
    TrackerConfig,
};

/// Keys of every type.
const KEYS: &[&str] = &[
    "[error-log]",
    "[access-log]",
    "[]",
    "enabled",
    "time_precision",
    "base_path",
    "tracker_server",
    "allow_hosts",
    "bind_addr",
    "inner_port",
    "port",
    "connect_timeout",
    "max_connections",
    "buff_size",
    "store_lookup",
    "store_path_count",
    "store_path0",
    "disk_reader_threads",
    "disk_rw_separated",
    "sync_max_threads",
    "slot_min_size",
    "slot_max_size",
    "trunk_file_size",
    "trunk_alloc_alignment_size",
    "reserved_storage_space",
    "log_file_rotate_time",
    "log_file_rotate_on_size",
    "log_file_keep_days",
    "http_listen",
    "http.server_port",
    "metrics_listen",
    "upload_priority",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[0-9]{1,30}[KMGT]?B?%?",
        "[0-9.:,/\\[\\]-]{0,24}",
        "[a-z0-9\\[\\]:,/*. -]{0,16}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_values_make_the_configurations_panic(
        lines in prop::collection::vec((prop::sample::select(KEYS), value()), 0..12),
    ) {
        let mut text = "base_path = /x\ntracker_server = a\n".to_owned();
        for (key, value) in lines {
            match key.starts_with('[') {
                true => text += &format!("{key}\n"),
                false => text += &format!("{key} = {value}\n"),
            }
        }
        if let Ok(file) = ConfFile::parse(Path::new("t.conf"), text.as_bytes()) {
            let errors = [
                TrackerConfig::from_file(&file).err(),
                StorageConfig::from_file(&file).err(),
                ClientConfig::from_file(&file).err(),
                ClusterParameters::from_reply(&text).err(),
            ];
            for error in errors.into_iter().flatten() {
                prop_assert!(error.errno() > 0 && !error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_lines_make_the_list_of_storages_panic(
        lines in prop::collection::vec("[0-9]{0,9} [a-z]{0,20} [0-9a-f.:,\\[\\]]{0,30}( [a-z=]{0,9})?", 0..5),
    ) {
        let resolve = &mut |_: &str| Err(io::Error::other("no names"));
        let _ = StorageIds::parse(Path::new("ids.conf"), lines.join("\n").as_bytes(), resolve);
    }

    #[test]
    fn a_tracker_that_is_read_is_written_so_that_it_is_read_again(text in "[a-f0-9.,:\\[\\]]{1,24}") {
        if let Ok(address) = text.parse::<TrackerAddress>() {
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
