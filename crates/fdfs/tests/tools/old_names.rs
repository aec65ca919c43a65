//! The original's tools: what scripts read of their output, and their exit codes, as recorded from them.

use crate::cluster::{Cluster, Run, Site, free_address};

/// A name that no storage has given out.
const UNKNOWN: &str = "group1/M00/00/00/fwAIAmkhVLWABBBBAAAAC6U_v-k111.txt";

fn id_of(run: &Run) -> String {
    let id = run.ok().strip_suffix('\n').unwrap();
    assert!(id.starts_with("group1/M00/") && !id.contains('\n'), "{id:?}");
    id.to_owned()
}

/// Exit code and standard output.
fn told(run: &Run) -> (i32, &str) {
    (run.code, run.text())
}

#[test]
fn tools_without_arguments_tell_their_usage() {
    let site = Site::new();
    for (name, usage) in [
        ("fdfs_upload_file", "<config_file> <local_filename> [storage_ip:port] [store_path_index]"),
        (
            "fdfs_download_file",
            "<config_file> <file_id> [local_filename] [<download_offset> <download_bytes>]",
        ),
        ("fdfs_delete_file", "<config_file> <file_id>"),
        ("fdfs_append_file", "<config_file> <appender_file_id> <local_filename>"),
        ("fdfs_upload_appender", "<config_file> <local_filename>"),
        ("fdfs_crc32", "<filename>"),
    ] {
        let run = site.old(name, &[]);
        assert_eq!(run.code, 1, "{run:?}");
        let line = run.line().to_owned();
        assert!(line.starts_with("Usage: ") && line.ends_with(&format!("/{name} {usage}")), "{line}");
    }
    for name in ["fdfs_file_info", "fdfs_regenerate_filename", "fdfs_trackerd", "fdfs_storaged"] {
        let run = site.old(name, &[]);
        assert!(told(&run) == (1, "") && run.err.contains("Usage: "), "{run:?}");
    }
}

#[test]
fn a_missing_configuration_is_code_2_and_a_silent_tracker_115() {
    let site = Site::new();
    site.file("a", b"a");
    site.conf("work/dead.conf", &format!("tracker_server={}\nconnect_timeout=2\n", free_address()));
    for (name, arguments) in [
        ("fdfs_upload_file", &["a"][..]),
        ("fdfs_upload_appender", &["a"]),
        ("fdfs_download_file", &[UNKNOWN]),
        ("fdfs_delete_file", &[UNKNOWN]),
        ("fdfs_append_file", &[UNKNOWN, "a"]),
        ("fdfs_regenerate_filename", &[UNKNOWN]),
        ("fdfs_monitor", &[]),
    ] {
        let run = site.old(name, &[&["none.conf"], arguments].concat());
        assert!(told(&run) == (2, "") && run.err.contains("] ERROR - "), "{name}: {run:?}");
        let run = site.old(name, &[&["dead.conf"], arguments].concat());
        assert!(run.code == 115 && run.err.contains("] ERROR - connect to server "), "{name}: {run:?}");
    }
    // The name of a normal file tells all: nobody is asked.
    assert_eq!(site.old("fdfs_file_info", &["dead.conf", UNKNOWN]).code, 0);
}

#[test]
fn files_are_stored_fetched_and_removed() {
    let cluster = Cluster::start();
    cluster.site.file("a.txt", b"hello world");
    let id = id_of(&cluster.old("fdfs_upload_file", &["a.txt"]));
    assert!(id.ends_with(".txt"));
    let name = id.rsplit('/').next().unwrap();
    for (arguments, target, content) in [
        (&[][..], name, "hello world"),
        (&["b"], "b", "hello world"),
        (&["b", "2", "3"], "b", "llo"),
        (&["b", "2"], "b", "hello world"),
        (&["b", "2", "300"], "b", "llo world"),
    ] {
        let run = cluster.old("fdfs_download_file", &[&[&*id], arguments].concat());
        assert_eq!(told(&run), (0, ""), "{run:?}");
        assert_eq!(cluster.site.read(target), content.as_bytes(), "{arguments:?}");
    }
    // The original does not tell scripts by its exit code.
    for (arguments, errno) in [
        (&[&*id, "c", "20", "3"][..], "22, error info: Invalid argument"),
        (&[UNKNOWN, "c"], "2, error info: No such file or directory"),
        (&["bad", "c"], "22, error info: Invalid argument"),
        (&[&*id, "/nonexist/c"], "2, error info: No such file or directory"),
    ] {
        let run = cluster.old("fdfs_download_file", arguments);
        assert_eq!(told(&run), (0, &*format!("download file fail, error no: {errno}\n")), "{run:?}");
    }
    assert!(!cluster.site.path("work/c").exists());
    assert_eq!(told(&cluster.old("fdfs_delete_file", &[&id])), (0, ""));
    for (id, code, meaning) in [
        (&*id, 2, "No such file or directory"),
        ("bad", 22, "Invalid argument"),
        ("group1/bad", 22, "Invalid argument"),
    ] {
        let text = format!("delete file fail, error no: {code}, error info: {meaning}\n");
        assert_eq!(told(&cluster.old("fdfs_delete_file", &[id])), (code, &*text));
    }
}

#[test]
fn uploads_fail_on_standard_error() {
    let cluster = Cluster::start();
    cluster.site.file("a", b"a");
    let nobody = free_address().to_string();
    for (arguments, code, meaning) in [
        (&["missing"][..], 2, "No such file or directory"),
        (&["."], 22, "Invalid argument"),
        (&["a", &*nobody], 111, "Connection refused"),
    ] {
        let run = cluster.old("fdfs_upload_file", arguments);
        assert_eq!(told(&run), (code, ""), "{run:?}");
        let text = format!("upload file fail, error no: {code}, error info: {meaning}\n");
        assert!(run.err.ends_with(&text), "{run:?}");
    }
    let run = cluster.old("fdfs_upload_file", &["a", "no.such.host.invalid"]);
    assert!(run.code == 22 && run.err.contains("resolve ip address of storage server: "), "{run:?}");
}

#[test]
fn appender_files_are_told_about_grown_and_regenerated() {
    let cluster = Cluster::start();
    cluster.site.file("a.txt", b"hello world");
    cluster.site.file("b.bin", b"more\n");
    let id = id_of(&cluster.old("fdfs_upload_appender", &["a.txt"]));
    assert_eq!(told(&cluster.old("fdfs_append_file", &[&id, "b.bin"])), (0, ""));
    let run = cluster.old("fdfs_file_info", &[&id]);
    let lines: Vec<_> = run.ok().lines().collect();
    assert_eq!(
        lines[..5],
        [
            "GET FROM SERVER: true",
            "",
            "file type: appender",
            "source storage id: 0",
            "source ip address: 127.0.8.20",
        ]
    );
    let stamp = lines[5].strip_prefix("file create timestamp: 20").unwrap();
    assert_eq!(stamp.len(), "26-11-22 08:16:31".len());
    assert_eq!(lines[6..], ["file size: 16", "file crc32: 854528053 (0x32ef1035)", ""]);
    let run = cluster.site.old("fdfs_file_info", &["-n", "client.conf", &id]);
    assert!(!run.ok().contains("crc32"));

    let new = id_of(&cluster.old("fdfs_regenerate_filename", &[&id]));
    let run = cluster.old("fdfs_file_info", &[&new]);
    assert!(run.ok().starts_with("GET FROM SERVER: false\n\nfile type: normal\n"), "{run:?}");
    for (arguments, code) in
        [(&[&*new, "b.bin"][..], 22), (&["bad", "b.bin"], 22), (&[UNKNOWN, "b.bin"], 2), (&[&new, "no"], 2)]
    {
        let run = cluster.old("fdfs_append_file", arguments);
        assert_eq!(run.code, code, "{run:?}");
        assert!(
            run.text().starts_with(&format!("append file fail, error no: {code}, error info: ")),
            "{run:?}"
        );
    }
    let run = cluster.old("fdfs_regenerate_filename", &[&id]);
    assert_eq!(told(&run), (2, ""));
    assert!(run.err.ends_with(&format!(
        "regenerate file {id} fail, error no: 2, error info: No such file or directory\n"
    )));
    let run = cluster.old("fdfs_file_info", &[&id]);
    assert_eq!(told(&run), (0, ""), "as the original");
    assert!(run.err.ends_with("query file info fail, error no: 2, error info: No such file or directory\n"));
    assert_eq!(cluster.old("fdfs_file_info", &["-x", &id]).code, 1);
}

#[test]
fn an_empty_file_can_be_appended() {
    let cluster = Cluster::start();
    cluster.site.file("a", b"a");
    cluster.site.file("empty", b"");
    let id = id_of(&cluster.old("fdfs_upload_appender", &["a"]));
    assert_eq!(told(&cluster.old("fdfs_append_file", &[&id, "empty"])), (0, ""));
    let run = cluster.old("fdfs_file_info", &[&id]);
    assert!(run.ok().contains("\nfile size: 1\n"), "{run:?}");
}

#[test]
fn keys_without_effect_are_named() {
    let site = Site::new();
    let conf = "tracker_server=127.0.8.99\nuse_connection_pool=true\nconect_timeout=3\n";
    site.conf("work/odd.conf", conf);
    let run = site.old("fdfs_file_info", &["odd.conf", UNKNOWN]);
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<_> = run.err.lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("] WARNING - odd.conf:3: "), "{run:?}");
}

#[test]
fn checksums_have_no_leading_zeros() {
    let site = Site::new();
    site.file("a.txt", b"hello world");
    site.file("empty", b"");
    assert_eq!(told(&site.old("fdfs_crc32", &["a.txt"])), (0, "d4a1185\n"));
    assert_eq!(told(&site.old("fdfs_crc32", &["empty"])), (0, "0\n"));
    assert_eq!(site.old("fdfs_crc32", &["missing"]).code, 2);
    assert_eq!(site.old("fdfs_crc32", &["."]).code, 21);
}

#[test]
fn the_monitor_lists_changes_and_refuses() {
    let cluster = Cluster::start();
    let tracker = cluster.tracker;
    let head = format!("tracker server count=1, current server index=0\n\ntracker server is {tracker}\n\n");
    let run = cluster.old("fdfs_monitor", &[]);
    let body = run.ok().strip_prefix(&*head).unwrap();
    assert!(
        body.starts_with("group count: 1\n\nGroup 1:\ngroup name = group1\ndisk total space     = "),
        "{body}"
    );
    assert!(body.contains("\n\tStorage 1:\n\t\tid = 127.0.8.20\n\t\thost = 127.0.8.20:"), "{body}");
    assert!(body.contains("  ACTIVE\n\t\tread write mode = both (normal)\n\t\tversion = 6.16.1\n"), "{body}");
    assert_eq!(body.lines().filter(|line| line.starts_with("\t\t")).count(), 61);
    assert!(
        cluster
            .old("fdfs_monitor", &["list", "group1"])
            .ok()
            .starts_with(&format!("{head}group name = group1\n"))
    );
    let by_name = cluster.old("fdfs_monitor", &["-h", &tracker.to_string(), "list", "nogroup"]);
    assert_eq!(told(&by_name), (0, &*head));
    for (arguments, text) in [
        (
            &["delete", "group1"][..],
            "delete group: group1 fail, error no: 16, error info: Device or resource busy",
        ),
        (
            &["delete", "nogroup"],
            "delete group: nogroup fail, error no: 2, error info: No such file or directory",
        ),
        (
            &["delete", "group1", "127.0.8.20"],
            "delete storage server group1::127.0.8.20 fail, error no: 16, error info: Device or resource busy",
        ),
        (
            &["set_trunk_server", "group1"],
            "set trunk server group1:: fail, error no: 95, error info: Operation not supported",
        ),
    ] {
        assert_eq!(told(&cluster.old("fdfs_monitor", arguments)), (0, &*format!("{head}{text}\n")));
    }
    assert!(
        cluster.old("fdfs_monitor", &["bogus"]).ok().starts_with(&format!("{head}Invalid command bogus\n"))
    );
    let elsewhere = cluster.old("fdfs_monitor", &["-h", "127.0.8.99"]);
    assert_eq!(told(&elsewhere), (2, "tracker server: 127.0.8.99 not exists!\n"));
}

#[test]
fn the_test_program_tries_every_operation() {
    let cluster = Cluster::start();
    cluster.site.file("a.txt", b"hello world");
    let run = cluster.old("fdfs_test", &["upload", "a.txt"]);
    let text = run.ok();
    let name =
        text.lines().find_map(|line| line.strip_prefix("group_name=group1, remote_filename=")).unwrap();
    for line in [
        "storage_upload_by_filename",
        "storage_upload_slave_by_filename",
        "source ip address: 127.0.8.20",
        "file size=11",
        "file crc32=222957957",
        &format!("example file url: http://127.0.8.20/group1/{name}"),
        &format!("group_name=group1, remote_filename={}", name.replace(".txt", "_big.txt")),
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    let last = |arguments: &[&str]| {
        let run = cluster.old("fdfs_test", arguments);
        assert_eq!(run.code, 0, "{run:?}");
        run.text().lines().last().unwrap_or_default().to_owned()
    };
    let metadata = cluster.old("fdfs_test", &["getmeta", "group1", name]);
    let expected =
        "get meta data success, meta count=4\next_name=jpg\nfile_size=115120\nheight=80\nwidth=160\n";
    assert!(metadata.ok().ends_with(expected), "{metadata:?}");
    assert_eq!(last(&["setmeta", "group1", name, "O", "a=1,b=2"]), "set meta data success");
    assert_eq!(last(&["getmeta", "group1", name]), "b=2");
    let invalid = "setmeta fail, error no: 22, error info: Invalid argument";
    assert_eq!(last(&["setmeta", "group1", name, "x", "a=1"]), invalid);
    let servers = cluster.old("fdfs_test", &["query_servers", "group1", name]);
    assert!(servers.ok().contains("server list (1):\n\t127.0.8.20:"), "{servers:?}");
    let fetched = "download file success, file size=11, file save to copy";
    assert_eq!(last(&["download", "group1", name, "copy"]), fetched);
    assert_eq!(last(&["delete", "group1", name]), "delete file success");
    let gone = "delete file fail, error no: 2, error info: No such file or directory";
    assert_eq!(last(&["delete", "group1", name]), gone);
    for (arguments, code) in
        [(&["upload"][..], 22), (&["bogus", "x"], 22), (&["getmeta", "group1", "bad"], 22), (&[], 1)]
    {
        assert_eq!(cluster.old("fdfs_test", arguments).code, code, "{arguments:?}");
    }

    let run = cluster.old("fdfs_appender_test", &["a.txt", "BUFF"]);
    let sizes: Vec<_> = run.ok().lines().filter_map(|line| line.strip_prefix("file size=")).collect();
    assert_eq!(sizes, ["11", "5", "16", "27"]);
    assert!(run.text().contains("storage_modify_by_filebuff\nmodify file successfully.\n"));
}
