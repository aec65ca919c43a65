//! Tests of metadata and slaves that several members have a hand in: all end alike, whatever comes first.

use fdfs_types::Timestamp;

use super::{
    replicas::{TIME, feed, name_of},
    *,
};
use crate::{MetadataFlag, Replicated, StoredFile};

const T: i64 = TIME.0;

/// A member of a group, with a directory of its own.
struct Member {
    base: tempfile::TempDir,
    store: Store,
}

impl Member {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let store = Store::open(&options(base.path())).unwrap();
        Self { base, store }
    }

    /// Takes a file of a peer.
    fn create(&self, name: &RemoteFilename, time: i64, content: &[u8]) -> Replicated {
        feed(self.store.receive_create(name, content.len() as u64, Timestamp(time)), content).unwrap()
    }

    fn set_metadata(&self, name: &RemoteFilename, metadata: &[u8]) {
        let metadata = fdfs_types::Metadata::decode(metadata).unwrap();
        self.store.set_metadata(name, MetadataFlag::Overwrite, metadata).unwrap();
    }

    fn rename(&self, new: &RemoteFilename, old: &RemoteFilename) -> Replicated {
        self.store.replicate_rename(new, old, TIME).unwrap()
    }

    /// The lines of the binlog from line `first` on, with their times.
    fn lines(&self, first: usize) -> Vec<String> {
        let text = fs::read_to_string(self.base.path().join("data/sync/binlog.000")).unwrap();
        text.lines().skip(first).map(str::to_owned).collect()
    }

    fn has(&self, name: &RemoteFilename) -> bool {
        local(self.base.path(), name).exists()
    }
}

fn sidecar(name: &RemoteFilename) -> RemoteFilename {
    format!("{name}-m").parse().unwrap()
}

/// What `name` holds at a member that gets these contents, all of one second, in this order and in the other.
fn ends(name: &RemoteFilename, contents: [&[u8]; 2]) -> [Vec<u8>; 2] {
    [[0, 1], [1, 0]].map(|order| {
        let member = Member::new();
        for index in order {
            member.create(name, T, contents[index]);
        }
        fs::read(local(member.base.path(), name)).unwrap()
    })
}

#[test]
fn metadata_and_slaves_of_one_second_end_alike_whichever_comes_first() {
    let (normal, appender) = (name_of(b"content", "001.txt", false), name_of(b"", "001.log", true));
    let slave: RemoteFilename = normal.as_str().replace(".txt", "_small.txt").parse().unwrap();
    for name in [sidecar(&normal), sidecar(&appender), slave] {
        for contents in [[&b"a\x021"[..], &b"a\x022"[..]], [&b"a\x021"[..], &b"a\x0222"[..]]] {
            let [one, other] = ends(&name, contents);
            assert_eq!(one, other, "{name}");
        }
    }
}

#[test]
fn metadata_that_came_before_their_file_go_with_its_delete() {
    let member = Member::new();
    let name = name_of(b"content", "001.txt", false);
    assert_eq!(member.create(&sidecar(&name), T + 60, b"a\x021"), Replicated::Done);
    assert_eq!(member.store.replicate_delete(&name, TIME).unwrap(), Replicated::Lacks);
    assert!(!member.has(&sidecar(&name)));
    assert_eq!(member.lines(1), [format!("{T} d {name}-m")]);
    assert_eq!(member.create(&name, T, b"content"), Replicated::Has);
    assert_eq!(member.create(&sidecar(&name), T + 60, b"a\x021"), Replicated::Has);
    assert!(!member.has(&sidecar(&name)));
}

#[test]
fn a_slave_that_is_deleted_in_the_second_it_was_made_in_does_not_come_back() {
    let (source, peer) = (Member::new(), Member::new());
    let master = upload(&source.store, "jpg", b"master").filename;
    let StoredFile { filename, modified, .. } = slave(&source.store, &master, "_small", "jpg").unwrap();
    let deleted = Timestamp(source.store.delete(&filename).unwrap()[0].timestamp);
    assert!(deleted > modified);
    // The delete comes to the peer first, by way of another member.
    assert_eq!(peer.store.replicate_delete(&filename, deleted).unwrap(), Replicated::Lacks);
    assert_eq!(peer.create(&filename, modified.0, b"slave"), Replicated::Has);
    assert!(!peer.has(&filename));
    // One that is made anew is later than that.
    let anew = slave(&source.store, &master, "_small", "jpg").unwrap();
    assert!(anew.modified > deleted);
    assert_eq!(peer.create(&filename, anew.modified.0, b"slave"), Replicated::Done);
    assert_eq!(peer.store.replicate_delete(&filename, deleted).unwrap(), Replicated::Lacks);
    assert!(peer.has(&filename));
}

#[test]
fn a_rename_of_a_peer_takes_metadata_set_here_along_as_a_change_made_here() {
    let member = Member::new();
    let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
    member.create(&old, T, b"bytes");
    member.set_metadata(&old, b"a\x021");
    assert_eq!(member.rename(&new, &old), Replicated::Done);
    assert_eq!(member.store.metadata(&new).unwrap(), b"a\x021");
    assert!(!member.has(&sidecar(&old)));
    let lines: Vec<String> = log(&member.store).split_off(2);
    assert_eq!(lines, [format!("r {new} {old}"), format!("C {new}-m"), format!("D {old}-m")]);
}

#[test]
fn metadata_go_to_the_new_name_of_a_file_that_came_another_way_or_is_still_to_come() {
    for is_here in [true, false] {
        let member = Member::new();
        let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
        member.create(&sidecar(&old), T - 5, b"a\x021");
        if is_here {
            member.create(&new, T, b"bytes");
        }
        let lines = member.lines(0).len();
        member.rename(&new, &old);
        assert_eq!(member.lines(lines), [format!("{T} C {new}-m"), format!("{T} D {old}-m")]);
        assert!(member.has(&sidecar(&new)) && !member.has(&sidecar(&old)));
    }
}

#[test]
fn metadata_of_a_file_that_was_deleted_under_its_new_name_go_when_its_rename_comes() {
    for is_here in [true, false] {
        let member = Member::new();
        let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
        if is_here {
            member.create(&old, T, b"bytes");
        }
        member.create(&sidecar(&old), T, b"a\x021");
        assert_eq!(member.store.replicate_delete(&new, TIME).unwrap(), Replicated::Lacks);
        member.rename(&new, &old);
        for name in [&old, &new] {
            assert!(!member.has(name) && !member.has(&sidecar(name)));
        }
    }
}

#[test]
fn two_members_that_move_other_metadata_to_a_new_name_end_alike() {
    let members = [Member::new(), Member::new()];
    let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
    for (member, (time, content)) in members.iter().zip([(T - 3, b"a\x021"), (T - 1, b"a\x022")]) {
        member.create(&old, T - 5, b"bytes");
        member.create(&sidecar(&old), time, content);
        member.rename(&new, &old);
    }
    // Each sends what it had, at the time of its record, before that of the other has come.
    let sent = [0, 1].map(|index| {
        let member = &members[index];
        let line = member.lines(0).into_iter().find(|line| line.contains(" C ")).unwrap();
        let time = line.split(' ').next().unwrap().parse::<i64>().unwrap();
        (time, member.store.metadata(&new).unwrap())
    });
    for (member, (time, content)) in members.iter().zip(sent.iter().rev()) {
        member.create(&sidecar(&new), *time, content);
    }
    assert_eq!(members[0].store.metadata(&new).unwrap(), members[1].store.metadata(&new).unwrap());
}

#[test]
fn an_older_copy_of_an_appender_file_takes_no_change_back() {
    let member = Member::new();
    let name = name_of(b"", "001.log", true);
    member.create(&name, T, b"0123456789");
    let lines = member.lines(0).len();
    for (time, answer) in [(T - 1, Replicated::Has), (T, Replicated::Has), (T + 1, Replicated::Done)] {
        assert_eq!(member.create(&name, time, b"0123"), answer);
        let expected: &[u8] = if answer == Replicated::Has { b"0123456789" } else { b"0123" };
        assert_eq!(read(&member.store, &name).unwrap(), expected);
    }
    assert_eq!(member.lines(lines).len(), 3);
}
