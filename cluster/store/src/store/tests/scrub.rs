//! Files that are not what their names say: found, and healed.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::PathBuf,
    time::Duration,
};

use fdfs_types::{RemoteFilename, Subdir};

use super::{options, upload, upload_appender};
use crate::{Damage, Healed, Store, Suspect, Verdict};

fn path(base: &tempfile::TempDir, name: &RemoteFilename) -> PathBuf {
    base.path().join("data").join(name.local_path())
}

fn verdict(store: &Store, name: &RemoteFilename) -> Option<Verdict> {
    let mut examination = store.examine(name, Duration::ZERO).unwrap()?;
    let mut block = [0; 1000];
    loop {
        if let (_, Some(verdict)) = examination.step(&mut block).unwrap() {
            return Some(verdict);
        }
    }
}

fn suspect(store: &Store, name: &RemoteFilename) -> Suspect {
    match verdict(store, name) {
        Some(Verdict::Damaged(suspect)) => suspect,
        other => panic!("{other:?}"),
    }
}

/// Flips one bit in the middle, and leaves the times alone.
fn flip(path: &PathBuf) {
    let times = fs::metadata(path).unwrap();
    let mut content = fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(path, content).unwrap();
    let times =
        fs::FileTimes::new().set_modified(times.modified().unwrap()).set_accessed(times.accessed().unwrap());
    fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

fn heal(store: &Store, suspect: &Suspect, content: &[u8]) -> Healed {
    let mut healing = store.heal(suspect).unwrap();
    for piece in content.chunks(700) {
        healing.write(piece).unwrap();
    }
    healing.finish().unwrap()
}

#[test]
fn a_flipped_bit_a_cut_and_an_overlong_file_are_found_and_sound_ones_are_not() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let content: Vec<u8> = (0..5000_u32).map(|at| at as u8).collect();
    let names: Vec<_> = (0..4).map(|_| upload(&store, "bin", &content).filename).collect();
    let empty = upload(&store, "bin", b"").filename;
    flip(&path(&base, &names[1]));
    fs::File::options().write(true).open(path(&base, &names[2])).unwrap().set_len(4999).unwrap();
    fs::File::options().write(true).open(path(&base, &names[3])).unwrap().set_len(5001).unwrap();
    assert_eq!(verdict(&store, &names[0]), Some(Verdict::Sound));
    assert_eq!(verdict(&store, &empty), Some(Verdict::Sound));
    assert!(matches!(suspect(&store, &names[1]).damage, Damage::Content { .. }));
    assert_eq!(suspect(&store, &names[2]).damage, Damage::Size { told: 5000, found: 4999 });
    assert_eq!(suspect(&store, &names[3]).damage, Damage::Size { told: 5000, found: 5001 });
}

#[test]
fn what_is_young_a_link_changeable_or_gone_is_not_examined() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "bin", b"new").filename;
    assert!(store.examine(&name, Duration::from_secs(60)).unwrap().is_none());
    assert!(store.examine(&name, Duration::ZERO).unwrap().is_some());
    let appender = upload_appender(&store, b"appender");
    assert_eq!(verdict(&store, &appender), None);
    let link = upload(&store, "bin", b"link").filename;
    fs::remove_file(path(&base, &link)).unwrap();
    assert_eq!(verdict(&store, &link), None);
    symlink(path(&base, &name), path(&base, &link)).unwrap();
    assert_eq!(verdict(&store, &link), None);
    // Deleted, or made anew, while it is looked at.
    let deleted = upload(&store, "bin", b"deleted").filename;
    flip(&path(&base, &deleted));
    let mut examination = store.examine(&deleted, Duration::ZERO).unwrap().unwrap();
    let mut block = [0; 100];
    assert_eq!(examination.step(&mut block).unwrap(), (7, None));
    store.delete(&deleted).unwrap();
    let found = loop {
        if let (_, Some(verdict)) = examination.step(&mut block).unwrap() {
            break verdict;
        }
    };
    assert_eq!(found, Verdict::Changed);
}

#[test]
fn a_sound_copy_takes_the_place_and_the_damaged_file_is_kept_for_a_while() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "bin", b"0123456789").filename;
    let binlog = store.binlog().end();
    flip(&path(&base, &name));
    let damaged = fs::read(path(&base, &name)).unwrap();
    let modified = fs::metadata(path(&base, &name)).unwrap().mtime();
    let suspect = suspect(&store, &name);
    assert_eq!(heal(&store, &suspect, b"0123456788"), Healed::Unsound);
    assert_eq!(heal(&store, &suspect, b"012345678"), Healed::Unsound);
    assert!(store.heal(&suspect).unwrap().write(b"0123456789a").is_err());
    assert_eq!(fs::read(path(&base, &name)).unwrap(), damaged);
    assert_eq!(heal(&store, &suspect, b"0123456789"), Healed::Done);
    assert_eq!(fs::read(path(&base, &name)).unwrap(), b"0123456789");
    assert_eq!(fs::metadata(path(&base, &name)).unwrap().mtime(), modified);
    assert_eq!(verdict(&store, &name), Some(Verdict::Sound));
    // For peers nothing has happened.
    assert_eq!(store.binlog().end(), binlog);
    let kept = base.path().join("data/rs/damaged").join(name.local_path().replace('/', "_"));
    assert_eq!(fs::read(&kept).unwrap(), damaged);
    assert_eq!(fs::read_dir(base.path().join("data/.tmp")).unwrap().count(), 0);
    store.delete_kept(Duration::from_secs(60)).unwrap();
    assert!(kept.exists());
    // It was kept in this second, or the one before.
    std::thread::sleep(Duration::from_millis(1100));
    store.delete_kept(Duration::ZERO).unwrap();
    assert!(!kept.exists());
}

#[test]
fn a_file_that_was_deleted_or_made_anew_meanwhile_is_not_healed() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let (gone, anew) = (upload(&store, "bin", b"gone").filename, upload(&store, "bin", b"anew").filename);
    flip(&path(&base, &gone));
    flip(&path(&base, &anew));
    let (first, second) = (suspect(&store, &gone), suspect(&store, &anew));
    store.delete(&gone).unwrap();
    assert_eq!(heal(&store, &first, b"gone"), Healed::Changed);
    assert!(!path(&base, &gone).exists());
    fs::remove_file(path(&base, &anew)).unwrap();
    fs::write(path(&base, &anew), b"else").unwrap();
    assert_eq!(heal(&store, &second, b"anew"), Healed::Changed);
    assert_eq!(fs::read(path(&base, &anew)).unwrap(), b"else");
    assert!(!base.path().join("data/rs/damaged").exists());
}

#[test]
fn names_that_tell_their_content_are_listed_by_directory() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let mut names: Vec<_> = (0..5).map(|_| upload(&store, "bin", b"x").filename).collect();
    upload_appender(&store, b"appender");
    names.sort();
    let first = Subdir { high: 0, low: 0 };
    assert_eq!(store.names_with_content(0, first, None, 10).unwrap(), Some((names.clone(), false)));
    assert_eq!(store.names_with_content(0, first, None, 2).unwrap(), Some((names[..2].to_vec(), true)));
    let after = names[1].base_name();
    assert_eq!(
        store.names_with_content(0, first, Some(after), 3).unwrap(),
        Some((names[2..].to_vec(), false))
    );
    let missing = Subdir { high: 9, low: 9 };
    assert_eq!(store.names_with_content(0, missing, None, 3).unwrap(), None);
    assert!(store.names_with_content(1, first, None, 3).is_err());
}
