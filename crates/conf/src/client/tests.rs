//! Tests of `client.conf`.

use super::*;
use crate::Warning;

fn parse(text: &str) -> Result<Loaded<ClientConfig>, ConfError> {
    ClientConfig::from_file(&ConfFile::parse(Path::new("client.conf"), text.as_bytes())?)
}

#[test]
fn every_honoured_key_is_read() {
    let text = "tracker_server=a\nuse_storage_id=1\nstorage_ids_filename=x\nhttp.anti_steal.check_token=1\n\
                http.anti_steal.secret_key=s";
    let file = ConfFile::parse(Path::new("t"), text.as_bytes()).expect("a file");
    let mut keys = Keys::new(&file, SECTIONS);
    let trackers = TrackerAddress::read_all(&keys, false).expect("trackers");
    ClientConfig::build(&mut keys, trackers).expect("a configuration");
    assert_eq!(keys.never_asked(), [""; 0]);
}

#[test]
fn the_values_of_the_shipped_sample_are_read() {
    let text = "connect_timeout = 5\nnetwork_timeout = 60\nbase_path = /opt/fastdfs\n\
                tracker_server = 192.168.0.196:22122\ntracker_server = 192.168.0.197:22122\n\
                log_level = info\nuse_connection_pool = false\nconnection_pool_max_idle_time = 3600\n\
                load_fdfs_parameters_from_tracker = false\nuse_storage_id = false\n\
                storage_ids_filename = storage_ids.conf\nhttp.tracker_server_port = 80\n##include http.conf\n";
    let loaded = parse(text).expect("the sample");
    assert!(loaded.warnings.iter().all(Warning::is_harmless));
    let config = loaded.config;
    assert_eq!(config.trackers[1].to_string(), "192.168.0.197:22122");
    assert_eq!((config.connect_timeout.as_secs(), config.network_timeout.as_secs()), (5, 60));
    assert_eq!((config.storage_ids_file, config.anti_steal), (None, None));
    assert_eq!(config.http_port, 80);
}

#[test]
fn a_loopback_tracker_is_fine_for_a_client_and_defaults_hold() {
    let config = parse("tracker_server = 127.0.0.1").expect("usable").config;
    assert_eq!((config.connect_timeout.as_secs(), config.network_timeout.as_secs()), (10, 30));
    assert_eq!(config.connection_pool_max_idle_time.as_secs(), 3600);
    assert_eq!(ClientConfig::new(config.trackers).base_path, None);
}

#[test]
fn what_is_missing_is_named() {
    for (text, key) in [
        ("", "tracker_server"),
        ("tracker_server=a\nuse_storage_id=1", "storage_ids_filename"),
        ("tracker_server=a\nhttp.anti_steal.check_token=1", "http.anti_steal.secret_key"),
    ] {
        let error = parse(text).expect_err(key);
        assert!(
            error.to_string().starts_with(&format!("client.conf: the key {key} is missing: ")),
            "{error}"
        );
        assert_eq!(error.errno(), 2);
    }
    let loaded = parse("tracker_server=a\nuse_storage_id=1\nload_fdfs_parameters_from_tracker=1");
    assert_eq!(loaded.expect("the tracker has the list").config.storage_ids_file, None);
}

#[test]
fn the_secret_is_not_shown() {
    let text = "tracker_server=a\nhttp.anti_steal.check_token=1\nhttp.anti_steal.secret_key=hidden";
    assert!(!format!("{:?}", parse(text).expect("usable")).contains("hidden"));
}
