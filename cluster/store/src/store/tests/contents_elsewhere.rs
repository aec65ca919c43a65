//! Tests of uploads whose content another member keeps: two stores, and what is said between them.

use std::net::Ipv4Addr;

use fdfs_types::{Source, Timestamp};

use super::{
    contents::{check, contents, names, once},
    replicas::{TIME, feed},
    *,
};
use crate::{Change, Elsewhere, Policy, Record, Replicated};

/// Two members of one group.
struct Pair {
    bases: [tempfile::TempDir; 2],
    stores: [Store; 2],
}

impl Pair {
    fn new() -> Self {
        let bases = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let stores = [0, 1].map(|number| Store::open(&member(bases[number].path(), number)).unwrap());
        Self { bases, stores }
    }

    fn base(&self, number: usize) -> &Path {
        self.bases[number].path()
    }

    /// Sends what a store has recorded as its own from a line of its binlog on.
    fn replicate(&self, from: usize, after: usize) {
        let [sender, receiver] = [&self.stores[from], &self.stores[1 - from]];
        let text = fs::read_to_string(self.base(from).join("data/sync/binlog.000")).unwrap();
        for line in text.lines().skip(after) {
            let Record { timestamp, change, origin } = Record::parse(line.as_bytes()).unwrap();
            if origin != crate::Origin::Source {
                continue;
            }
            let (name, time) = (change.name().parse().unwrap(), Timestamp(timestamp));
            match &change {
                Change::Create { .. } => {
                    let Ok(content) = read(sender, &name) else { continue };
                    feed(receiver.receive_create(&name, content.len() as u64, time), &content).unwrap();
                }
                Change::Link { source: Some(source), .. } => {
                    receiver.replicate_link(&name, &source.parse().unwrap(), time).unwrap();
                }
                Change::Delete { .. } => drop(receiver.replicate_delete(&name, time).unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Brings everything everywhere.
    fn settle(&self) {
        for _ in 0..2 {
            self.replicate(0, 0);
            self.replicate(1, 0);
        }
        for number in 0..2 {
            check(&self.stores[number]);
        }
        assert_eq!(names(self.base(0)), names(self.base(1)));
    }

    fn reopen(&mut self, number: usize, is_rebuilt: bool) {
        let base = self.base(number).to_owned();
        let other = Store::open(&member(tempfile::tempdir().unwrap().path(), 9)).unwrap();
        drop(std::mem::replace(&mut self.stores[number], other));
        if is_rebuilt {
            fs::remove_dir_all(base.join("data/rs/contents")).unwrap();
        }
        self.stores[number] = Store::open(&member(&base, number)).unwrap();
        assert_eq!(self.stores[number].report().contents_rebuilt, is_rebuilt);
    }
}

fn source(number: usize) -> Source {
    Source::Ip(Ipv4Addr::new(127, 0, 0, 1 + number as u8))
}

fn member(base: &Path, number: usize) -> StoreOptions {
    let once = once(base);
    StoreOptions { policy: Policy { source: source(number), ..once.policy }, ..once }
}

fn begin(store: &Store, bytes: &[u8]) -> crate::Upload {
    let mut upload = store.create(&new_file("txt")).unwrap();
    upload.write(bytes).unwrap();
    upload
}

fn sought(upload: &mut crate::Upload) -> Option<Elsewhere> {
    upload.equal_elsewhere(|_| true)
}

#[test]
fn an_upload_equal_to_a_content_of_a_peer_becomes_a_link_that_the_peer_has_made() {
    let pair = Pair::new();
    let [a, b] = &pair.stores;
    let first = upload(a, "txt", b"equal").filename;
    assert_eq!(sought(&mut begin(b, b"equal")), None);
    pair.settle();
    let mut second = begin(b, b"equal");
    let found = sought(&mut second).unwrap();
    assert_eq!(found.content, contents(pair.base(0))[0]);
    a.link_for_member(&found.name, &found.content).unwrap();
    // An answer that was lost is asked for again.
    a.link_for_member(&found.name, &found.content).unwrap();
    let stored = second.finish_elsewhere(&found).unwrap();
    assert_eq!((&stored.filename, stored.size, stored.content), (&found.name, 5, Some(found.content)));
    assert_eq!(stored.filename.fields().unwrap().source, source(1));
    for store in [a, b] {
        assert_eq!(read(store, &stored.filename).unwrap(), b"equal");
    }
    pair.settle();
    // The first is the last but one, wherever it goes; the content goes with the last.
    b.delete(&first).unwrap();
    pair.settle();
    assert_eq!(read(a, &stored.filename).unwrap(), b"equal");
    b.delete(&stored.filename).unwrap();
    pair.settle();
    assert!(names(pair.base(0)).is_empty());
}

#[test]
fn no_link_is_made_to_a_content_that_has_gone_or_is_of_another_member() {
    let pair = Pair::new();
    let [a, b] = &pair.stores;
    let first = upload(a, "txt", b"equal").filename;
    pair.settle();
    let mut second = begin(b, b"equal");
    let found = sought(&mut second).unwrap();
    // Its last link goes before the question comes.
    a.delete(&first).unwrap();
    assert_eq!(errno(a.link_for_member(&found.name, &found.content)), 2);
    second.not_elsewhere(&found);
    let stored = second.finish().unwrap().filename;
    pair.settle();
    assert_eq!(read(a, &stored).unwrap(), b"equal");
    // Another member's, another content's, and what is none.
    let theirs = contents(pair.base(0))[0].clone();
    let fits = theirs.with_base_name(stored.base_name()).unwrap();
    assert_eq!(errno(a.link_for_member(&fits, &theirs)), 2);
    let other = content_of_new(a, pair.base(0), b"other");
    assert_eq!(errno(a.link_for_member(&stored, &other)), 22);
    assert_eq!(errno(a.link_for_member(&stored, &stored)), 22);
    check(a);
}

fn content_of_new(store: &Store, base: &Path, bytes: &[u8]) -> RemoteFilename {
    let before = contents(base);
    upload(store, "txt", bytes);
    contents(base).into_iter().find(|content| !before.contains(content)).unwrap()
}

#[test]
fn a_link_that_nobody_was_told_of_is_taken_back_wherever_it_was_made() {
    for is_late in [false, true] {
        let pair = Pair::new();
        let [a, b] = &pair.stores;
        let first = upload(a, "txt", b"equal").filename;
        pair.settle();
        let mut second = begin(b, b"equal");
        let found = sought(&mut second).unwrap();
        if !is_late {
            a.link_for_member(&found.name, &found.content).unwrap();
        }
        second.not_elsewhere(&found);
        b.unlink_elsewhere(&found).unwrap();
        let stored = second.finish().unwrap().filename;
        pair.settle();
        // The question comes through after the link was taken back.
        assert_eq!(errno(a.link_for_member(&found.name, &found.content)), 2);
        pair.settle();
        for store in [a, b] {
            assert_eq!(errno(read(store, &found.name)), 2);
            assert_eq!(read(store, &stored).unwrap(), b"equal");
        }
        assert_eq!(contents(pair.base(0)).len(), 2);
        b.delete(&first).unwrap();
        b.delete(&stored).unwrap();
        pair.settle();
        assert!(names(pair.base(0)).is_empty());
    }
}

#[test]
fn a_content_of_a_peer_that_is_damaged_here_is_not_linked_to() {
    let pair = Pair::new();
    let [a, b] = &pair.stores;
    upload(a, "txt", b"equal");
    pair.settle();
    let content = contents(pair.base(1)).remove(0);
    fs::write(local(pair.base(1), &content), b"eqUal").unwrap();
    assert_eq!(sought(&mut begin(b, b"equal")), None);
    fs::remove_file(local(pair.base(1), &content)).unwrap();
    assert_eq!(sought(&mut begin(b, b"equal")), None);
    // And one that is damaged there takes none.
    let name = begin(a, b"equal").finish().unwrap().filename;
    let fits = content.with_base_name(name.base_name()).unwrap();
    fs::write(local(pair.base(0), &content), b"cut").unwrap();
    a.delete(&name).unwrap();
    assert_eq!(errno(a.link_for_member(&fits, &content)), 2);
}

#[test]
fn contents_of_a_peer_are_found_by_a_rebuilt_index_and_after_a_restart() {
    for is_rebuilt in [false, true] {
        let mut pair = Pair::new();
        let first = upload(&pair.stores[0], "txt", b"equal").filename;
        pair.settle();
        pair.reopen(1, is_rebuilt);
        pair.reopen(0, is_rebuilt);
        let [a, b] = &pair.stores;
        let mut second = begin(b, b"equal");
        let found = sought(&mut second).unwrap();
        a.link_for_member(&found.name, &found.content).unwrap();
        second.finish_elsewhere(&found).unwrap();
        // The rebuilt index counts the link that was made for the other.
        pair.settle();
        pair.reopen(0, is_rebuilt);
        let [a, b] = &pair.stores;
        a.delete(&first).unwrap();
        assert_eq!(read(a, &found.name).unwrap(), b"equal");
        b.delete(&found.name).unwrap();
        pair.settle();
        assert!(names(pair.base(0)).is_empty());
    }
}

#[test]
fn a_rebuilt_index_knows_which_contents_go_with_their_last_link() {
    let mut pair = Pair::new();
    let [a, b] = &pair.stores;
    let first = upload(a, "txt", b"equal").filename;
    pair.settle();
    let content = contents(pair.base(0)).remove(0);
    let end = fs::read_to_string(pair.base(0).join("data/sync/binlog.000")).unwrap().lines().count();
    // The delete of the link is still on its way when that of the content has come.
    assert_eq!(b.replicate_delete(&content, TIME).unwrap(), Replicated::Done);
    assert_eq!(sought(&mut begin(b, b"equal")), None);
    pair.reopen(1, true);
    let [a, b] = &pair.stores;
    assert_eq!(sought(&mut begin(b, b"equal")), None);
    a.delete(&first).unwrap();
    pair.replicate(0, end);
    assert!(names(pair.base(1)).is_empty());
    check(b);
}

#[test]
fn contents_of_a_member_that_has_left_go_with_their_last_links_here() {
    for is_rebuilt in [false, true] {
        let mut pair = Pair::new();
        let links = [&b"one"[..], b"one", b"two"].map(|bytes| upload(&pair.stores[0], "txt", bytes).filename);
        pair.settle();
        let [a, b] = &pair.stores;
        // The deletes of its last link and of the content have not come yet.
        b.delete(&links[2]).unwrap();
        assert_eq!(contents(pair.base(1)).len(), 2);
        assert_eq!(b.release_contents(|_| false).unwrap(), 0);
        assert_eq!(b.release_contents(|maker| maker == source(0)).unwrap(), 2);
        assert_eq!(contents(pair.base(1)).len(), 1);
        // Nothing of its own, and nothing twice.
        assert_eq!(a.release_contents(|_| true).unwrap(), 0);
        assert_eq!(sought(&mut begin(b, b"one")), None);
        pair.reopen(1, is_rebuilt);
        let b = &pair.stores[1];
        b.delete(&links[0]).unwrap();
        assert_eq!(read(b, &links[1]).unwrap(), b"one");
        b.delete(&links[1]).unwrap();
        assert!(names(pair.base(1)).is_empty());
        check(b);
        // Nobody else is told to delete them.
        assert!(!log(b).iter().any(|line| line.starts_with("D ") && line.ends_with("content")));
    }
}
