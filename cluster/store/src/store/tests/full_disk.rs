//! Tests on a file system of a few megabytes. They need the right to mount one, and say so where they
//! do not have it.

use std::process::Command;

use super::*;

/// A small file system that goes with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(directory.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: no right to mount a small file system");
        }
        mounted.then_some(Self(directory))
    }

    /// Takes all space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        fs::write(&path, b"").unwrap();
        for size in [65536, 4096] {
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_store_path_refuses_and_keeps_what_it_has() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.store_paths = vec![StorePathOptions { path: disk.0.path().to_owned(), read_only: false }];
    let store = Store::open(&options).unwrap();
    let kept = upload(&store, "txt", b"kept").filename;
    let appender = upload_appender(&store, b"0123456789");

    assert_eq!(errno(put(&store, &NewFile { size: Some(5 << 20), ..new_file("") }, b"")), 28);
    assert_eq!(errno(put(&store, &new_file("big"), &vec![1; 5 << 20])), 28, "of unknown length");
    let filler = disk.fill();
    let mut append = store.append(&appender, None).unwrap();
    append.write(&[1; 60_000]).unwrap();
    assert_eq!(errno(append.finish()), 28);
    let mut modify = store.modify(&appender, 5, None).unwrap();
    modify.write(&[b'x'; 60_000]).unwrap();
    assert_eq!(errno(modify.finish()), 28);
    assert_eq!(read(&store, &appender).unwrap(), b"01234xxxxx");
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    assert_eq!(errno(store.set_metadata(&kept, crate::MetadataFlag::Merge, metadata)), 28);
    assert_eq!(errno(store.metadata(&kept)), 2);
    assert_eq!(log(&store)[2..], [format!("M {appender} 5 5")]);
    assert_eq!(fs::read_dir(disk.0.path().join("data/.tmp")).unwrap().count(), 0);

    fs::remove_file(filler).unwrap();
    store.refresh_space();
    upload(&store, "txt", b"again");
    assert_eq!(read(&store, &kept).unwrap(), b"kept");
}

#[test]
fn a_binlog_that_cannot_be_written_stops_changes_and_loses_no_record() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let files = tempfile::tempdir().unwrap();
    let mut options = options(disk.0.path());
    options.store_paths = vec![StorePathOptions { path: files.path().to_owned(), read_only: false }];
    let store = Store::open(&options).unwrap();
    upload(&store, "txt", b"first");
    let filler = disk.fill();
    // There is room in the last page of the binlog for some records more.
    let (mut answered, mut refused) = (1, 0);
    let error = loop {
        match put(&store, &new_file("txt"), b"x") {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Binlog { .. }), "{error}");
    for _ in 0..3 {
        assert!(matches!(store.create(&new_file("txt")), Err(StoreError::Binlog { .. })));
        refused += 1;
    }
    assert_eq!((error.errno(), refused), (28, 3));

    fs::remove_file(filler).unwrap();
    upload(&store, "txt", b"last");
    let names: std::collections::HashSet<_> = log(&store).into_iter().collect();
    // The one that was not answered is there too: its file was shown.
    assert_eq!((names.len(), log(&store).len()), (answered + 2, answered + 2));
    let present: usize = store.list(0, None, 1000).unwrap().files.len();
    assert_eq!(present, answered + 2);
}
