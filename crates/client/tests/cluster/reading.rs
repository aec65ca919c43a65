//! Downloads: whole files, ranges, and what happens when storages fail.

use std::time::{Duration, Instant};

use fdfs_client::{ByteRange, Client, ClientError};
use fdfs_proto::{Command, Status};
use fdfs_types::{FileId, StorageStatus};
use futures_util::StreamExt;

use crate::fake::{Cluster, Fault};

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

async fn read(client: &Client, file_id: &FileId) -> Result<Vec<u8>, ClientError> {
    Ok(client.read(file_id, ByteRange::ALL, 1 << 26).await?.to_vec())
}

#[tokio::test]
async fn a_file_is_read_whole_and_in_part() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(1_000_000));
    let client = cluster.client();
    assert_eq!(read(&client, &file_id).await.unwrap(), content(1_000_000));
    let part = client.read(&file_id, ByteRange::of(999_990, 100), 10).await.unwrap();
    assert_eq!(part, content(1_000_000)[999_990..]);
    let tail = client.read(&file_id, ByteRange::from(999_999), 1).await.unwrap();
    assert_eq!(tail, content(1_000_000)[999_999..]);
    assert!(client.read(&file_id, ByteRange::of(5, 0), 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_download_is_a_stream_and_says_its_length_first() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(700_000));
    let download = cluster.client().download(&file_id, ByteRange::from(1)).await.unwrap();
    assert_eq!(download.length(), 699_999);
    let chunks: Vec<_> = download.into_stream().map(|chunk| chunk.unwrap().len()).collect().await;
    assert_eq!(chunks.iter().sum::<usize>(), 699_999);
    assert!(chunks.iter().all(|chunk| *chunk <= 256 * 1024), "{chunks:?}");
}

#[tokio::test]
async fn the_rest_comes_from_another_storage_when_one_breaks_off() {
    let cluster = Cluster::start(3);
    let file_id = cluster.put(&[0, 1, 2], &content(600_000));
    cluster.storages[1].set_fault(Fault::BreakAfter(100_000));
    cluster.storages[0].set_fault(Fault::BreakAfter(200_000));
    assert_eq!(read(&cluster.client(), &file_id).await.unwrap(), content(600_000));
    assert!(cluster.storages[2].count(Command::DOWNLOAD_FILE) > 0);
}

#[tokio::test]
async fn content_that_breaks_off_everywhere_is_unavailable_in_the_end() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(1000));
    for storage in &cluster.storages {
        storage.set_fault(Fault::BreakAfter(0));
    }
    let error = read(&cluster.client(), &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_replica_that_lacks_the_file_is_passed_over() {
    let cluster = Cluster::start(3);
    let file_id = cluster.put(&[2], &content(10));
    assert_eq!(read(&cluster.client(), &file_id).await.unwrap(), content(10));
    assert_eq!(cluster.storages[1].count(Command::DOWNLOAD_FILE), 1);
    assert_eq!(cluster.storages[0].count(Command::DOWNLOAD_FILE), 0, "the source comes before the others");
}

#[tokio::test]
async fn the_source_alone_can_say_that_a_file_is_gone() {
    let cluster = Cluster::start(3);
    let file_id = cluster.put(&[2], &content(10));
    cluster.storages[2].files.lock().clear();
    let error = read(&cluster.client(), &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");
    assert_eq!(cluster.storages[0].count(Command::DOWNLOAD_FILE), 0);
}

#[tokio::test]
async fn a_file_whose_source_is_away_is_unavailable_and_not_missing() {
    let cluster = Cluster::start(3);
    let file_id = cluster.put(&[2], &content(10));
    cluster.storages[2].stop().await;
    let client = cluster.client();
    let error = read(&client, &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    *cluster.storages[2].status.lock() = StorageStatus::Offline;
    let error = client.stat(&file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_every_member_lacks_is_missing_although_its_source_is_no_member() {
    let cluster = Cluster::start(3);
    let file_id = cluster.put(&[2], &content(10));
    *cluster.storages[2].status.lock() = StorageStatus::Deleted;
    let client = cluster.client();
    let error = read(&client, &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");

    *cluster.storages[1].status.lock() = StorageStatus::Offline;
    let error = read(&client, &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "one member could not be asked: {error:?}");
}

#[tokio::test]
async fn a_frozen_storage_costs_only_the_time_for_an_answer() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(10));
    cluster.storages[1].set_fault(Fault::Frozen);
    let start = Instant::now();
    assert_eq!(read(&cluster.client(), &file_id).await.unwrap(), content(10));
    // Otherwise it would be the deadline, 30 s.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_storage_with_a_broken_disk_is_passed_over() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(10));
    cluster.storages[1].set_fault(Fault::Refuse(Status::EIO));
    assert_eq!(read(&cluster.client(), &file_id).await.unwrap(), content(10));
}

#[tokio::test]
async fn a_refusal_for_good_is_told_at_once() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[0, 1], &content(10));
    cluster.storages[1].set_fault(Fault::Refuse(Status::EACCES));
    let error = read(&cluster.client(), &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: Status::EACCES, .. }), "{error:?}");
    assert_eq!(cluster.storages[0].count(Command::DOWNLOAD_FILE), 0);
}

#[tokio::test]
async fn an_empty_file_is_read_although_the_original_refuses() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    assert!(read(&client, &cluster.put(&[0], b"")).await.unwrap().is_empty());
    assert!(read(&client, &cluster.put_appender(&[0], b"")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_range_behind_the_end_tells_the_size() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    for file_id in [cluster.put(&[0], &content(10)), cluster.put_appender(&[0], &content(10))] {
        let error = client.download(&file_id, ByteRange::from(10)).await.unwrap_err();
        assert!(matches!(error, ClientError::OutOfRange { size: 10 }), "{error:?}");
    }
}

#[tokio::test]
async fn an_unknown_group_is_missing() {
    let cluster = Cluster::start(1);
    let mut file_id = cluster.put(&[0], &content(10));
    file_id.group = "group2".parse().unwrap();
    let error = read(&cluster.client(), &file_id).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_has_ended() {
    let cluster = Cluster::start(1);
    let file_id = cluster.put(&[0], &content(10));
    let client = cluster.client();
    for _ in 0..3 {
        read(&client, &file_id).await.unwrap();
    }
    cluster.storages[0].set_fault(Fault::CloseBefore);
    assert!(read(&client, &file_id).await.is_err());
    cluster.storages[0].set_fault(Fault::None);
    assert_eq!(read(&client, &file_id).await.unwrap(), content(10));
}

#[tokio::test]
async fn a_normal_files_name_tells_about_it_and_storages_about_others() {
    let cluster = Cluster::start(1);
    let client = cluster.client();
    let file_id = cluster.put(&[0], &content(10));
    let info = client.file_info(&file_id).await.unwrap();
    assert_eq!((info.size, info.crc32, info.is_from_name), (10, crc32fast::hash(&content(10)), true));
    assert_eq!(info.source, Some(cluster.storages[0].address.ip()));
    assert_eq!(cluster.storages[0].count(Command::QUERY_FILE_INFO), 0);

    let info = client.file_info(&cluster.put_appender(&[0], &content(11))).await.unwrap();
    assert_eq!((info.size, info.crc32, info.is_from_name), (11, crc32fast::hash(&content(11)), false));
}
