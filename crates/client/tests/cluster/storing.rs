//! Uploads: known and unknown lengths, ours and original storages, and what happens when they fail.

use std::io::Write;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fdfs_client::{ByteRange, Client, ClientError, UploadKind, UploadSpec, Uploaded};
use fdfs_proto::{Command, Status};
use fdfs_types::Extension;

use crate::fake::{Cluster, Fault, group, owner};

const MIB: usize = 1 << 20;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 13 + index / 255) as u8).collect()
}

fn spec() -> UploadSpec {
    UploadSpec::new("dat".parse().unwrap())
}

async fn stream(client: &Client, spec: UploadSpec, content: &[u8]) -> Result<Uploaded, ClientError> {
    let chunks: Vec<_> = content.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    client.upload_stream(spec, futures_util::stream::iter(chunks)).await
}

/// Where the file lies, with what content.
fn stored(cluster: &Cluster, uploaded: &Uploaded) -> Vec<u8> {
    let storage = cluster.storages.iter().find(|storage| storage.address == uploaded.storage).unwrap();
    storage.content(&uploaded.file_id).expect("the storage that answered has the file")
}

#[tokio::test]
async fn content_in_memory_is_stored() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    for length in [0, 1, 5 * MIB] {
        let uploaded = client.upload(spec(), &content(length)).await.unwrap();
        assert_eq!(stored(&cluster, &uploaded), content(length));
        assert_eq!(uploaded.file_id.filename.fields().unwrap().size.size(), Some(length as u64));
    }
    assert_eq!(cluster.storages[0].count(Command::HELLO), 0, "nobody is asked what is not needed");
}

#[tokio::test]
async fn a_local_file_is_stored() {
    let cluster = Cluster::start(1);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content(MIB)).unwrap();
    let uploaded = cluster.client().upload_file(spec(), file, MIB as u64).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(MIB));
}

#[tokio::test]
async fn a_stream_of_known_length_needs_no_frames() {
    let cluster = Cluster::start(1);
    let uploaded =
        stream(&cluster.client(), spec().of_size(3 * MIB as u64), &content(3 * MIB)).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(3 * MIB));
    assert_eq!(cluster.storages[0].count(Command::UPLOAD_FILE), 1);
}

#[tokio::test]
async fn a_stream_of_unknown_length_goes_in_frames_to_ours() {
    let cluster = Cluster::start(1);
    let uploaded = stream(&cluster.client(), spec(), &content(3 * MIB + 5)).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(3 * MIB + 5));
    assert_eq!(cluster.storages[0].count(Command::UPLOAD_FRAMED), 1);
    assert_eq!(cluster.storages[0].count(Command::UPLOAD_FILE), 0);
}

#[tokio::test]
async fn a_stream_of_unknown_length_waits_on_disk_for_an_original_storage() {
    let mut cluster = Cluster::start(1);
    cluster.storages[0].is_ours.store(false, Ordering::Relaxed);
    cluster.options.spool_limit = 3 * MIB as u64;
    let uploaded = stream(&cluster.client(), spec(), &content(3 * MIB)).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(3 * MIB));
    let error = stream(&cluster.client(), spec(), &content(3 * MIB + 1)).await.unwrap_err();
    assert!(matches!(error, ClientError::SpoolFull { .. }), "{error:?}");
    assert_eq!(cluster.storages[0].count(Command::UPLOAD_FILE), 1);
}

#[tokio::test]
async fn a_short_stream_of_unknown_length_is_an_ordinary_upload() {
    let cluster = Cluster::start(1);
    let uploaded = stream(&cluster.client(), spec(), &content(1000)).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(1000));
    assert_eq!(*cluster.storages[0].seen.lock(), [Command::UPLOAD_FILE]);
}

#[tokio::test]
async fn an_owners_token_is_kept_by_ours_and_left_out_for_originals() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    for length in [10, 2 * MIB] {
        let uploaded = stream(&client, spec().for_owner(owner()), &content(length)).await.unwrap();
        assert!(uploaded.has_owner);
        assert_eq!(stored(&cluster, &uploaded), content(length));
        assert_eq!(cluster.storages[0].owners.lock().get(&uploaded.file_id.filename), Some(&owner()));
    }
    cluster.storages[0].is_ours.store(false, Ordering::Relaxed);
    let uploaded = cluster.client().upload(spec().for_owner(owner()), b"abc").await.unwrap();
    assert!(!uploaded.has_owner);
}

#[tokio::test]
async fn another_storage_takes_the_file_when_one_is_away() {
    let cluster = Cluster::start(3);
    cluster.storages[0].stop().await;
    cluster.storages[1].set_fault(Fault::CloseBefore);
    let client = cluster.client();
    for length in [10, MIB] {
        let uploaded = client.upload(spec(), &content(length)).await.unwrap();
        assert_eq!(uploaded.storage, cluster.storages[2].address);
        assert_eq!(stored(&cluster, &uploaded), content(length));
    }
}

#[tokio::test]
async fn a_full_storage_is_passed_over_and_a_full_cluster_is_told() {
    let cluster = Cluster::start(2);
    cluster.storages[0].set_fault(Fault::Refuse(Status::ENOSPC));
    let uploaded = cluster.client().upload(spec(), b"abc").await.unwrap();
    assert_eq!(uploaded.storage, cluster.storages[1].address);
    cluster.storages[1].set_fault(Fault::Refuse(Status::ENOSPC));
    let error = cluster.client().upload(spec(), b"abc").await.unwrap_err();
    assert!(matches!(error, ClientError::NoSpace), "{error:?}");
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_stream_is_seen() {
    let cluster = Cluster::start(1);
    cluster.storages[0].set_fault(Fault::Refuse(Status::ENOSPC));
    let spec = spec().of_size(64 * MIB as u64);
    let error = stream(&cluster.client(), spec, &content(64 * MIB)).await.unwrap_err();
    assert!(matches!(error, ClientError::NoSpace), "{error:?}");
}

#[tokio::test]
async fn content_of_another_length_than_announced_is_not_stored() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    for (announced, actual) in [(10, 9), (10, 11), (MIB, MIB - 1), (MIB, MIB + 1)] {
        let spec = spec().of_size(announced as u64);
        let error = stream(&client, spec, &content(actual)).await.unwrap_err();
        assert!(matches!(error, ClientError::WrongLength { .. }), "{error:?}");
    }
    assert!(cluster.storages[0].files.lock().is_empty());
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    for spec in [spec(), spec().of_size(3 * MIB as u64)] {
        let mut upload = client.begin_upload(spec);
        upload.write(&content(2 * MIB)).await.unwrap();
        drop(upload);
    }
    // The same server thread has seen the ends of both when it answers this.
    client.active_test(cluster.storages[0].address).await.unwrap();
    assert!(cluster.storages[0].files.lock().is_empty());
}

#[tokio::test]
async fn a_file_goes_to_the_group_and_storage_that_are_named() {
    let cluster = Cluster::start(3);
    let client = cluster.client();
    let named = UploadSpec { storage: Some(cluster.storages[2].address), ..spec() };
    for _ in 0..2 {
        assert_eq!(client.upload(named.clone(), b"abc").await.unwrap().storage, cluster.storages[2].address);
    }
    assert_eq!(client.upload(spec().in_group(group()), b"abc").await.unwrap().file_id.group, group());
    let error = client.upload(spec().in_group("nobody".parse().unwrap()), b"abc").await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_slave_lies_beside_its_master() {
    let cluster = Cluster::start(2);
    let client = cluster.client();
    let master = cluster.put(&[1], b"master");
    let kind = UploadKind::Slave { master: master.clone(), prefix: "_small".parse().unwrap() };
    let spec = UploadSpec::new("jpg".parse::<Extension>().unwrap()).of_kind(kind);
    for length in [10, MIB] {
        let uploaded = stream(&client, spec.clone(), &content(length)).await.unwrap();
        assert_eq!(uploaded.storage, cluster.storages[1].address);
        assert!(uploaded.file_id.filename.as_str().ends_with("_small.jpg"), "{}", uploaded.file_id);
        let read = client.read(&uploaded.file_id, ByteRange::ALL, MIB).await.unwrap();
        assert_eq!(read, content(length));
    }
}

#[test]
fn operations_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let cluster_less = Client::new(fdfs_client::ClientOptions::new(Vec::new()));
    let file_id: fdfs_types::FileId = "group1/M00/00/00/0123456789".parse().unwrap();
    is_send(&cluster_less.upload(spec(), b""));
    is_send(&cluster_less.begin_upload(spec()).finish());
    is_send(&cluster_less.begin_upload(spec()).write(b""));
    is_send(&cluster_less.download(&file_id, ByteRange::ALL));
    is_send(&cluster_less.delete(&file_id));
    is_send(&cluster_less.append(&file_id, b""));
    is_send(&cluster_less.metadata(&file_id));
    is_send(&cluster_less.topology());
}

#[tokio::test]
async fn a_storage_that_is_replaced_by_an_original_one_is_found_out_after_one_failure() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    stream(&client, spec(), &content(MIB)).await.unwrap();
    cluster.storages[0].is_ours.store(false, Ordering::Relaxed);
    assert!(stream(&client, spec(), &content(MIB)).await.is_err());
    let uploaded = stream(&client, spec(), &content(MIB)).await.unwrap();
    assert_eq!(stored(&cluster, &uploaded), content(MIB));
    assert_eq!(cluster.storages[0].count(Command::HELLO), 2);
}
