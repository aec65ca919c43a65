//! The files of the original, read.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::*;

fn read(module: &str, http: &str) -> Result<Loaded<NativeHttpConfig>, ConfError> {
    NativeHttpConfig::read(Path::new("/etc/fdfs/mod_fastdfs.conf"), &mut |path| match path
        .to_str()
        .expect("a text")
    {
        "/etc/fdfs/mod_fastdfs.conf" => Ok(module.as_bytes().to_vec()),
        "/etc/fdfs/http.conf" => Ok(http.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

#[test]
fn the_files_of_the_tutorials_are_read_and_every_key_is_honoured_or_named() {
    let module = "connect_timeout=2\nnetwork_timeout=30\nbase_path=/tmp\nload_fdfs_parameters_from_tracker=true\n\
        storage_sync_file_max_delay = 86400\nuse_storage_id = false\nstorage_ids_filename = storage_ids.conf\n\
        tracker_server=192.168.0.2:22122\nstorage_server_port=23000\ngroup_name=group1\nurl_have_group_name = true\n\
        store_path_count=1\nstore_path0=/data\nlog_level=info\nlog_filename=\nresponse_mode=redirect\nif_alias_prefix=\n\
        #include http.conf\nflv_support = true\nflv_extension = flv\ngroup_count = 2\n\
        [group1]\ngroup_name=group1\nstorage_server_port=23000\nstore_path_count=1\nstore_path0=/data\n\
        [group2]\ngroup_name=group2\nstore_path_count=1\nstore_path0=/data\n";
    let http = "http.default_content_type = application/x-unknown\nhttp.mime_types_filename = mime.types\n\
        http.anti_steal.check_token = true\nhttp.anti_steal.token_ttl = 900\n\
        http.anti_steal.secret_key = FastDFS1234567890\nhttp.anti_steal.token_check_fail = /etc/fdfs/anti-steal.jpg\n\
        http.multi_range.enabled = true\n";
    let Loaded { config, warnings } = read(module, http).unwrap();
    assert_eq!((config.url_form, config.response_mode), (UrlForm::WithGroup, ResponseMode::Redirect));
    assert_eq!(config.flv_extension.as_deref(), Some("flv"));
    assert_eq!(config.default_content_type, "application/x-unknown");
    assert_eq!(config.mime_types_file.as_deref(), Some(Path::new("/etc/fdfs/mime.types")));
    assert_eq!(config.max_ranges, 16);
    let token = config.token.unwrap();
    assert_eq!(token.secret.secret_key, "FastDFS1234567890");
    assert_eq!(token.secret.token_ttl, Duration::from_secs(900));
    assert_eq!(token.picture.as_deref(), Some(Path::new("/etc/fdfs/anti-steal.jpg")));
    assert!(warnings.iter().all(crate::Warning::is_harmless), "{warnings:?}");
    for key in ["group_name", "store_path0", "storage_sync_file_max_delay", "if_alias_prefix"] {
        assert!(warnings.iter().any(|warning| warning.key == key), "{key} is named");
    }
    let unknown = read("url_have_group_name = true\nno_such_key = 1\n[group1]\nother = 1\n", "").unwrap();
    let named: Vec<_> = unknown.warnings.iter().map(|warning| &*warning.key).collect();
    assert_eq!(named, ["no_such_key", "other"]);
}

/// Every key of the original's two files, the obsolete and the undocumented ones among them, with a value that is not its
/// default; and what it needs beside it to mean something.
const KEYS: &[(&str, &str, &str)] = &[
    ("connect_timeout", "7", ""),
    ("network_timeout", "7", ""),
    ("base_path", "/elsewhere", ""),
    ("load_fdfs_parameters_from_tracker", "true", ""),
    ("storage_sync_file_max_delay", "7", ""),
    ("use_storage_id", "true", ""),
    ("storage_ids_filename", "ids.conf", ""),
    ("tracker_server", "192.0.2.7:22122", ""),
    ("storage_server_port", "7", ""),
    ("group_name", "group7", ""),
    ("url_have_group_name", "true", ""),
    ("store_path_count", "7", ""),
    ("store_path0", "/elsewhere", ""),
    ("store_path7", "/elsewhere", ""),
    ("store_path0_readonly", "true", ""),
    ("log_level", "debug", ""),
    ("log_filename", "/elsewhere", ""),
    ("response_mode", "redirect", ""),
    ("if_alias_prefix", "eth", ""),
    ("flv_support", "true", ""),
    ("flv_extension", "flw", "flv_support = true"),
    ("group_count", "0", ""),
    ("anti_steal_bypass_header_name", "X-Pass", TOKENS),
    ("anti_steal_bypass_header_value", "word", BYPASS),
    ("http.disabled", "true", TOKENS),
    ("http.default_content_type", "x/y", ""),
    ("http.mime_types_filename", "mime.types", ""),
    ("http.anti_steal.check_token", "true", "http.anti_steal.secret_key = key"),
    ("http.anti_steal.token_ttl", "7", TOKENS),
    ("http.anti_steal.secret_key", "other", "http.anti_steal.check_token = true"),
    ("http.anti_steal.token_check_fail", "picture.jpg", TOKENS),
    ("http.multi_range.enabled", "false", ""),
    ("http.server_port", "7", ""),
    ("http.need_find_content_type", "false", ""),
];
const TOKENS: &str = "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = key";
const BYPASS: &str = "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = key\nanti_steal_bypass_header_name = X-Pass";
/// Keys of a section `[groupN]`.
const GROUP_KEYS: &[(&str, &str)] = &[
    ("group_name", "group7"),
    ("storage_server_port", "7"),
    ("store_path_count", "7"),
    ("store_path0", "/elsewhere"),
    ("store_path0_readonly", "true"),
];

#[test]
fn every_key_of_the_original_changes_something_or_is_named() {
    let told = |text: &str| read(text, "").map(|loaded| (format!("{:?}", loaded.config), loaded.warnings));
    for (key, value, beside) in KEYS {
        let (before, _) = told(beside).unwrap_or_default();
        let (after, warnings) = told(&format!("{beside}\n{key} = {value}\n")).unwrap();
        let is_named = warnings.iter().any(|warning| warning.key == *key);
        // `group_count` says which sections there are, and whether paths have a group: that it is checked is told elsewhere.
        assert!(before != after || is_named || *key == "group_count", "{key} is ignored in silence");
    }
    assert!(read("group_count = 1\nurl_have_group_name = false\n[group1]\n", "").is_err());
    for (key, value) in GROUP_KEYS {
        let text = format!("group_count = 1\nurl_have_group_name = true\n[group1]\n{key} = {value}\n");
        let (_, warnings) = told(&text).unwrap();
        assert!(warnings.iter().any(|warning| warning.key == *key), "{key} of a group is ignored in silence");
    }
}

#[test]
fn without_keys_the_defaults_of_the_module_hold() {
    let config = read("", "").unwrap().config;
    assert_eq!((config.url_form, config.response_mode), (UrlForm::WithoutGroup, ResponseMode::Proxy));
    assert_eq!((config.flv_extension, config.token, config.expose_metadata), (None, None, false));
}

#[test]
fn what_would_leave_files_unprotected_is_an_error() {
    let check = "#include http.conf\n";
    for http in [
        "http.anti_steal.check_token = true\n",
        "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = k\nhttp.anti_steal.token_ttl = 0\n",
        "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = k\nhttp.anti_steal.token_ttl = soon\n",
    ] {
        assert!(read(check, http).is_err(), "{http}");
    }
    assert!(read("#include missing.conf\n", "").is_err());
    assert!(read("group_count = 1\nurl_have_group_name = false\n", "").is_err());
}

#[test]
fn http_disabled_switches_off_what_http_conf_says() {
    let http = "http.disabled = true\nhttp.anti_steal.check_token = true\nhttp.anti_steal.secret_key = k\n";
    let config = read("#include http.conf\n", http).unwrap().config;
    assert_eq!((config.token, config.max_ranges, config.mime_types_file), (None, 1, None));
}

#[test]
fn a_bypass_header_needs_no_token() {
    let text = "anti_steal_bypass_header_name = X-Inner\nanti_steal_bypass_header_value = yes\n\
        http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = k\n";
    let token = read(text, "").unwrap().config.token.unwrap();
    assert_eq!(token.bypass, Some(("X-Inner".to_owned(), "yes".to_owned())));
    assert_eq!(token.secret.token_ttl, Duration::from_secs(600));
}

#[test]
fn every_honoured_key_is_read() {
    let file = ConfFile::empty(Path::new("mod_fastdfs.conf"));
    let mut keys = Keys::new(&file, table::SECTIONS);
    NativeHttpConfig::build(&mut keys).unwrap();
    // The secret and its time are asked for only where tokens are checked.
    let unread: Vec<_> = keys.never_asked().into_iter().filter(|key| !key.contains("secret_key")).collect();
    assert_eq!(unread, [""; 0]);
}
