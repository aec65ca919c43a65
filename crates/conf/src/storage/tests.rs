//! Tests of `storage.conf`.

use super::*;
use crate::{TimePrecision, Warning};

fn parse(text: &str) -> Result<Loaded<StorageConfig>, ConfError> {
    StorageConfig::from_file(&ConfFile::parse(Path::new("storage.conf"), text.as_bytes())?)
}

fn with(lines: &str) -> Result<Loaded<StorageConfig>, ConfError> {
    parse(&format!("base_path = /var/fastdfs/\ntracker_server = 192.168.0.2:22122\n{lines}"))
}

#[test]
fn every_honoured_key_is_read() {
    let text = "base_path=/x\ntracker_server=a\ncheck_file_duplicate=1\nkey_namespace=x\nsync_max_threads=2";
    let file = ConfFile::parse(Path::new("t"), text.as_bytes()).expect("a file");
    let mut keys = Keys::new(&file, table::SECTIONS);
    keys.check_enabled().expect("enabled");
    let base_path = keys.base_path().expect("a path");
    let trackers = TrackerAddress::read_all(&keys, true).expect("trackers");
    StorageConfig::build(&mut keys, base_path, trackers).expect("a configuration");
    assert_eq!(keys.never_asked(), [""; 0]);
}

#[test]
fn without_keys_the_defaults_of_the_original_hold() {
    let loaded = with("").expect("defaults");
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.base_path, Path::new("/var/fastdfs"));
    let path = StorePathConfig { path: "/var/fastdfs".into(), is_readonly: false };
    assert_eq!(config.store_paths, [path]);
    assert_eq!(config.listeners, [Listener { addresses: vec![], port: 23000 }]);
    assert_eq!((config.connect_timeout.as_secs(), config.network_timeout.as_secs()), (10, 30));
    assert_eq!(config.heart_beat_interval.as_secs(), 30);
    assert_eq!(config.stat_report_interval.as_secs(), 300);
    assert_eq!((config.max_connections, config.buff_size), (256, 262_144));
    assert_eq!(config.subdir_count_per_path, 256);
    assert_eq!(config.distribute, DistributeMode::RoundRobin { rotate_count: 100 });
    assert_eq!(config.sync_max_threads, 8);
    assert_eq!(config.sync_wait.as_millis(), 100);
    assert_eq!(config.sync_end_time, TimeOfDay::new(23, 59));
    assert_eq!(config.upload_priority, 10);
    assert_eq!(config.fsync_after_written_bytes, None);
    let concern = config.write_concern;
    assert_eq!((concern.is_replicated, concern.on_deadline), (false, OnDeadline::Fallback));
    assert_eq!(concern.deadline.as_secs(), 5);
    assert_eq!((config.compress_binlog_at, config.deduplication), (None, None));
    assert_eq!(config.access_log, None);
    assert!(config.client_bind && config.check_store_path_mark);
    assert!(config.file_sync_skip_invalid_record, "unlike the original");
    assert_eq!(config.http_listen.expect("HTTP is on").port, 8888);
    assert_eq!(config.metrics_listen.expect("metrics are on").port, 23080);
}

#[test]
fn the_search_for_damage_has_a_rate_an_interval_and_an_age() {
    let scrub = with("").expect("defaults").config.scrub;
    assert_eq!((scrub.rate, scrub.interval.as_secs(), scrub.min_age.as_secs()), (20 << 20, 604_800, 300));
    let text = "scrub_rate = 1MB\nscrub_interval = 12h\nscrub_min_age = 0\n";
    let scrub = with(text).expect("other values").config.scrub;
    assert_eq!((scrub.rate, scrub.interval.as_secs(), scrub.min_age.as_secs()), (1 << 20, 43_200, 0));
    assert_eq!(with("scrub_rate = 0").expect("off").config.scrub.rate, 0);
    for wrong in ["scrub_rate = fast", "scrub_interval = weekly", "scrub_min_age = -1"] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_secret_of_the_cluster_stands_in_a_file_of_its_own() {
    assert_eq!(with("").expect("defaults").config.cluster_secret_file, None);
    let config = with("cluster_secret_file = secrets/cluster").expect("beside").config;
    assert_eq!(config.cluster_secret_file.as_deref(), Some(Path::new("secrets/cluster")));
    let config = with("cluster_secret_file = /etc/fdfs/cluster.secret").expect("absolute").config;
    assert_eq!(config.cluster_secret_file.as_deref(), Some(Path::new("/etc/fdfs/cluster.secret")));
    // Whoever asks for a secret does not get a cluster without one.
    let error = with("cluster_secret_file =").expect_err("no name").to_string();
    assert!(error.contains("storage.conf:3: cluster_secret_file"), "{error}");
}

#[test]
fn the_addresses_to_be_known_by_are_a_list() {
    assert!(with("").expect("defaults").config.advertise.is_empty());
    let config = with("advertise_addr = 192.168.0.2, 203.0.113.5").expect("two").config;
    assert_eq!(config.advertise, [IpAddr::from([192, 168, 0, 2]), IpAddr::from([203, 0, 113, 5])]);
    assert!(with("advertise_addr = docker0").is_err());
}

#[test]
fn the_values_of_the_shipped_sample_are_read() {
    let loaded = parse(SAMPLE).expect("the sample");
    let config = loaded.config;
    assert_eq!(config.group_name, "group1".parse().ok());
    assert_eq!(config.trackers.len(), 2);
    assert_eq!((config.disk_reader_threads, config.disk_recovery_threads), (2, 4));
    assert_eq!(config.sync_wait.as_millis(), 10);
    assert_eq!(config.sync_binlog_buff_interval.as_secs(), 1);
    assert_eq!(config.compress_binlog_at, Some(TimeOfDay::new(1, 30)));
    let access_log = config.access_log.expect("it is enabled");
    assert_eq!(access_log.precision, TimePrecision::Micros);
    assert_eq!(access_log.file.keep_days, Some(15));
    let http = config.http_listen.expect("HTTP is on");
    assert_eq!((http.port, http.is_explicit), (8888, true));
    let to_act: Vec<_> = loaded.warnings.iter().filter(|warning| !warning.is_harmless()).collect();
    let keys: Vec<_> = to_act.iter().map(|warning| &*warning.key).collect();
    assert_eq!(keys, ["use_send_zc"]);
}

#[test]
fn old_names_of_keys_point_to_the_new_ones() {
    for (key, help) in [
        ("use_access_log", "write enabled = true below [access-log]"),
        ("rotate_error_log", "write log_file_rotate_everyday below [error-log]"),
        ("http.domain_name", "write it in http.conf; mod_fastdfs_conf names the file that includes it"),
    ] {
        let warnings = with(&format!("{key} = true")).expect(key).warnings;
        let warnings: Vec<_> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(warnings, [format!("storage.conf:3: {key} has no effect: {help}")]);
    }
}

#[test]
fn store_paths_are_counted_and_each_has_its_directory() {
    let lines = "store_path_count = 2\nstore_path0 = /a/\nstore_path1 = /b\nstore_path1_readonly = true";
    let config = with(lines).expect("usable").config;
    let readonly: Vec<_> = config.store_paths.iter().map(|path| path.is_readonly).collect();
    assert_eq!(readonly, [false, true]);
    assert_eq!(config.store_paths[0].path, Path::new("/a"));
    assert_eq!(config.sync_max_threads, 8);

    let error = with("store_path_count = 2\nstore_path0 = /a").expect_err("a path is missing");
    assert_eq!(error.errno(), 2);
    assert_eq!(
        error.to_string(),
        "storage.conf: the key store_path1 is missing: add it, or lower store_path_count"
    );
    let error = with("store_path_count = 2\nstore_path0 = /a\nstore_path1 = /a").expect_err("a path twice");
    assert!(error.to_string().starts_with("storage.conf:5: store_path1 = /a: "), "{error}");
}

#[test]
fn every_value_that_cannot_be_used_is_an_error_with_file_line_and_key() {
    for line in [
        "group_name =",
        "group_name = group-1",
        "server_id = 1234567890123456",
        "tracker_server = 127.0.0.1:22122",
        "tracker_server = [::1]:22122",
        "tracker_server = a:b",
        "store_path_count = 0",
        "store_path0 = data",
        "subdir_count_per_path = 257",
        "disk_writer_threads = 0",
        "disk_recovery_threads = 0",
        "sync_max_threads = 257",
        "sync_start_time = 24:00",
        "buff_size = -1",
        "fsync_after_written_bytes = often",
        "http.server_port = 65536",
        "http_listen = here",
    ] {
        let error = with(line).expect_err(line);
        let key = line.split(' ').next().expect("a key");
        assert!(error.to_string().starts_with(&format!("storage.conf:3: {key} = ")), "{error}");
        assert_eq!(error.errno(), 22, "{line}");
    }
}

#[test]
fn a_storage_needs_a_base_path_and_a_tracker() {
    assert_eq!(parse("tracker_server = a:1").expect_err("no base_path").errno(), 2);
    let error = parse("base_path = /x").expect_err("no tracker");
    assert_eq!(
        error.to_string(),
        "storage.conf: the key tracker_server is missing: add a line tracker_server = HOST:22122 for each tracker"
    );
}

#[test]
fn the_port_of_http_comes_from_either_key_and_the_new_one_counts() {
    let http = |lines| with(lines).expect(lines).config.http_listen.map(|http| http.port);
    assert_eq!(http("http.server_port = 80"), Some(80));
    assert_eq!(http("http.server_port = 0"), None);
    assert_eq!(http("http_listen = off"), None);
    let loaded = with("http.server_port = 80\nhttp_listen = 10.0.0.1:81").expect("usable");
    assert_eq!(loaded.config.http_listen.expect("on").port, 81);
    let warnings: Vec<_> = loaded.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(warnings, ["storage.conf:3: http.server_port: http_listen = 10.0.0.1:81 counts instead"]);
}

#[test]
fn deduplication_needs_a_namespace() {
    let config = with("check_file_duplicate = 1\nkey_namespace = FastDFS\nfile_signature_method = md5");
    let deduplication = config.expect("usable").config.deduplication.expect("on");
    assert_eq!(deduplication.method, SignatureMethod::Md5);
    assert_eq!(with("check_file_duplicate = 1").expect_err("no namespace").errno(), 2);
    let long = format!("check_file_duplicate = 1\nkey_namespace = {}", "x".repeat(64));
    assert_eq!(with(&long).expect_err("too long").errno(), 22);
}

#[test]
fn a_stack_or_buffer_that_the_original_refuses_is_no_reason_not_to_start() {
    let loaded = with("thread_stack_size = 256KB\nbuff_size = 1KB").expect("usable");
    assert_eq!(loaded.config.buff_size, 4096);
    assert_eq!(loaded.warnings.len(), 2);
}

#[test]
fn shared_disk_threads_may_be_zero_on_one_side() {
    let config = with("disk_rw_separated = false\ndisk_reader_threads = 0\ndisk_writer_threads = 3");
    let config = config.expect("usable").config;
    assert_eq!((config.disk_reader_threads, config.disk_writer_threads), (3, 3));
}

const SAMPLE: &str = "
disabled = false
group_name = group1
bind_addr =
client_bind = true
port = 23000
address_family = auto
connect_timeout = 5
network_timeout = 60
use_io_uring = false
use_send_zc = true
heart_beat_interval = 30
stat_report_interval = 60
base_path = /opt/fastdfs
max_connections = 1024
buff_size = 256KB
accept_threads = 1
work_threads = 4
disk_rw_separated = true
disk_reader_threads = 2
disk_writer_threads = 1
sync_min_threads = 1
sync_max_threads = auto
sync_wait_msec = 10
sync_interval = 0
sync_start_time = 00:00
sync_end_time = 23:59
write_mark_file_freq = 500
disk_recovery_threads = 4
store_path_count = 1
store_path0 = /opt/fastdfs
subdir_count_per_path = 256
tracker_server = 192.168.209.121:22122
tracker_server = 192.168.209.122:22122
log_level = info
run_by_group =
run_by_user =
allow_hosts = *
file_distribute_path_mode = 0
file_distribute_rotate_count = 100
fsync_after_written_bytes = 0
sync_log_buff_interval = 1
sync_binlog_buff_interval = 1
sync_stat_file_interval = 60
thread_stack_size = 512KB
upload_priority = 10
if_alias_prefix =
check_file_duplicate = 0
file_signature_method = hash
key_namespace = FastDFS
keep_alive = 0
group_count = 0
use_connection_pool = true
connection_pool_max_idle_time = 3600
compress_binlog = true
compress_binlog_time = 01:30
check_store_path_mark = true
http.server_port = 8888

[error-log]
log_file_rotate_everyday = true
log_file_keep_days = 15

[access-log]
enabled = true
time_precision = us
log_file_rotate_everyday = true
log_file_rotate_time = 00:00
log_file_compress_old = false
log_file_compress_days_before = 7
log_file_rotate_on_size = 0
log_file_keep_days = 15
log_file_delete_old_time = 01:30
";

#[test]
fn the_file_for_native_http_lies_beside_or_is_named_or_is_none() {
    use super::HttpConf;
    let conf = |lines| with(lines).expect(lines).config.http_conf;
    assert_eq!(conf(""), HttpConf::Beside("mod_fastdfs.conf".into()));
    assert_eq!(conf("mod_fastdfs_conf = /etc/fdfs/mod.conf"), HttpConf::Named("/etc/fdfs/mod.conf".into()));
    assert_eq!(conf("mod_fastdfs_conf = off"), HttpConf::None);
}
