//! Tests of `tracker.conf`.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::{IpFieldWidth, ReservedSpace, StorePathChoice, TimeOfDay, Warning};

fn parse(text: &str) -> Result<Loaded<TrackerConfig>, ConfError> {
    TrackerConfig::from_file(&ConfFile::parse(Path::new("tracker.conf"), text.as_bytes())?)
}

fn with(lines: &str) -> Result<Loaded<TrackerConfig>, ConfError> {
    parse(&format!("base_path = /var/fastdfs\n{lines}"))
}

#[test]
fn every_honoured_key_is_read() {
    let text = "base_path=/x\nuse_storage_id=1\nstorage_ids_filename=ids\nstore_lookup=1\nstore_group=g";
    let file = ConfFile::parse(Path::new("t"), text.as_bytes()).expect("a file");
    let mut keys = Keys::new(&file, table::SECTIONS);
    keys.check_enabled().expect("enabled");
    let base_path = keys.base_path().expect("a path");
    TrackerConfig::build(&mut keys, base_path).expect("a configuration");
    assert_eq!(keys.never_asked(), [""; 0]);
}

#[test]
fn without_keys_the_defaults_of_the_original_hold() {
    let config = with("").expect("defaults").config;
    assert_eq!(config.base_path, Path::new("/var/fastdfs"));
    assert_eq!(config.listeners, [Listener { addresses: vec![], port: 22122 }]);
    assert_eq!(config.connect_timeout.as_secs(), 10);
    assert_eq!(config.network_timeout.as_secs(), 60);
    assert_eq!((config.max_connections, config.work_threads), (256, 4));
    assert_eq!(config.max_packet_size, 262_144);
    assert_eq!(config.store_lookup, StoreLookup::RoundRobin);
    assert_eq!(config.check_active_interval.as_secs(), 100);
    assert_eq!(config.cluster.reserved_space, ReservedSpace::Megabytes(1024));
    assert_eq!(config.cluster.trunk.slot_max_size, 8 << 20);
    assert_eq!(config.error_log, LogSettings::default());
    assert!(config.allow_hosts.is_everybody());
    let metrics = config.metrics_listen.expect("metrics are on");
    assert_eq!((metrics.address, metrics.port), (Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 22180));
    assert!(!metrics.is_explicit);
    assert_eq!(TrackerConfig::new("/x").cluster, config.cluster);
}

#[test]
fn the_values_of_the_shipped_sample_are_read_without_a_warning_that_needs_an_act() {
    let loaded = parse(SAMPLE).expect("the sample");
    let config = loaded.config;
    assert_eq!(config.base_path, Path::new("/opt/fastdfs"));
    assert_eq!(config.store_lookup, StoreLookup::MostFree);
    assert_eq!(config.cluster.reserved_space, ReservedSpace::Millionths(200_000));
    assert_eq!(config.cluster.trunk.slot_max_size, 1 << 20);
    assert_eq!(config.cluster.trunk.alignment, 256);
    assert_eq!(config.cluster.trunk.create_space_threshold, 20 << 30);
    assert_eq!(config.cluster.trunk.create_time_base, TimeOfDay::new(2, 0));
    assert_eq!(config.cluster.store_path, StorePathChoice::RoundRobin);
    assert!(config.cluster.id_in_filename && !config.cluster.use_storage_id);
    assert_eq!(config.cluster.ip_field_width, IpFieldWidth::Auto);
    assert_eq!(config.max_packet_size, 262_144);
    assert_eq!(config.error_log.keep_days, Some(15));

    let ignored: Vec<_> = loaded.warnings.iter().map(|warning| &*warning.key).collect();
    assert!(loaded.warnings.iter().all(Warning::is_harmless), "{:?}", loaded.warnings);
    assert_eq!(
        ignored,
        [
            "accept_threads",
            "min_buff_size",
            "thread_stack_size",
            "use_connection_pool",
            "connection_pool_max_idle_time",
        ]
    );
}

#[test]
fn every_key_without_effect_has_one_warning_with_its_line() {
    let loaded = with("prot = 1\nprot = 2\nuse_io_uring = true\n[extra]\na = 1\nb = 2\n").expect("usable");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "tracker.conf:2: unknown key prot has no effect",
            "tracker.conf:4: use_io_uring is not needed: io_uring is not used",
            "tracker.conf:5: unknown section [extra]: its keys have no effect",
        ]
    );
}

#[test]
fn odd_values_are_used_as_the_original_does_with_a_warning() {
    for (line, warning) in [
        ("use_trunk_file = true # yes", "use_trunk_file: this reads as false; write true or false"),
        ("port = 22123x", "port: \"22123x\" reads as the number 22123"),
        ("store_server = 7", "store_server: 7 is none of 0, 1, 2; 0 is used"),
        ("store_path = 1", "store_path: 1 is none of 0, 2; 0 is used"),
        ("log_level = loud", "log_level: no such level; info is used"),
        ("trunk_file_size = 1MB", "trunk_file_size: the smallest trunk file, 4MB, is used"),
        ("slot_min_size = 65537", "slot_min_size: the largest minimum, 64KB, is used"),
        ("slot_max_size = 33MB", "slot_max_size: half of trunk_file_size, 33554432 bytes, is used"),
        (
            "response_ip_addr_size = narrow",
            "response_ip_addr_size: the width is 46, as for IPv6; auto gives 16 without IPv6",
        ),
    ] {
        let loaded = with(line).expect(line);
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("tracker.conf:2: {warning}")]);
    }
}

#[test]
fn a_number_that_cannot_be_read_is_an_error_with_file_and_line() {
    for key in [
        "port",
        "max_connections",
        "check_active_interval",
        "store_server",
        "store_lookup",
        "work_threads",
        "trunk_alloc_alignment_size",
        "sync_log_buff_interval",
    ] {
        for value in ["abc", "-", "x1"] {
            let error = with(&format!("\n{key} = {value}")).expect_err(key);
            let text = error.to_string();
            assert!(text.starts_with(&format!("tracker.conf:3: {key} = {value}: ")), "{text}");
            assert_eq!(error.errno(), 22, "{text}");
        }
    }
    assert!(with("port =").is_ok(), "nothing stands for the default");
}

#[test]
fn the_width_of_ip_fields_means_what_it_says() {
    for (value, width) in [
        ("auto", IpFieldWidth::Auto),
        ("IPv4", IpFieldWidth::Narrow),
        ("16", IpFieldWidth::Narrow),
        ("IPv6", IpFieldWidth::Wide),
        ("46", IpFieldWidth::Wide),
    ] {
        let loaded = with(&format!("response_ip_addr_size = {value}")).expect(value);
        assert_eq!((loaded.config.cluster.ip_field_width, loaded.warnings.len()), (width, 0), "{value}");
    }
}

#[test]
fn every_value_that_cannot_be_used_is_an_error_with_file_line_and_key() {
    for line in [
        "port = 65536",
        "bind_addr = eth0",
        "address_family = IPv5",
        "address_family = both",
        "work_threads = 0",
        "buff_size = 1KB",
        "buff_size = large",
        "store_lookup = 3",
        "reserved_storage_space =",
        "reserved_storage_space = 100%",
        "allow_hosts = 10.0.0.0/40",
        "slot_min_size = 0",
        "trunk_alloc_alignment_size = 65537",
        "slot_max_size = 256",
        "trunk_file_size = 4G",
        "trunk_create_file_time_base = 25:00",
        "log_file_rotate_time = noon",
        "log_file_rotate_on_size = 65GB",
        "metrics_listen = everywhere:1:2",
    ] {
        let error = with(line).expect_err(line);
        let key = line.split(' ').next().expect("a key");
        assert!(error.to_string().starts_with(&format!("tracker.conf:2: {key} = ")), "{error}");
        assert_eq!(error.errno(), 22, "{line}");
    }
}

#[test]
fn what_is_missing_or_switched_off_has_the_exit_code_of_the_original() {
    for (text, errno) in [
        ("", 2),
        ("base_path = relative", 22),
        ("base_path = /x\nstore_lookup = 1", 2),
        ("base_path = /x\nstore_lookup = 1\nstore_group =", 22),
        ("base_path = /x\nuse_storage_id = true", 2),
        ("base_path = /x\nuse_storage_id = true\nstorage_ids_filename =", 22),
        ("base_path = /x\naddress_family = IPv6\nuse_storage_id = on\nstorage_ids_filename = x", 22),
        ("disabled = true", 125),
    ] {
        assert_eq!(parse(text).expect_err(text).errno(), errno, "{text}");
    }
}

#[test]
fn listeners_are_one_or_an_inner_and_an_outer_one() {
    let listeners = |lines: &str| {
        let config = with(lines).expect(lines).config;
        let shown =
            config.listeners.iter().map(|listener| format!("{:?}:{}", listener.addresses, listener.port));
        shown.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listeners("bind_addr = 10.0.0.1, fd00::1\nport = 0"), "[10.0.0.1, fd00::1]:22122");
    assert_eq!(
        listeners("bind_addr = 1.2.3.4\ninner_bind_addr = 10.0.0.1\nport = 1\ninner_port = 5"),
        "[10.0.0.1]:5"
    );
    assert_eq!(
        listeners("inner_bind_addr = 10.0.0.1\nouter_bind_addr = 1.2.3.4\ninner_port = 5\nouter_port = 6"),
        "[10.0.0.1]:5 [1.2.3.4]:6"
    );
}

#[test]
fn log_keys_of_the_section_come_before_the_global_ones() {
    let lines = "log_file_keep_days = 3\nsync_log_buff_interval = 0\n[error-log]\nlog_file_keep_days = 0\n\
                 log_file_rotate_everyday = no\nlog_file_rotate_on_size = 1G\nlog_file_compress_old = yes";
    let log = with(lines).expect("usable").config.error_log;
    assert_eq!(log.keep_days, None);
    assert!(log.flush_interval.is_zero());
    assert_eq!((log.rotate_at, log.rotate_on_size), (None, Some(1 << 30)));
    assert_eq!(log.compress_after_days, Some(1));
}

#[test]
fn metrics_can_be_moved_and_switched_off() {
    let metrics = |value| with(&format!("metrics_listen = {value}")).expect(value).config.metrics_listen;
    assert_eq!(metrics("off"), None);
    let shown = |value| metrics(value).map(|m| (m.address.map(|ip| ip.to_string()), m.port, m.is_explicit));
    assert_eq!(shown("9100"), Some((Some("127.0.0.1".to_owned()), 9100, true)));
    assert_eq!(shown("0.0.0.0"), Some((Some("0.0.0.0".to_owned()), 22180, true)));
    assert_eq!(shown("[::1]:9100"), Some((Some("::1".to_owned()), 9100, true)));
}

#[test]
fn the_list_of_ids_is_beside_the_file() {
    let text = b"base_path=/x\nuse_storage_id=1\nid_type_in_filename=ID\nstorage_ids_filename=ids.conf\naddress_family=both";
    let loaded = TrackerConfig::read(Path::new("/etc/fdfs/tracker.conf"), &mut |_| Ok(text.to_vec()));
    let config = loaded.expect("usable").config;
    assert_eq!(config.storage_ids_file.as_deref(), Some(Path::new("/etc/fdfs/ids.conf")));
}

const SAMPLE: &str = "
disabled = false
bind_addr =
port = 22122
address_family = auto
response_ip_addr_size = auto
connect_timeout = 5
network_timeout = 60
base_path = /opt/fastdfs
max_connections = 1024
accept_threads = 1
work_threads = 4
min_buff_size = 8KB
max_buff_size = 128KB
store_lookup = 2
store_group = group2
store_server = 0
store_path = 0
download_server = 0
reserved_storage_space = 20%
log_level = info
run_by_group =
run_by_user =
allow_hosts = *
check_active_interval = 120
thread_stack_size = 256KB
storage_ip_changed_auto_adjust = true
storage_sync_file_max_delay = 86400
storage_sync_file_max_time = 300
use_trunk_file = false
slot_min_size = 256
slot_max_size = 1MB
trunk_alloc_alignment_size = 256
trunk_free_space_merge = true
delete_unused_trunk_files = false
trunk_file_size = 64MB
trunk_create_file_advance = false
trunk_create_file_time_base = 02:00
trunk_create_file_interval = 86400
trunk_create_file_space_threshold = 20G
trunk_init_check_occupying = false
trunk_init_reload_from_binlog = false
trunk_compress_binlog_min_interval = 86400
trunk_compress_binlog_interval = 86400
trunk_compress_binlog_time_base = 03:00
trunk_binlog_max_backups = 7
use_storage_id = false
storage_ids_filename = storage_ids.conf
id_type_in_filename = id
trust_storage_server_id = true
store_slave_file_use_link = false
use_connection_pool = true
connection_pool_max_idle_time = 3600

[error-log]
sync_log_buff_interval = 1
log_file_rotate_everyday = true
log_file_rotate_time = 00:00
log_file_compress_old = false
log_file_compress_days_before = 7
log_file_rotate_on_size = 0
log_file_keep_days = 15
log_file_delete_old_time = 01:30
";
