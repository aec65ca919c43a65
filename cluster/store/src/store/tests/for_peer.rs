//! What peers get, and what they have read.

use std::fs;

use super::{new_file, options, put, upload};
use crate::{ForPeer, Mark, Position, Store};

#[test]
fn a_peer_gets_files_metadata_and_links_as_they_are() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"hello").filename;
    let Ok(ForPeer::File(file)) = store.open_for_peer(&name) else { panic!("a file") };
    assert_eq!(file.size, 5);
    let sidecar = format!("{name}-m").parse().unwrap();
    assert!(matches!(store.open_for_peer(&sidecar), Ok(ForPeer::Missing)));
    fs::write(base.path().join("data").join(format!("{}-m", name.local_path())), "a\u{2}b").unwrap();
    assert!(matches!(store.open_for_peer(&sidecar), Ok(ForPeer::File(_))));
    let link: fdfs_types::RemoteFilename = name.as_str().replace(".txt", ".lnk").parse().unwrap();
    let target = base.path().join("data").join(name.local_path());
    std::os::unix::fs::symlink(&target, base.path().join("data").join(link.local_path())).unwrap();
    let Ok(ForPeer::Link(target)) = store.open_for_peer(&link) else { panic!("a link") };
    assert_eq!(target, Some(name.clone()));
    store.delete(&name).unwrap();
    assert!(!store.is_there(&name) && store.is_there(&link));
}

#[test]
fn binlog_files_that_a_peer_has_not_read_are_not_compressed() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.binlog_rotate_at = 200;
    let store = Store::open(&options).unwrap();
    for _ in 0..12 {
        put(&store, &new_file("txt"), b"hello").unwrap();
    }
    let end = store.binlog().end().index;
    assert!(end >= 3);
    let mark = |peer: &str, index| {
        let mark = Mark { position: Position { index, offset: 0 }, ..Mark::default() };
        mark.save(&store.sync_directory().join(format!("{peer}.mark"))).unwrap();
    };
    mark("100002", 1);
    mark("100003", 2);
    assert_eq!(store.compress_binlog().unwrap(), 1);
    mark("100002", end);
    assert_eq!(store.compress_binlog().unwrap(), 1);
    mark("100003", end);
    assert_eq!(store.compress_binlog().unwrap(), end - 2);
}
