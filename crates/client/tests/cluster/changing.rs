//! Changes: appender files, metadata, removal, and what is repeated after a failure.

use fdfs_client::{ClientError, UploadKind, UploadSpec};
use fdfs_proto::Command;
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{FileKind, Metadata};

use crate::fake::{Cluster, Fault};

#[tokio::test]
async fn an_appender_file_grows_changes_shrinks_and_becomes_a_normal_one() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    let spec = UploadSpec::new("log".parse().unwrap()).of_kind(UploadKind::Appender);
    let file_id = client.upload(spec, b"hello").await.unwrap().file_id;
    assert_eq!(file_id.filename.kind(), Ok(FileKind::Appender));
    client.append(&file_id, b" world").await.unwrap();
    client.modify(&file_id, 0, b"J").await.unwrap();
    client.truncate(&file_id, 9).await.unwrap();
    assert_eq!(cluster.storages[0].content(&file_id).unwrap(), b"Jello wor");
    let large = vec![7; 700_000];
    client.append(&file_id, &large).await.unwrap();
    assert_eq!(client.stat(&file_id).await.unwrap().size, 700_009);

    let normal = client.regenerate(&file_id).await.unwrap();
    assert_eq!(normal.filename.kind(), Ok(FileKind::Normal));
    assert!(matches!(client.stat(&file_id).await, Err(ClientError::NotFound)));
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_not_made_again() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put_appender(&[0, 1], b"a");
    cluster.storages[0].set_fault(Fault::CloseAfter);
    let error = cluster.client().append(&file_id, b"b").await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    assert_eq!(cluster.storages[0].content(&file_id).unwrap(), b"ab");
    assert_eq!(cluster.storages[0].count(Command::APPEND_FILE), 1);
    assert_eq!(cluster.storages[1].count(Command::APPEND_FILE), 0);
}

#[tokio::test]
async fn a_modification_whose_answer_is_lost_is_made_again() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put_appender(&[0, 1], b"abc");
    cluster.storages[0].set_fault(Fault::CloseAfter);
    cluster.client().modify(&file_id, 1, b"X").await.unwrap();
    assert_eq!(cluster.storages[1].content(&file_id).unwrap(), b"aXc");
}

#[tokio::test]
async fn a_file_is_removed_once() {
    let cluster = Cluster::start(1);
    let file_id = cluster.put(&[0], b"abc");
    let client = cluster.client();
    client.delete(&file_id).await.unwrap();
    let error = client.delete(&file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_is_seen_to_be_done() {
    let cluster = Cluster::start(1);
    let file_id = cluster.put(&[0], b"abc");
    let storage = &cluster.storages[0];
    storage.set_fault(Fault::CloseAfter);
    let client = cluster.client();
    let removal = client.delete(&file_id);
    let heal = async {
        while storage.count(Command::DELETE_FILE) == 0 {
            tokio::task::yield_now().await;
        }
        storage.set_fault(Fault::None);
    };
    let (removed, ()) = tokio::join!(removal, heal);
    removed.expect("the second try finds nothing, for the first has done it");
    assert_eq!(storage.content(&file_id), None);
}

#[tokio::test]
async fn a_change_goes_to_another_member_when_the_source_is_away() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], b"abc");
    cluster.storages[0].stop().await;
    cluster.client().delete(&file_id).await.unwrap();
    assert_eq!(cluster.storages[1].content(&file_id), None);
}

#[tokio::test]
async fn metadata_is_replaced_and_merged() {
    let cluster = Cluster::start(1);
    let file_id = cluster.put(&[0], b"abc");
    let client = cluster.client();
    assert!(matches!(client.metadata(&file_id).await, Err(ClientError::NotFound)));
    let pairs = |bytes: &[u8]| Metadata::decode(bytes).unwrap();
    client.set_metadata(&file_id, MetadataMode::Overwrite, pairs(b"a\x021\x01b\x022")).await.unwrap();
    client.set_metadata(&file_id, MetadataMode::Merge, pairs(b"b\x023")).await.unwrap();
    assert_eq!(client.metadata(&file_id).await.unwrap(), pairs(b"a\x021\x01b\x023"));
}
