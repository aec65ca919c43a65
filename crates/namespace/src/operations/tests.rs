//! Backups, restores and copies, among all engines.

use std::sync::Arc;

use super::{Checker, OperationError, back_up, copy, restore};
use crate::engine::{Engine, MemoryEngine, contract};
use crate::tree::tests::put;
use crate::{Defaults, ListFrom, ListQuery, Namespace, NewBucket};

async fn keys_of(names: &Namespace) -> Vec<Vec<u8>> {
    let root = names.bucket("b").await.unwrap().root;
    let (mut keys, mut from) = (Vec::new(), ListFrom::Start);
    loop {
        let query = ListQuery { prefix: Vec::new(), delimiter: Vec::new(), from, limit: 1_000 };
        let page = names.list(root, query).await.unwrap();
        for item in &page.items {
            if let crate::ListItem::Key { key, .. } = item {
                keys.push(key.clone());
            }
        }
        match page.next {
            Some(next) => from = ListFrom::Resume(next),
            None => return keys,
        }
    }
}

async fn filled() -> (Arc<dyn Engine>, Namespace) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let names = Namespace::open(Arc::clone(&engine), Defaults::default()).unwrap();
    let root = names.create_bucket("b", NewBucket::default()).await.unwrap().root;
    for number in 0..600 {
        put(&names, root, &format!("{}/{number}", number % 7), number).await;
    }
    (engine, names)
}

/// It has the same names, is sound, is a store of its own, and can be written to.
async fn is_good(engine: Arc<dyn Engine>, source: &Namespace) {
    let names = tokio::task::spawn_blocking(move || Namespace::open(engine, Defaults::default()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(keys_of(&names).await, keys_of(source).await);
    let mut findings = Vec::new();
    let checker = Checker::new(names.clone(), false);
    checker.run(&mut |_, _| {}, &mut |finding| findings.push(finding)).await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    assert_ne!(names.owner(), source.owner());
    let root = names.bucket("b").await.unwrap().root;
    let taken: Vec<u64> = source.users_of(&crate::tree::tests::file_id(5), 9).await.unwrap();
    let new = put(&names, root, "new", 9_999).await.inode;
    assert!(new > taken[0] + (1 << 31), "numbers of before are not given out again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_copied_to_every_engine_and_back() {
    let (engine, source) = filled().await;
    let (_grounds, engines) = tokio::task::spawn_blocking(contract::engines).await.unwrap();
    for (name, target) in engines {
        eprintln!("engine: {name}");
        let (from, to) = (Arc::clone(&engine), Arc::clone(&target));
        let copied = tokio::task::spawn_blocking(move || copy(from.as_ref(), to.as_ref(), &mut |_| {}));
        assert!(copied.await.unwrap().unwrap() > 1_000);
        // Back through a file, from a store that is in use.
        let (from, again) = (Arc::clone(&target), Arc::new(MemoryEngine::default()) as Arc<dyn Engine>);
        let to = Arc::clone(&again);
        let rows = tokio::task::spawn_blocking(move || {
            let mut file = Vec::new();
            let (mut told, mut restored) = (0, 0);
            let rows = back_up(from.as_ref(), &mut file, &mut |rows| told = rows).unwrap();
            assert_eq!(
                restore(&mut file.as_slice(), to.as_ref(), &mut |rows| restored = rows).unwrap(),
                rows
            );
            assert_eq!((told, restored), (rows, rows));
            rows
        });
        assert!(rows.await.unwrap() > 1_000);
        is_good(again, &source).await;
        is_good(target, &source).await;
    }
}

#[tokio::test]
async fn a_backup_cut_or_changed_anywhere_makes_no_store() {
    let (engine, _) = filled().await;
    let mut file = Vec::new();
    back_up(engine.as_ref(), &mut file, &mut |_| {}).unwrap();
    let refused = |file: &[u8]| {
        let target: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let error = restore(&mut &*file, target.as_ref(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, OperationError::Damaged(_) | OperationError::Row(_)), "{error}");
        // What was written is no store, unless nothing was.
        let has_rows = restore(&mut &*file, target.as_ref(), &mut |_| {})
            .is_err_and(|error| matches!(error, OperationError::NotEmpty));
        if has_rows {
            assert!(Namespace::open(target, Defaults::default()).is_err());
        }
    };
    for at in (0..file.len()).step_by(file.len() / 40) {
        refused(&file[..at]);
        let mut changed = file.clone();
        changed[at] ^= 1;
        refused(&changed);
    }
    refused(&file[..file.len() - 1]);
}

#[tokio::test]
async fn nothing_is_written_over_a_store_that_is_there() {
    let (engine, _) = filled().await;
    let (other, _) = filled().await;
    let error = copy(engine.as_ref(), other.as_ref(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, OperationError::NotEmpty), "{error}");
    let empty: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let error = back_up(empty.as_ref(), &mut Vec::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, OperationError::NoStore), "{error}");
}
