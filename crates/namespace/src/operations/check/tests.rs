//! Damage made by hand: it is told, repaired, and what names stood for is as before.

use std::sync::{Arc, mpsc};

use super::{Checker, Finding};
use crate::engine::{Engine, EngineError, Job, MemoryEngine, Txn};
use crate::rows::{self, EntryRow, InodeRow};
use crate::tree::tests::{content, file_id, put};
use crate::{Defaults, Extent, Namespace, NewBucket, NewInode, keys};

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
    store.names.put(store.root, b"new", content(9), crate::Preconditions::default()).await.unwrap();
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
