//! Tests of contents that names are links to: equal uploads kept once, slaves that are links.

use std::{collections::BTreeMap, num::NonZeroU64, os::unix::fs::MetadataExt, thread};

use fdfs_proto::ours::OwnerToken;
use fdfs_types::{Metadata, Timestamp};

use super::{
    replicas::{TIME, feed, name_of},
    *,
};
use crate::{
    Change, MetadataFlag, Record, Replicated, SignatureMethod,
    contents::{Kept, Signer, is_content},
};

/// A store that keeps equal uploads once.
pub(super) fn once(base: &Path) -> StoreOptions {
    StoreOptions { deduplicate: Some(SignatureMethod::Hash), ..options(base) }
}

fn with_links(base: &Path) -> StoreOptions {
    StoreOptions { slaves_are_links: true, ..options(base) }
}

/// The names in the directories of files, and whether each is a link.
pub(super) fn names(base: &Path) -> BTreeMap<RemoteFilename, bool> {
    let mut names = BTreeMap::new();
    for high in 0..4 {
        for low in 0..4 {
            let local = format!("{high:02X}/{low:02X}");
            for entry in fs::read_dir(base.join("data").join(&local)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("M00/{local}/{}", entry.file_name().to_str().unwrap());
                names.insert(name.parse().unwrap(), entry.file_type().unwrap().is_symlink());
            }
        }
    }
    names
}

pub(super) fn contents(base: &Path) -> Vec<RemoteFilename> {
    names(base).into_keys().filter(is_content).collect()
}

fn rows(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    store.0.contents.index().unwrap().dump().unwrap()
}

/// The index says what is on the disk.
#[track_caller]
pub(super) fn check(store: &Store) {
    let check = store.check_contents().unwrap();
    assert!(check.is_sound(), "{check:?}");
    let counts = store.content_counts().unwrap().unwrap();
    assert_eq!((check.links, counts.unlinked), (counts.links, 0), "{check:?}");
}

fn content_of(store: &Store, link: &RemoteFilename) -> RemoteFilename {
    store.0.contents.index().unwrap().content_of(link).unwrap().unwrap()
}

fn count(store: &Store, content: &RemoteFilename) -> u64 {
    store.0.contents.index().unwrap().count(content).unwrap()
}

#[test]
fn contents_are_not_listed() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let mut stored: Vec<_> = (0..2).map(|_| upload(&store, "txt", b"equal content").filename).collect();
    stored.sort();
    let listing = store.list(0, None, 100).unwrap();
    let listed: Vec<_> = listing.files.into_iter().map(|file| (file.filename, file.size)).collect();
    assert_eq!(listed, stored.into_iter().map(|name| (name, 13)).collect::<Vec<_>>());
}

#[test]
fn equal_uploads_are_kept_once_and_each_has_a_name_of_its_own() {
    for method in [SignatureMethod::Hash, SignatureMethod::Md5] {
        let base = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions { deduplicate: Some(method), ..options(base.path()) }).unwrap();
        let first = upload(&store, "txt", b"equal content");
        let second = upload(&store, "log", b"equal content");
        let other = upload(&store, "txt", b"other content");
        assert_eq!(contents(base.path()).len(), 2);
        assert_ne!(first.filename, second.filename);
        assert!(first.filename.as_str().ends_with(".txt") && second.filename.as_str().ends_with(".log"));
        for file in [&first, &second] {
            assert_eq!(read(&store, &file.filename).unwrap(), b"equal content");
            // What clients are told, and what a name says, is that of a file of its own.
            let info = store.info(&file.filename, true).unwrap();
            assert_eq!(
                (info.size, info.crc32, info.source),
                (13, Some(crc32fast::hash(b"equal content")), SOURCE)
            );
            assert_eq!(file.filename.fields().unwrap().crc32, crc32fast::hash(b"equal content"));
            assert_eq!(file.filename.fields().unwrap().size.size(), Some(13));
            assert_eq!(file.content.as_ref(), Some(&content_of(&store, &first.filename)));
        }
        assert_eq!(read(&store, &other.filename).unwrap(), b"other content");
        let content = content_of(&store, &first.filename);
        assert_eq!(count(&store, &content), 2);
        let (l1, l2) = (&first.filename, &second.filename);
        assert_eq!(
            log(&store)[..3],
            [format!("C {content}"), format!("L {l1} {content}"), format!("L {l2} {content}")]
        );
        assert_eq!(
            second.record(),
            Record::source(
                second.modified.0,
                Change::Link { name: l2.as_str().into(), source: Some(content.as_str().into()) }
            )
        );
        check(&store);
    }
}

#[test]
fn a_content_goes_with_its_last_link_alone() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let links: Vec<_> = (0..3).map(|_| upload(&store, "txt", b"equal").filename).collect();
    let content = content_of(&store, &links[0]);
    for link in &links[..2] {
        assert_eq!(store.delete(link).unwrap().len(), 1);
        assert_eq!(errno(read(&store, link)), 2);
    }
    assert_eq!(read(&store, &links[2]).unwrap(), b"equal");
    assert_eq!(count(&store, &content), 1);
    let told: Vec<_> =
        store.delete(&links[2]).unwrap().iter().map(|record| record.change.name().to_owned()).collect();
    assert_eq!(told, [links[2].as_str(), content.as_str()]);
    assert!(names(base.path()).is_empty());
    assert_eq!(log(&store).pop().unwrap(), format!("D {content}"));
    assert_eq!(store.content_counts().unwrap(), Some(Default::default()));
    // It can be stored again.
    let again = upload(&store, "txt", b"equal").filename;
    assert_eq!(read(&store, &again).unwrap(), b"equal");
    check(&store);
}

#[test]
fn many_uploads_of_a_hundred_contents_take_the_space_of_a_hundred() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let content = |kind: usize| [kind as u8; 20_000];
    let mut links: Vec<(usize, RemoteFilename)> = (0..UPLOADS)
        .map(|number| (number % 100, upload(&store, "bin", &content(number % 100)).filename))
        .collect();
    let space = |base: &Path| {
        let blocks = |name: &RemoteFilename| fs::symlink_metadata(local(base, name)).unwrap().blocks();
        names(base).iter().filter(|(_, link)| !**link).map(|(name, _)| blocks(name)).sum::<u64>() * 512
    };
    let taken = space(base.path());
    assert!((100 * 20_000..100 * 24_577).contains(&taken), "{taken}");
    fastrand::shuffle(&mut links);
    let mut left = [UPLOADS / 100; 100];
    for (kind, link) in &links {
        if left[*kind] == 1 {
            assert_eq!(read(&store, link).unwrap(), content(*kind));
        }
        store.delete(link).unwrap();
        left[*kind] -= 1;
        if fastrand::u8(..) == 0 {
            let expected = left.iter().filter(|left| **left > 0).count();
            assert_eq!(contents(base.path()).len(), expected);
        }
    }
    assert!(names(base.path()).is_empty());
    check(&store);
}

#[test]
fn contents_of_one_signature_that_differ_are_never_joined() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let other = upload(&store, "txt", b"other bytes").filename;
    let content = content_of(&store, &other);
    let mut signer = Signer::new(SignatureMethod::Hash);
    signer.update(b"these bytes");
    let kept = Kept { is_ours: true, is_condemned: false, signature: Some(signer.finish(11)) };
    store.0.contents.index().unwrap().add_content(&content, kept).unwrap();

    let link = upload(&store, "txt", b"these bytes").filename;
    assert_ne!(content_of(&store, &link), content);
    assert_eq!(read(&store, &link).unwrap(), b"these bytes");
    assert_eq!(read(&store, &other).unwrap(), b"other bytes");
}

#[test]
fn a_content_that_is_lost_or_damaged_on_disk_takes_no_more_links() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let damaged = upload(&store, "txt", b"equal content").filename;
    fs::write(local(base.path(), &content_of(&store, &damaged)), b"equal cOntent").unwrap();
    let second = upload(&store, "txt", b"equal content").filename;
    assert_eq!(read(&store, &second).unwrap(), b"equal content");
    fs::remove_file(local(base.path(), &content_of(&store, &second))).unwrap();
    let third = upload(&store, "txt", b"equal content").filename;
    assert_eq!(read(&store, &third).unwrap(), b"equal content");
    assert_eq!(errno(read(&store, &second)), 2);
}

#[test]
fn appender_files_slaves_and_joined_files_are_not_sought() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let master = upload(&store, "txt", b"slave").filename;
    let one = upload_appender(&store, b"slave");
    let two = upload_appender(&store, b"slave");
    let slave = slave(&store, &master, "_small", "txt").unwrap().filename;
    let joined = store.join(std::slice::from_ref(&master), &new_file("txt"), None).unwrap().filename;
    let names = names(base.path());
    for name in [&one, &two, &slave, &joined] {
        assert!(!names[name], "{name} is a link");
    }
    assert_eq!(contents(base.path()).len(), 1);
    // The last link goes, what was made beside it stays.
    store.delete(&master).unwrap();
    for name in [&one, &slave, &joined] {
        assert_eq!(read(&store, name).unwrap(), b"slave");
    }
}

#[test]
fn a_link_has_metadata_and_a_token_of_its_own_and_is_no_appender_file() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let one = upload(&store, "txt", b"equal").filename;
    let session = NonZeroU64::MIN;
    let mut second = store.create(&new_file("txt")).unwrap();
    second.set_owner(OwnerToken { session, sequence: 7 });
    second.write(b"equal").unwrap();
    let two = second.finish().unwrap().filename;
    let owned = |store: &Store| -> Vec<_> {
        store.owned_files(session, 0, 9).0.into_iter().map(|file| file.filename).collect()
    };
    assert_eq!(owned(&store), std::slice::from_ref(&two));
    for (name, text) in [(&one, &b"a\x021"[..]), (&two, b"a\x022")] {
        store.set_metadata(name, MetadataFlag::Overwrite, Metadata::decode(text).unwrap()).unwrap();
    }
    store.delete(&one).unwrap();
    assert_eq!(store.metadata(&two).unwrap(), b"a\x022");
    assert_eq!(errno(store.append(&two, None)), 22);
    assert_eq!(errno(store.truncate(&two, 1)), 22);
    store.delete(&two).unwrap();
    assert!(owned(&store).is_empty() && names(base.path()).is_empty());
}

#[test]
fn a_content_with_links_is_not_deleted_for_a_client() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let link = upload(&store, "txt", b"equal").filename;
    assert_eq!(errno(store.delete(&content_of(&store, &link))), 16);
    assert_eq!(read(&store, &link).unwrap(), b"equal");
    // One more link to it, by the command for that, counts.
    let (more, _) = store.create_link(&content_of(&store, &link), None, &"txt".parse().unwrap()).unwrap();
    store.delete(&link).unwrap();
    assert_eq!(read(&store, &more).unwrap(), b"equal");
    store.delete(&more).unwrap();
    assert!(names(base.path()).is_empty());
}

#[test]
fn equal_uploads_and_deletes_at_once_never_leave_a_link_without_its_content() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let kept: Vec<(u8, RemoteFilename)> = thread::scope(|scope| {
        let work = |_| {
            let store = store.clone();
            scope.spawn(move || {
                let mut kept = Vec::new();
                for _ in 0..400 {
                    let kind = fastrand::u8(..3);
                    let name = upload(&store, "bin", &[kind; 3000]).filename;
                    assert_eq!(read(&store, &name).unwrap(), [kind; 3000]);
                    // Mostly the last one, so that contents come and go all the time.
                    if fastrand::u8(..) < 250 {
                        drop(store.delete(&name).unwrap());
                    } else {
                        kept.push((kind, name));
                    }
                }
                kept
            })
        };
        let threads: Vec<_> = (0..4).map(work).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (kind, name) in &kept {
        assert_eq!(read(&store, name).unwrap(), [*kind; 3000]);
    }
    check(&store);
    assert!(contents(base.path()).len() <= 3, "equal uploads at once have each stored the content");
    for (_, name) in &kept {
        store.delete(name).unwrap();
    }
    assert!(names(base.path()).is_empty());
}

#[test]
fn a_rebuilt_index_equals_the_old_one() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let links: Vec<_> =
        (0..60_u8).map(|number| upload(&store, "bin", &[number % 20; 500]).filename).collect();
    links.iter().step_by(3).for_each(|link| drop(store.delete(link).unwrap()));
    life_at_a_peer(&store);
    let before = rows(&store);
    assert!(before.len() > 100);
    let reopen = |store: Store, damage: &dyn Fn(&Path)| {
        store.close().unwrap();
        drop(store);
        damage(&base.path().join("data/rs/contents"));
        let store = Store::open(&once(base.path())).unwrap();
        check(&store);
        assert_eq!(rows(&store), before);
        store
    };
    let store = reopen(store, &|_| {});
    assert!(!store.report().contents_rebuilt);
    let store = reopen(store, &|directory| fs::remove_dir_all(directory).unwrap());
    assert!(store.report().contents_rebuilt);
    let store = reopen(store, &|directory| fs::write(directory.join("data.mdb"), vec![7; 100_000]).unwrap());
    assert!(store.report().contents_rebuilt);
    let cut = |directory: &Path| {
        let file = fs::File::options().write(true).open(directory.join("data.mdb")).unwrap();
        file.set_len(8192).unwrap();
    };
    assert!(reopen(store, &cut).report().contents_rebuilt);
}

/// A peer stores a content with two links, and deletes one.
fn life_at_a_peer(store: &Store) {
    let [content, one, two] =
        ["content", "001.rep", "002.rep"].map(|tail| name_of(b"of a peer", tail, false));
    feed(store.receive_create(&content, 9, TIME), b"of a peer").unwrap();
    for link in [&one, &two] {
        assert_eq!(store.replicate_link(link, &content, TIME).unwrap(), Replicated::Done);
    }
    assert_eq!(store.replicate_delete(&one, TIME).unwrap(), Replicated::Done);
    assert_eq!(count(store, &content), 1);
    assert_eq!(read(store, &two).unwrap(), b"of a peer");
}

#[test]
fn after_a_power_failure_the_index_is_made_anew_and_nothing_is_freed() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let link = upload(&store, "txt", b"equal").filename;
    let content = content_of(&store, &link);
    drop(store);
    // The link was not on the disk yet; another member has it.
    fs::remove_file(local(base.path(), &link)).unwrap();
    let run = base.path().join("data/rs/run");
    let text = fs::read_to_string(&run).unwrap();
    let boot = text.lines().find(|line| line.starts_with("boot_id=")).unwrap();
    fs::write(&run, text.replace(boot, "boot_id=another")).unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    assert!(store.report().contents_rebuilt);
    assert_eq!(contents(base.path()), std::slice::from_ref(&content));
    // It comes back from there.
    store.replicate_link(&link, &content, TIME).unwrap();
    assert_eq!(read(&store, &link).unwrap(), b"equal");
    store.delete(&link).unwrap();
    assert!(names(base.path()).is_empty());
}

#[test]
fn after_a_power_failure_links_without_a_record_are_recorded_behind_their_contents() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let first = upload(&store, "txt", b"first").filename;
    let ends = log(&store).len();
    let links = [b"equal", b"equal", b"other"].map(|content| upload(&store, "txt", content).filename);
    let before = log(&store);
    let binlog = base.path().join("data/sync/binlog.000");
    let text = fs::read_to_string(&binlog).unwrap();
    drop(store);
    let kept: Vec<&str> = text.split_inclusive('\n').take(ends).collect();
    fs::write(&binlog, kept.concat()).unwrap();
    let run = base.path().join("data/rs/run");
    let state = fs::read_to_string(&run).unwrap();
    fs::write(&run, format!("boot_id=another\n{}", state.split_once('\n').unwrap().1)).unwrap();
    fs::remove_file(base.path().join("data/rs/intents")).unwrap();

    let store = Store::open(&once(base.path())).unwrap();
    assert_eq!(store.report().reconciled, 5);
    let after = log(&store);
    let letters: String = after.iter().map(|line| &line[..1]).collect();
    assert_eq!(letters, "CLCCLLL");
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(after), sorted(before));
    for link in links.iter().chain([&first]) {
        store.delete(link).unwrap();
    }
    assert!(names(base.path()).is_empty());
}

#[test]
fn links_go_on_counting_when_equal_uploads_are_not_sought_any_more() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let [one, two] = [0, 1].map(|_| upload(&store, "txt", b"equal").filename);
    drop(store);
    let store = Store::open(&options(base.path())).unwrap();
    let plain = upload(&store, "txt", b"equal").filename;
    assert!(!names(base.path())[&plain]);
    store.delete(&one).unwrap();
    assert_eq!(read(&store, &two).unwrap(), b"equal");
    store.delete(&two).unwrap();
    assert!(contents(base.path()).is_empty());
}

#[test]
fn a_store_without_links_to_contents_has_no_index() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"equal").filename;
    store.delete(&name).unwrap();
    assert!(!base.path().join("data/rs/contents").exists());
    // The first content of a peer makes one.
    life_at_a_peer(&store);
    check(&store);
}

#[test]
fn a_peers_delete_of_a_content_waits_for_the_links_that_are_here() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let [content, link] = ["content", "001.rep"].map(|tail| name_of(b"of a peer", tail, false));
    feed(store.receive_create(&content, 9, TIME), b"of a peer").unwrap();
    store.replicate_link(&link, &content, TIME).unwrap();
    // The delete of the link has been made at a third member, and is still on its way.
    assert_eq!(store.replicate_delete(&content, TIME).unwrap(), Replicated::Done);
    assert_eq!(read(&store, &link).unwrap(), b"of a peer");
    drop(store);
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(store.replicate_delete(&link, TIME).unwrap(), Replicated::Done);
    assert!(names(base.path()).is_empty());
    assert_eq!(log(&store).pop().unwrap(), format!("d {content}"));
    check(&store);
}

#[test]
fn only_the_member_that_made_a_content_deletes_it_for_all() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&once(base.path())).unwrap();
    let [content, link] = ["content", "001.rep"].map(|tail| name_of(b"of a peer", tail, false));
    feed(store.receive_create(&content, 9, TIME), b"of a peer").unwrap();
    store.replicate_link(&link, &content, TIME).unwrap();
    // It may just be making another link to it.
    assert_eq!(store.delete(&link).unwrap().len(), 1);
    assert_eq!(contents(base.path()), std::slice::from_ref(&content));
    assert_eq!(store.replicate_delete(&content, TIME).unwrap(), Replicated::Done);
    // One of ours goes when a peer tells that its last link has gone.
    let ours = upload(&store, "txt", b"ours").filename;
    let content = content_of(&store, &ours);
    store.replicate_delete(&ours, TIME).unwrap();
    assert!(names(base.path()).is_empty());
    assert_eq!(log(&store).pop().unwrap(), format!("D {content}"));
    check(&store);
}

#[test]
fn a_slave_that_is_a_link_goes_with_its_content() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&with_links(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let stored = slave(&store, &master, "_small", "jpg").unwrap();
    let content = content_of(&store, &stored.filename);
    assert!(names(base.path())[&stored.filename] && !names(base.path())[&master]);
    assert_eq!(read(&store, &stored.filename).unwrap(), b"slave");
    let info = store.info(&stored.filename, true).unwrap();
    assert_eq!((info.size, info.crc32), (5, Some(crc32fast::hash(b"slave"))));
    assert_eq!(log(&store)[1..], [format!("C {content}"), format!("L {} {content}", stored.filename)]);
    assert_eq!(errno(slave(&store, &master, "_small", "jpg")), 17);
    // Two slaves of equal content are two contents.
    let other = slave(&store, &master, "_large", "jpg").unwrap().filename;
    assert_ne!(content_of(&store, &other), content);
    store.delete(&stored.filename).unwrap();
    assert_eq!(contents(base.path()), [content_of(&store, &other)]);
    // It can be made anew, later than it was deleted.
    let deleted = store.0.tombstones.get(stored.filename.as_str()).unwrap();
    let again = slave(&store, &master, "_small", "jpg").unwrap();
    assert!(again.modified > deleted);
    assert_eq!(store.0.tombstones.get(stored.filename.as_str()), None);
    check(&store);
}

#[test]
fn two_uploads_of_one_slave_that_is_a_link_leave_one_content() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&with_links(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let begin = || {
        let mut upload =
            store.create_slave(&master, &"_s".parse().unwrap(), &"jpg".parse().unwrap(), None).unwrap();
        upload.write(b"slave").unwrap();
        upload
    };
    let (one, two) = (begin(), begin());
    let first = two.finish().unwrap().filename;
    assert_eq!(errno(one.finish()), 17);
    assert_eq!(contents(base.path()), [content_of(&store, &first)]);
    check(&store);
}

#[test]
fn a_file_of_a_peer_in_place_of_a_link_counts_as_the_end_of_the_link() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&with_links(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let link = slave(&store, &master, "_small", "jpg").unwrap().filename;
    let later = Timestamp(TIME.0 * 2);
    feed(store.receive_update(&link, 5, later), b"later").unwrap();
    assert_eq!(read(&store, &link).unwrap(), b"later");
    assert!(contents(base.path()).is_empty());
    check(&store);
}

/// As many as a debug build makes in a moment; the storage daemon is shown ten thousand.
const UPLOADS: usize = 2_000;

#[test]
fn of_a_slave_made_at_two_members_the_same_stays_whichever_comes_first() {
    let later = Timestamp(TIME.0 + 1);
    let name = |tail| name_of(b"slave", tail, false);
    let (slave, old, new) = (name("001_s.jpg"), name("content"), name("content"));
    let (old, new) = if old.as_str() < new.as_str() { (old, new) } else { (new, old) };
    // Link or file, its time, and what it holds.
    let changes = [
        [(Some(&old), TIME), (Some(&new), later)],
        [(Some(&new), TIME), (Some(&old), later)],
        [(Some(&old), TIME), (Some(&new), TIME)],
        [(None, TIME), (Some(&new), later)],
        [(Some(&old), TIME), (None, later)],
        [(Some(&old), TIME), (None, TIME)],
    ];
    for [one, two] in changes {
        let ends = [[one, two], [two, one]].map(|order| {
            let base = tempfile::tempdir().unwrap();
            let store = Store::open(&options(base.path())).unwrap();
            for content in [&old, &new] {
                feed(
                    store.receive_create(content, 5, TIME),
                    if content == &old { b"old c" } else { b"new c" },
                )
                .unwrap();
            }
            for (content, time) in order {
                match content {
                    Some(content) => drop(store.replicate_link(&slave, content, time).unwrap()),
                    None => drop(feed(store.receive_create(&slave, 5, time), b"plain").unwrap()),
                }
            }
            // A delete that is older than the last of them, and comes late.
            if two.1 > one.1 {
                store.replicate_delete(&slave, one.1).unwrap();
            }
            check(&store);
            read(&store, &slave).unwrap()
        });
        assert_eq!(ends[0], ends[1], "{one:?}, {two:?}");
        let last = two.0.map_or(&b"plain"[..], |content| if content == &old { b"old c" } else { b"new c" });
        assert_eq!(ends[0], last, "{one:?}, {two:?}");
    }
}

#[test]
fn private_files_are_not_sought_and_the_content_of_a_private_slave_is_private() {
    let base = tempfile::tempdir().unwrap();
    let both = StoreOptions { slaves_are_links: true, ..once(base.path()) };
    let store = Store::open(&both).unwrap();
    let private = put(&store, &NewFile { private: true, ..new_file("txt") }, b"secret").unwrap().filename;
    let open = upload(&store, "txt", b"secret").filename;
    assert!(!names(base.path())[&private] && private.is_private() && !content_of(&store, &open).is_private());
    let slave = slave(&store, &private, "_small", "txt").unwrap().filename;
    assert!(slave.is_private() && content_of(&store, &slave).is_private());
    check(&store);
}
