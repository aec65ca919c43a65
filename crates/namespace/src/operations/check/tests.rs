//! Damage made by hand: it is told, repaired, and what names stood for is as before.

use std::sync::{Arc, mpsc};

use fdfs_types::FileId;

use super::{Checker, Finding};
use crate::engine::{Engine, EngineError, Job, MemoryEngine, Txn};
use crate::rows::{self, EntryRow, InodeRow};
use crate::tree::tests::{content, file_id, put};
use crate::{
    CompletePart, Completion, Defaults, ETag, Extent, Namespace, NamespaceError, NewBucket, NewInode,
    NewUpload, Part, Preconditions, UploadId, keys,
};

type Change = Box<dyn FnOnce(&mut Txn<'_>) + Send>;

struct Edit(Option<Change>, mpsc::Sender<Result<(), EngineError>>);

impl Job for Edit {
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        self.0.take().into_iter().for_each(|edit| edit(txn));
        true
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        self.1.send(outcome).expect("the test waits");
    }
}

/// A small tree, and its rows to be damaged.
struct Store {
    engine: Arc<dyn Engine>,
    names: Namespace,
    root: u64,
}

impl Store {
    async fn new() -> Self {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let names = Namespace::open(Arc::clone(&engine), Defaults::default()).unwrap();
        let root = names.create_bucket("b", NewBucket::default()).await.unwrap().root;
        for (number, key) in (1..).zip(["a", "dir/b", "dir/sub/c", "linked", "z"]) {
            put(&names, root, key, number).await;
        }
        let linked = names.lookup(root, b"linked").await.unwrap().inode;
        let directory = names.lookup(root, b"dir").await.unwrap().inode;
        names.link(linked, directory, b"second").await.unwrap();
        Self { engine, names, root }
    }

    fn edit(&self, edit: impl FnOnce(&mut Txn<'_>) + Send + 'static) {
        let (outcome, waiting) = mpsc::channel();
        self.engine.submit(Box::new(Edit(Some(Box::new(edit)), outcome)));
        waiting.recv().unwrap().unwrap();
    }

    /// Changes a row; its sum is right.
    fn change<M: prost::Message + Default>(
        &self,
        key: Vec<u8>,
        change: impl FnOnce(&mut M) + Send + 'static,
    ) {
        self.edit(move |txn| {
            let mut row: M = rows::load(txn, &key).unwrap().unwrap();
            change(&mut row);
            let value = rows::seal(&key, &row);
            txn.put(key, value);
        });
    }

    fn remove(&self, key: Vec<u8>) {
        self.edit(move |txn| txn.delete(&key));
    }

    fn spoil(&self, key: Vec<u8>) {
        self.edit(move |txn| txn.put(key, b"spoilt".to_vec()));
    }

    async fn inode(&self, key: &str) -> InodeRow {
        let number = self.number(key).await;
        self.names.read(move |read| crate::tree::inode(read, number)).await.unwrap()
    }

    async fn number(&self, key: &str) -> u64 {
        self.names.get(self.root, key.as_bytes()).await.unwrap().attributes.inode
    }

    async fn check(&self, repair: bool) -> Vec<Finding> {
        let (mut findings, mut rows) = (Vec::new(), 0);
        let checker = Checker::new(self.names.clone(), repair);
        checker.run(&mut |_, count| rows += count, &mut |finding| findings.push(finding)).await.unwrap();
        assert!(rows > 20, "{rows}");
        findings
    }

    /// The damage is told once without being touched, then repaired, and nothing is left.
    async fn heals(&self, about: &str) {
        let told = self.check(false).await;
        assert!(!told.is_empty() && told.iter().all(|finding| !finding.repaired), "{told:#?}");
        let text = format!("{told:?}");
        assert!(text.contains(about), "{about}: {text}");
        assert_eq!(self.check(false).await, told, "a check changes nothing");
        let repaired = self.check(true).await;
        assert!(repaired.iter().any(|finding| finding.repaired), "{repaired:#?}");
        assert_eq!(self.check(false).await, [], "after {repaired:#?}");
    }

    async fn reads(&self, key: &str, number: u32) {
        let record = self.names.get(self.root, key.as_bytes()).await.unwrap();
        assert_eq!(record.extents, [Extent::whole(file_id(number), 5)], "{key}");
    }
}

#[tokio::test]
async fn a_sound_store_has_no_findings() {
    assert_eq!(Store::new().await.check(true).await, []);
}

#[tokio::test]
async fn an_entry_that_is_lost_damaged_or_wrong_is_written_anew() {
    for damage in 0..3 {
        let store = Store::new().await;
        let key = keys::entry(store.root, b"a");
        match damage {
            0 => store.remove(key),
            1 => store.spoil(key),
            _ => store.change(key, |row: &mut EntryRow| row.size = 99),
        }
        store.heals(if damage == 2 { "differs" } else { "no name" }).await;
        store.reads("a", 1).await;
    }
}

#[tokio::test]
async fn names_and_back_pointers_are_brought_together() {
    let store = Store::new().await;
    let linked = store.number("linked").await;
    let directory = store.names.lookup(store.root, b"dir").await.unwrap().inode;
    store.remove(keys::link(linked, directory, b"second"));
    store.heals("does not know this name").await;
    store.change(keys::inode(linked), |row: &mut InodeRow| row.links = 7);
    store.heals("7 names").await;
    store.remove(keys::entry(directory, b"second"));
    store.heals("not its own").await;
    // Its own name now belongs to somebody else: it is found again in the bucket.
    let a = store.number("a").await;
    store.change(keys::entry(store.root, b"z"), move |row: &mut EntryRow| row.inode = a);
    let z = store.check(false).await;
    assert!(format!("{z:?}").contains("no name"), "{z:?}");
    store.heals("no name").await;
    let (listed, _) = store.names.read_directory(store.root, None, 100).await.unwrap();
    assert!(listed.iter().any(|entry| entry.name.starts_with(b"lost+found-")), "{listed:?}");
    store.reads("a", 1).await;
}

#[tokio::test]
async fn entries_of_inodes_and_directories_that_are_gone() {
    let store = Store::new().await;
    let a = store.number("a").await;
    store.remove(keys::inode(a));
    // The name goes; the file that only the lost inode used is kept and told.
    store.check(true).await;
    let left = store.check(false).await;
    assert!(
        left.len() == 1 && left[0].what.contains("its content is kept") && !left[0].repairable,
        "{left:#?}"
    );
    assert_eq!(left[0].place, file_id(1).to_string());
    store.remove(keys::reverse(&file_id(1).to_string(), a));

    let directory = store.names.lookup(store.root, b"dir").await.unwrap().inode;
    store.remove(keys::inode(directory));
    store.remove(keys::entry(store.root, b"dir/"));
    store.check(true).await;
    store.check(true).await;
    assert_eq!(store.check(false).await, []);
    let (listed, _) = store.names.read_directory(store.root, None, 100).await.unwrap();
    let found = listed.iter().find(|entry| entry.name.starts_with(b"lost+found-")).unwrap();
    let key = format!("{}/sub/c", String::from_utf8(found.name.clone()).unwrap().trim_end_matches('/'));
    store.reads(&key, 3).await;
}

#[tokio::test]
async fn counts_and_uses_are_corrected() {
    let store = Store::new().await;
    store.spoil(keys::delta(store.root, 0));
    store.heals("cannot be read").await;
    let a = store.number("a").await;
    let file = file_id(1).to_string();
    store.remove(keys::reverse(&file, a));
    store.heals("does not know that it is used").await;
    store.spoil(keys::reverse(&file, a));
    store.heals("cannot be read").await;
    // A file that is said to be used by an inode that has other content may go, as a row of ours names it.
    let wrong = file_id(77).to_string();
    let key = keys::reverse(&wrong, a);
    store.edit(move |txn| {
        let value = rows::seal(&key, &rows::ReverseRow { uses: 1, foreign: false });
        txn.put(key, value);
    });
    store.heals("said to be used").await;
    let freed = store.names.freed(u64::MAX, 10).await.unwrap();
    assert_eq!(freed.into_iter().map(|freed| freed.file).collect::<Vec<_>>(), [file_id(77)]);
    store.edit(move |txn| {
        let key = keys::extents(a, 9);
        let value = rows::seal(&key, &rows::ExtentsRow::default());
        txn.put(key, value);
    });
    store.heals("belongs to nothing").await;
}

/// An upload with two parts, of the files 41 and 42.
async fn upload(store: &Store) -> UploadId {
    let id = store.names.create_upload(store.root, b"dir/large", NewUpload::default()).await.unwrap();
    for number in [1, 2] {
        send(store, id, number, 40 + u32::from(number)).await;
    }
    id
}

async fn send(store: &Store, id: UploadId, number: u16, file: u32) {
    let part = Part {
        number,
        size: 5,
        md5: [number as u8; 16],
        extents: vec![Extent::whole(file_id(file), 5)],
        checksums: Vec::new(),
        time: 0,
    };
    store.names.put_part(store.root, b"dir/large", id, part).await.unwrap();
}

async fn freed(store: &Store) -> Vec<FileId> {
    store.names.freed(u64::MAX, 10).await.unwrap().into_iter().map(|freed| freed.file).collect()
}

#[tokio::test]
async fn parts_without_an_upload_and_uploads_without_a_bucket_go_with_their_files() {
    let store = Store::new().await;
    let (lost, other) = (upload(&store).await, UploadId([9; 16]));
    assert_eq!(store.check(true).await, [], "an upload under way");
    store.remove(keys::upload(store.root, b"dir/large", &lost.0));
    store.heals("has parts and is gone").await;
    assert_eq!(freed(&store).await, [file_id(41), file_id(42)]);

    let key = keys::upload(4_000_000, b"key", &other.0);
    store.edit(move |txn| {
        let value = rows::seal(&key, &rows::UploadRow::default());
        txn.put(key, value);
    });
    store.heals("the bucket of this upload is gone").await;
    // One that cannot be read could be neither completed nor ended.
    let id = upload(&store).await;
    store.spoil(keys::upload(store.root, b"dir/large", &id.0));
    store.heals("has to begin anew").await;
    assert!(store.names.uploads(store.root, b"", None, 10).await.unwrap().is_empty());
    store.reads("dir/b", 2).await;
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_asked_for_again() {
    let store = Store::new().await;
    let id = upload(&store).await;
    store.spoil(keys::part(&id.0, 2));
    let told = store.check(false).await;
    assert_eq!(told.len(), 1, "its file is not said to be free while it may be the one: {told:#?}");
    assert_eq!(told[0].place, format!("b/dir/large, upload {id}, part 2"));
    store.heals("send it again").await;
    assert_eq!(freed(&store).await, [file_id(42)]);
    let parts = vec![CompletePart { number: 1, md5: None }, CompletePart { number: 2, md5: None }];
    let completion = |parts| Completion {
        parts,
        etag: ETag { digest: [1; 16], parts: Some(2) },
        checksum: None,
        min_part: 0,
        preconditions: Preconditions::default(),
    };
    let refused = store.names.complete_upload(store.root, b"dir/large", id, completion(parts.clone())).await;
    assert!(matches!(refused, Err(NamespaceError::InvalidPart(2))), "{refused:?}");
    send(&store, id, 2, 43).await;
    // A part that is longer than its row says.
    store.change(keys::part(&id.0, 2), |row: &mut rows::PartRow| row.size = 4);
    store.heals("not what its row says").await;
    send(&store, id, 2, 44).await;
    store.names.complete_upload(store.root, b"dir/large", id, completion(parts)).await.unwrap();
    assert_eq!(store.check(true).await, []);
}

#[tokio::test]
async fn uses_by_waiting_parts_are_corrected() {
    let store = Store::new().await;
    let id = upload(&store).await;
    let reverse = |file| keys::reverse(&file_id(file).to_string(), 0);
    store.remove(reverse(41));
    store.heals("says that 0 waiting parts use it, which are 1").await;
    store.spoil(reverse(41));
    store.heals("cannot be read").await;
    store.change(reverse(42), |row: &mut rows::ReverseRow| row.uses = 3);
    store.heals("says that 3 waiting parts use it, which are 1").await;
    assert_eq!(freed(&store).await, []);
    // No part has it, and a row of ours named it.
    let key = reverse(77);
    store.edit(move |txn| {
        let value = rows::seal(&key, &rows::ReverseRow { uses: 1, foreign: false });
        txn.put(key, value);
    });
    store.heals("says that 1 waiting parts use it, which are 0").await;
    assert_eq!(freed(&store).await, [file_id(77)]);
    // A file that is of others is nobody's to free.
    let key = reverse(78);
    store.edit(move |txn| {
        let value = rows::seal(&key, &rows::ReverseRow { uses: 1, foreign: true });
        txn.put(key, value);
    });
    store.heals("which are 0").await;
    assert_eq!(freed(&store).await, [file_id(77)]);
    // Lost at its storage, a part is forgotten and sent again.
    let checker = Checker::new(store.names.clone(), true);
    assert_eq!(checker.parts_of(&file_id(41)).await.unwrap(), [format!("b/dir/large, upload {id}, part 1")]);
    assert_eq!(checker.forget_parts_of(&file_id(41)).await.unwrap(), 1);
    assert_eq!(store.names.parts(store.root, b"dir/large", id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.check(true).await, []);
}

#[tokio::test]
async fn what_cannot_be_repaired_is_told_and_left() {
    let store = Store::new().await;
    let a = store.number("a").await;
    store.spoil(keys::inode(a));
    let told = store.check(true).await;
    assert!(told.iter().all(|finding| !finding.repaired), "{told:#?}");
    assert_eq!(store.check(false).await, told);
    assert!(told.iter().any(|finding| finding.what.contains("sum is wrong")), "{told:#?}");
    // What stands around it is untouched.
    store.reads("dir/sub/c", 3).await;
    let row = store.inode("z").await;
    assert_eq!(row.links, 1);
    store.names.put(store.root, b"new", content(9), Preconditions::default()).await.unwrap();
    store.names.make(store.root, b"file", NewInode::default()).await.unwrap();
    assert_eq!(store.check(false).await, told);
}

#[tokio::test]
async fn files_in_use_are_listed_once_each() {
    let store = Store::new().await;
    let checker = Checker::new(store.names.clone(), false);
    let files = checker.files(None).await.unwrap();
    assert_eq!(files.len(), 5);
    assert_eq!(checker.files(Some(&files[3].file)).await.unwrap(), files[4..]);
    assert_eq!(checker.place(store.number("dir/sub/c").await).await.unwrap(), "b/dir/sub/c");
}
