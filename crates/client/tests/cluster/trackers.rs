//! Several trackers, some of them dead, frozen or new.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fdfs_client::{ByteRange, Client, ClientError, ClientOptions, UploadSpec};
use fdfs_proto::{Command, ServerAddress, Status};

use crate::fake::{Cluster, Fault, group};

fn spec() -> UploadSpec {
    UploadSpec::new("dat".parse().unwrap())
}

#[tokio::test]
async fn another_tracker_is_asked_when_one_fails_and_from_then_on_first() {
    for fault in [Fault::CloseBefore, Fault::Frozen, Fault::Refuse(Status::ENOENT)] {
        let cluster = Cluster::with_trackers(1, 2);
        *cluster.trackers[0].fault.lock() = fault;
        let client = cluster.client();
        for _ in 0..6 {
            client.upload(spec(), b"abc").await.unwrap();
        }
        let asked = cluster.trackers[0].asked.load(Ordering::Relaxed);
        assert!(asked <= 2, "{fault:?}: the failing tracker was asked {asked} times");
    }
}

#[tokio::test]
async fn a_cluster_without_trackers_is_unavailable_within_the_deadline() {
    let mut options = ClientOptions::new(vec![ServerAddress::parse("127.0.0.9:1", 22122).unwrap()]);
    options.rounds = 2;
    options.backoff = Duration::from_millis(1);
    let error = Client::new(options).upload(spec(), b"abc").await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn files_stay_readable_while_no_tracker_answers() {
    let cluster = Cluster::start(2);
    let file_id = cluster.put(&[1], b"abc");
    let client = cluster.client();
    client.topology().await.unwrap();
    *cluster.trackers[0].fault.lock() = Fault::CloseBefore;
    assert_eq!(client.read(&file_id, ByteRange::ALL, 10).await.unwrap(), &b"abc"[..]);
    // The source still is the one that can say that a file is gone.
    cluster.storages[1].files.lock().clear();
    let error = client.read(&file_id, ByteRange::ALL, 10).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound), "{error:?}");
    // Where to store something, only trackers say.
    let error = client.upload(spec(), b"abc").await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn frozen_trackers_cost_no_more_than_the_deadline() {
    let mut cluster = Cluster::with_trackers(1, 3);
    cluster.options.deadline = Duration::from_millis(700);
    for tracker in &cluster.trackers {
        *tracker.fault.lock() = Fault::Frozen;
    }
    let start = Instant::now();
    let error = cluster.client().list_groups().await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout), "{error:?}");
    // Otherwise each would be waited for twice, 12 s.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_topology_is_fetched_once_while_it_is_fresh() {
    let mut cluster = Cluster::start(2);
    cluster.options.topology_max_age = Duration::from_secs(60);
    let client = cluster.client();
    for _ in 0..3 {
        let topology = client.topology().await.unwrap();
        assert_eq!(topology.groups[&group()].active().count(), 2);
    }
    assert_eq!(cluster.trackers[0].asked.load(Ordering::Relaxed), 2, "groups, and storages of one");
}

#[tokio::test]
async fn one_who_reads_often_does_not_ask_the_trackers_every_time() {
    let mut cluster = Cluster::start(2);
    cluster.options.topology_max_age = Duration::from_secs(60);
    let file_id = cluster.put(&[0, 1], b"abc");
    let client = cluster.client();
    for _ in 0..100 {
        assert_eq!(client.read(&file_id, ByteRange::ALL, 3).await.unwrap(), &b"abc"[..]);
    }
    let asked = cluster.trackers[0].asked.load(Ordering::Relaxed);
    assert!(asked <= 12, "the tracker was asked {asked} times");
    let reads = |index: usize| cluster.storages[index].count(Command::DOWNLOAD_FILE);
    assert!(reads(0) > 10 && reads(1) > 10, "both storages share the work: {} and {}", reads(0), reads(1));
}

#[tokio::test]
async fn the_trackers_name_storages_for_reading_and_changing() {
    let cluster = Cluster::start(2);
    let client = cluster.client();
    let id = client.upload(spec(), b"abc").await.unwrap().file_id;
    let addresses: Vec<_> = cluster.storages.iter().map(|storage| storage.address).collect();
    assert_eq!(client.stores().await.unwrap(), addresses);
    let to_read = client.storages_to_read(&id).await.unwrap();
    assert!(!to_read.is_empty() && to_read.iter().all(|address| addresses.contains(address)), "{to_read:?}");
    assert!(addresses.contains(&client.storage_to_change(&id).await.unwrap()));
}
