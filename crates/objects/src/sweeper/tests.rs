//! Sessions that are gone, and those that live.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use fdfs_namespace::engine::{Engine, EngineError, Job, MemoryEngine, Read, Sharing, Watcher};
use fdfs_namespace::{Defaults, Namespace, NamespaceError};
use fdfs_types::FileId;

use super::Swept;
use crate::testing::MemoryFiles;
use crate::*;

/// A store that several gateways use.
struct Shared(MemoryEngine);

impl Engine for Shared {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.0.read(job)
    }

    fn submit(&self, job: Box<dyn Job>) {
        self.0.submit(job);
    }

    fn reads_inline(&self) -> bool {
        true
    }

    fn sharing(&self) -> Sharing {
        Sharing::Database
    }

    fn watch(&self, _: Weak<dyn Watcher>) {}
}

async fn gateway(engine: &Arc<dyn Engine>, files: &MemoryFiles) -> Arc<Objects> {
    let names = Namespace::open(Arc::clone(engine), Defaults::default()).unwrap();
    let settings = Settings {
        free_after: Duration::ZERO,
        fence_after: Duration::ZERO,
        min_part: 1,
        ..Settings::default()
    };
    let objects = Objects::new(names, Arc::new(files.clone()), settings);
    objects.refresh_groups().await.unwrap();
    objects
}

async fn put(objects: &Arc<Objects>, key: &str, content: &'static [u8]) -> Result<FileId, ObjectsError> {
    let mut writer = objects.writer("group1", key.as_bytes(), PutOptions::default()).await?;
    writer.write(Bytes::from_static(content)).await?;
    Ok(writer.commit(CommitOptions::default()).await?.file_id.unwrap())
}

/// An upload that ends, as its process does before the commit.
async fn leave(objects: &Arc<Objects>, files: &MemoryFiles) -> FileId {
    let new = NewUpload { owner: Some(objects.owner_token()), ..NewUpload::default() };
    let mut upload = files.upload(new).await.unwrap();
    upload.write(Bytes::from_static(b"left")).await.unwrap();
    upload.finish().await.unwrap()
}

#[tokio::test]
async fn what_a_dead_session_left_is_freed_and_nothing_else() {
    let files = MemoryFiles::default();
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let legacy = files.add(b"somebody else's", "jpg");
    let elsewhere = gateway(&(Arc::new(MemoryEngine::default()) as Arc<dyn Engine>), &files).await;
    let of_another_store = leave(&elsewhere, &files).await;

    let dead = gateway(&engine, &files).await;
    let mut named = Vec::new();
    for key in ["a", "b", "c"] {
        named.push(put(&dead, key, b"content").await.unwrap());
    }
    let left = [leave(&dead, &files).await, leave(&dead, &files).await, leave(&dead, &files).await];
    // The store is one gateway's alone: the next one knows that the one before is dead.
    let next = gateway(&engine, &files).await;
    let swept = next.sweep().await.unwrap();
    assert_eq!((swept.fenced, swept.freed, swept.forgotten), (1, 3, 6));
    assert_eq!(next.free_due().await.unwrap(), 3);
    assert!(left.iter().all(|file| files.content(file).is_none()));
    assert!(named.iter().chain([&legacy, &of_another_store]).all(|file| files.content(file).is_some()));

    // Nothing is left of it, and soon nothing is known of it.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(next.sweep().await.unwrap(), Swept { ended: 1, ..Swept::default() });
    assert_eq!(next.names.sessions().await.unwrap().len(), 1);
    assert_eq!(next.sweep().await.unwrap(), Swept::default());
}

#[tokio::test]
async fn a_storage_that_is_away_keeps_a_dead_session_from_being_forgotten() {
    let files = MemoryFiles::default();
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let dead = gateway(&engine, &files).await;
    let left = leave(&dead, &files).await;
    let next = gateway(&engine, &files).await;
    files.state(|state| state.away = true);
    assert!(next.sweep().await.is_err());
    files.state(|state| state.away = false);
    assert_eq!(next.sweep().await.unwrap().freed, 1);
    next.free_due().await.unwrap();
    assert!(files.content(&left).is_none());
}

#[tokio::test]
async fn a_fenced_session_commits_no_content_and_leaves_no_file() {
    let files = MemoryFiles::default();
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let slow = gateway(&engine, &files).await;
    put(&slow, "before", b"1").await.unwrap();
    let mut writer = slow.writer("group1", b"late", PutOptions::default()).await.unwrap();
    writer.write(Bytes::from_static(b"too late")).await.unwrap();

    let next = gateway(&engine, &files).await;
    next.sweep().await.unwrap();
    let refused = writer.commit(CommitOptions::default()).await.unwrap_err();
    assert!(matches!(&refused, ObjectsError::Unavailable(text) if text.contains("fenced")), "{refused}");
    assert!(matches!(next.head("group1", b"late").await, Err(ObjectsError::NotFound)));
    assert!(put(&slow, "later", b"2").await.is_err());
    // It learns of it, and the process ends itself.
    assert!(slow.renew_session().await.is_err());
    tokio::time::timeout(Duration::from_secs(30), slow.fenced()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while files.count() > 1 {
            next.sweep().await.unwrap();
            next.free_due().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the files of what was refused go");
    assert_eq!(next.open("group1", b"before").await.unwrap().read_bytes(0..9).await.unwrap(), "1");
}

#[tokio::test]
async fn a_live_session_keeps_its_files_and_its_tokens_are_forgotten() {
    let files = MemoryFiles::default();
    let engine: Arc<dyn Engine> = Arc::new(Shared(MemoryEngine::default()));
    let (one, other) = (gateway(&engine, &files).await, gateway(&engine, &files).await);
    put(&one, "a", b"content").await.unwrap();
    let under_way = leave(&one, &files).await;
    let swept = other.sweep().await.unwrap();
    assert_eq!(swept, Swept { forgotten: 1, ..Swept::default() });
    assert_eq!(one.sweep().await.unwrap(), Swept::default());
    assert!(files.content(&under_way).is_some());
    // One that ends in order is swept at once.
    one.names.end_session().await.unwrap();
    assert_eq!(other.sweep().await.unwrap().freed, 1);
    assert!(matches!(
        one.names.renew_session(fdfs_namespace::SessionReport::default()).await,
        Err(NamespaceError::Fenced)
    ));
}

#[tokio::test]
async fn a_file_that_another_gateway_reads_is_not_deleted() {
    let files = MemoryFiles::default();
    let engine: Arc<dyn Engine> = Arc::new(Shared(MemoryEngine::default()));
    let (reading, writing) = (gateway(&engine, &files).await, gateway(&engine, &files).await);
    let old = put(&writing, "key", b"old content").await.unwrap();
    let reader = reading.open("group1", b"key").await.unwrap();
    put(&writing, "key", b"new").await.unwrap();
    // It has not told yet that it reads, then it has.
    assert_eq!(writing.free_due().await.unwrap(), 0);
    reading.renew_session().await.unwrap();
    assert_eq!(writing.free_due().await.unwrap(), 0);
    assert_eq!(reader.read_bytes(0..99).await.unwrap(), "old content");
    drop(reader);
    tokio::time::timeout(Duration::from_secs(60), async {
        while files.content(&old).is_some() {
            reading.renew_session().await.unwrap();
            writing.free_due().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("it goes when nobody reads it any more");
}
