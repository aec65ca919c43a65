//! `fdfs upload`, `fdfs download` and the others.

use std::fs;

use crate::cluster::{Cluster, Site, free_address};

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn a_file_comes_back_as_it_was() {
    let cluster = Cluster::start();
    let bytes = content(1_500_000);
    cluster.site.file("cat.jpg", &bytes);
    let id = cluster
        .fdfs(&["upload", "cat.jpg", "-m", "width=1024", "--meta", "author=me"])
        .ok()
        .trim()
        .to_owned();
    assert!(id.starts_with("group1/M00/") && id.ends_with(".jpg"), "{id}");

    let info = cluster.fdfs(&["info", "--json", &id]).json();
    assert_eq!((info["size"].as_u64(), info["kind"].as_str()), (Some(1_500_000), Some("normal")));
    assert_eq!(info["crc32"], format!("{:08x}", crc32fast::hash(&bytes)));
    assert_eq!(cluster.fdfs(&["meta", "get", &id]).ok(), "author=me\nwidth=1024\n");
    assert_eq!(cluster.fdfs(&["meta", "set", &id, "height=5"]).ok(), "");
    let pairs = cluster.fdfs(&["meta", "get", &id, "--json"]).json();
    assert_eq!(pairs["metadata"], serde_json::json!({ "author": "me", "height": "5", "width": "1024" }));
    assert_eq!(cluster.fdfs(&["meta", "set", "--replace", &id]).ok(), "");
    assert_eq!(cluster.fdfs(&["meta", "get", &id]).ok(), "");

    cluster.fdfs(&["download", &id, "copy.jpg"]).ok();
    assert_eq!(cluster.site.read("copy.jpg"), bytes);
    cluster.fdfs(&["download", &id, "--dir", ".", "--offset", "100", "--length", "11"]).ok();
    assert_eq!(cluster.site.read(id.rsplit('/').next().unwrap()), bytes[100..111]);

    assert_eq!(cluster.fdfs(&["delete", &id]).ok(), "");
    for arguments in [&["info", &id][..], &["download", &id, "gone"], &["delete", &id], &["meta", "get", &id]]
    {
        let run = cluster.fdfs(arguments);
        assert_eq!((run.code, run.text()), (3, ""), "{run:?}");
        assert!(run.err.contains(&id) && run.err.contains("no such file"), "{run:?}");
    }
    assert!(!cluster.site.path("work/gone").exists());
    let left: Vec<_> = fs::read_dir(cluster.site.path("work")).unwrap().collect();
    assert_eq!(left.len(), 4, "nothing hidden is left: {left:?}");
}

#[test]
fn standard_input_and_output_are_streams() {
    let cluster = Cluster::start();
    for length in [0, 1, 3_000_001] {
        let bytes = content(length);
        let id = cluster.fdfs_with_input(&["upload", "-", "--ext", "bin"], &bytes).ok().trim().to_owned();
        assert!(id.ends_with(".bin"), "{id}");
        let run = cluster.fdfs(&["download", &id, "-"]);
        assert!(run.code == 0 && run.out == bytes, "{length}: {} bytes, {}", run.out.len(), run.err);
    }
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_stored() {
    let cluster = Cluster::start();
    for name in ["a", "b", "c"] {
        cluster.site.file(name, name.as_bytes());
    }
    let run = cluster.fdfs(&["upload", "a", "missing", "b", ".", "c"]);
    assert_eq!(run.code, 1);
    let names: Vec<_> = run.text().lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"], "in the order of the arguments");
    assert!(run.err.contains("missing: cannot open it: No such file"), "{}", run.err);
    assert!(run.err.contains(".: it is a directory"), "{}", run.err);

    let run = cluster.fdfs(&["upload", "--json", "missing", "a"]);
    assert_eq!(run.json()["subject"], "missing");
    let id = serde_json::from_str::<serde_json::Value>(run.text().lines().nth(1).unwrap()).unwrap();
    let id = id["file_id"].as_str().unwrap();
    let both = cluster.fdfs(&["download", id, id, "--dir", "."]);
    assert_eq!(both.code, 0, "{both:?}");
}

#[test]
fn an_appender_file_grows_shrinks_and_becomes_normal() {
    let cluster = Cluster::start();
    let text = |id: &str| cluster.fdfs(&["download", id, "-"]).text().to_owned();
    cluster.site.file("a.log", b"one\n");
    cluster.site.file("b.log", b"two\n");
    let id = cluster.fdfs(&["upload", "--appender", "a.log"]).ok().trim().to_owned();
    cluster.fdfs(&["append", &id, "b.log", "a.log"]).ok();
    cluster.fdfs_with_input(&["append", &id, "-"], b"three\n").ok();
    assert_eq!(text(&id), "one\ntwo\none\nthree\n");
    cluster.fdfs_with_input(&["modify", &id, "-", "--offset", "4"], b"TWO").ok();
    cluster.fdfs(&["truncate", &id, "8"]).ok();
    assert_eq!(text(&id), "one\nTWO\n");
    let new = cluster.fdfs(&["regenerate", &id]).ok().trim().to_owned();
    assert_eq!(text(&new), "one\nTWO\n");
    assert_eq!(cluster.fdfs(&["info", &id]).code, 3, "the former name is gone");
    let refused = cluster.fdfs(&["append", &new, "a.log"]);
    assert_eq!(refused.code, 1, "{refused:?}");
}

#[test]
fn a_slave_lies_beside_its_master() {
    let cluster = Cluster::start();
    cluster.site.file("cat.jpg", b"large");
    cluster.site.file("small.png", b"small");
    let master = cluster.fdfs(&["upload", "cat.jpg"]).ok().trim().to_owned();
    let slave = &["upload", "small.png", "--slave-of", &master, "--prefix", "_150x150"];
    let slave = cluster.fdfs(slave).ok().trim().to_owned();
    assert_eq!(slave, format!("{}_150x150.png", master.strip_suffix(".jpg").unwrap()));
    assert_eq!(cluster.fdfs(&["info", "--json", &slave]).json()["kind"], "slave");
    let twice = cluster.fdfs(&["upload", "small.png", "--slave-of", &master, "--prefix", "_150x150"]);
    assert_eq!(twice.code, 1, "{twice:?}");
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let bytes = content(100_000);
    cluster.site.file("a", &bytes);
    let id = cluster.fdfs(&["upload", "a"]).ok().trim().to_owned();
    let part = format!(".copy.{:08x}.part", crc32fast::hash(format!("{id} 0 None").as_bytes()));
    for (left, resumed) in [(&bytes[..60_000], 60_000), (&bytes[..], 100_000)] {
        cluster.site.file(&part, left);
        let run = cluster.fdfs(&["download", "--json", &id, "copy"]);
        assert_eq!((run.code, run.json()["resumed"].as_u64()), (0, Some(resumed)), "{run:?}");
        assert!(cluster.site.read("copy") == bytes && run.err.is_empty(), "{}", run.err);
    }
    // What was left cannot be of this file: it is longer.
    cluster.site.file(&part, &content(200_000));
    let run = cluster.fdfs(&["download", "--json", &id, "copy"]);
    assert_eq!((run.code, run.json()["resumed"].as_u64()), (0, Some(0)), "{run:?}");
    assert_eq!(cluster.site.read("copy"), bytes);
}

#[test]
fn nobody_there_has_an_exit_code_of_its_own() {
    let site = Site::new();
    site.file("a", b"a");
    let nobody = free_address().to_string();
    let run = site.fdfs("", &["upload", "a", "-t", &nobody], b"");
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.err.contains(&nobody) && run.err.contains("refused"), "{}", run.err);
    let wrong = site.fdfs(&nobody, &["info", "no-id"], b"");
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn the_monitor_tells_groups_and_storages() {
    let cluster = Cluster::start();
    let text = cluster.fdfs(&["monitor"]);
    let mut lines = text.ok().lines();
    let group = lines.next().unwrap();
    assert!(
        group.starts_with("group1: ") && group.ends_with("1 of 1 storages readable, 1 writable"),
        "{group}"
    );
    assert!(lines.next().unwrap().contains(": ACTIVE, both ("));
    let why = lines.next().unwrap();
    assert!(why.starts_with("    ACTIVE since ") && why.ends_with(": joined and reports"), "{why}");
    let json = cluster.fdfs(&["monitor", "--json", "-c", "client.conf"]).json();
    let storage = &json["groups"][0]["storages"][0];
    assert_eq!(storage["status"], "ACTIVE");
    assert_eq!(storage["reason"], "joined and reports");
    assert_eq!(storage["counters"]["upload"]["total"], 0);
    assert_eq!(cluster.fdfs(&["monitor", "--group", "nogroup"]).code, 3);
}
