//! Files of storages on this machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use fdfs_client::{Client, Piece};
use fdfs_net::{Lender, Loan};
use fdfs_proto::ours::LendFileResponse;
use fdfs_proto::{Command, Status};
use fdfs_types::FileId;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::fake::{Cluster, Storage};

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// A client that knows the cluster as gateways do.
async fn client(cluster: &mut Cluster) -> Client {
    cluster.options.topology_max_age = Duration::from_secs(3600);
    let client = cluster.client();
    client.topology().await.unwrap();
    client
}

/// The file as a storage lends it: behind something else.
fn loan(content: &[u8]) -> Loan {
    // Of a file system in memory, as /tmp may be, nobody asks whether it has the bytes.
    let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
    file.write_all(b"before").unwrap();
    file.write_all(content).unwrap();
    Loan { file: Arc::new(file), place: LendFileResponse { start: 6, size: content.len() as u64 } }
}

/// Lends beside a storage; what was asked for.
fn lend(storage: &Storage, answer: Result<Loan, Status>) -> (Lender, Arc<Mutex<Vec<FileId>>>) {
    let asked = Arc::<Mutex<Vec<FileId>>>::default();
    let noted = Arc::clone(&asked);
    let address: SocketAddr = storage.address;
    let lender = Lender::start(address, move |request| {
        noted.lock().push(request.file_id.clone());
        answer.clone()
    });
    (lender.unwrap(), asked)
}

async fn read(client: &Client, file_id: &FileId, offset: u64, length: u64) -> (Vec<u8>, bool) {
    let mut pieces = client.read_pieces(file_id, offset, length).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = pieces.next_piece().await.unwrap() {
        match piece {
            Piece::Bytes(bytes) => read.extend_from_slice(&bytes),
            Piece::File(piece) => {
                let mut bytes = vec![0; piece.length];
                piece.file.read_exact_at(&mut bytes, piece.offset).unwrap();
                read.extend_from_slice(&bytes);
            }
        }
    }
    let is_here = pieces.is_here();
    let mut pieces = client.read_pieces(file_id, offset, length).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = pieces.next_bytes().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes == read, "both ways of reading give the same");
    (read, is_here)
}

#[tokio::test]
async fn a_file_of_this_machine_is_read_where_it_lies() {
    let mut cluster = Cluster::start(2);
    let whole = content(5_000_000);
    let file_id = cluster.put(&[0, 1], &whole);
    let client = client(&mut cluster).await;
    let (_lender, asked) = lend(&cluster.storages[1], Ok(loan(&whole)));
    assert_eq!(read(&client, &file_id, 0, 5_000_000).await, (whole.clone(), true));
    assert_eq!(read(&client, &file_id, 100_001, 1_000_000).await, (whole[100_001..1_100_001].to_vec(), true));
    assert_eq!(*asked.lock(), vec![file_id.clone(); 4]);
    for storage in &cluster.storages {
        assert_eq!(storage.count(Command::DOWNLOAD_FILE), 0);
    }
    // A little is sent as quickly.
    assert_eq!(read(&client, &file_id, 5, 4096).await, (whole[5..4101].to_vec(), false));
    assert_eq!(asked.lock().len(), 4);
}

#[tokio::test]
async fn what_is_not_lent_comes_over_tcp() {
    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    for status in [Status::ENOENT, Status::EOPNOTSUPP, Status::EACCES] {
        let (_lender, asked) = lend(&cluster.storages[0], Err(status));
        // A lender before may have ended this moment.
        while asked.lock().is_empty() {
            assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole.clone(), false), "{status}");
        }
    }
}

#[tokio::test]
async fn a_file_of_another_size_is_not_taken_for_the_one_that_was_asked_for() {
    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let (_lender, asked) = lend(&cluster.storages[0], Ok(loan(&content(300_001))));
    assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole, false));
    assert!(!asked.lock().is_empty());
}

#[tokio::test]
async fn a_file_that_can_change_is_not_borrowed() {
    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put_appender(&[0], &whole);
    let client = client(&mut cluster).await;
    let (_lender, asked) = lend(&cluster.storages[0], Ok(loan(&whole)));
    assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole, false));
    assert!(asked.lock().is_empty());
}

#[tokio::test]
async fn nothing_is_borrowed_where_local_reads_are_off() {
    let mut cluster = Cluster::start(1);
    cluster.options.local_reads = false;
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let (_lender, asked) = lend(&cluster.storages[0], Ok(loan(&whole)));
    assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole, false));
    assert!(asked.lock().is_empty());
}

#[tokio::test]
async fn what_a_disk_here_cannot_give_comes_from_the_cluster_in_the_middle() {
    let mut cluster = Cluster::start(1);
    let whole = content(5_000_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let lent = loan(&whole);
    // The rest cannot be read, as on a disk that fails.
    lent.file.set_len(3_000_000).unwrap();
    let (_lender, _) = lend(&cluster.storages[0], Ok(lent));
    assert_eq!(read(&client, &file_id, 0, 5_000_000).await, (whole, false));
    assert!(cluster.storages[0].count(Command::DOWNLOAD_FILE) > 0);
}

#[tokio::test]
async fn a_read_goes_on_when_the_lender_has_ended() {
    let mut cluster = Cluster::start(1);
    let whole = content(5_000_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let (lender, _) = lend(&cluster.storages[0], Ok(loan(&whole)));
    let mut pieces = client.read_pieces(&file_id, 0, 5_000_000).await.unwrap();
    let mut read_bytes = pieces.next_bytes().await.unwrap().unwrap().to_vec();
    drop(lender);
    cluster.storages[0].stop().await;
    while let Some(bytes) = pieces.next_bytes().await.unwrap() {
        read_bytes.extend_from_slice(&bytes);
    }
    assert!(read_bytes == whole && pieces.is_here());
}

/// What was counted so far of a metric, with its labels.
fn counted(metrics: &PrometheusHandle, name: &str) -> u64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn reads_are_counted_by_where_they_were_made_and_by_what_failed_there() {
    const HERE: &str = r#"fdfs_client_reads_total{from="here"}"#;
    const STORAGE: &str = r#"fdfs_client_reads_total{from="storage"}"#;
    const BROKEN: &str = "fdfs_client_local_reads_failed_total";
    const SILENT: &str = "fdfs_client_local_storage_failures_total";
    // Of this thread alone, on which all of this test runs.
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let all = || [HERE, STORAGE, BROKEN, SILENT].map(|name| counted(&metrics, name));

    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let drain = async || {
        let mut pieces = client.read_pieces(&file_id, 0, 300_000).await.unwrap();
        let mut read = Vec::new();
        while let Some(bytes) = pieces.next_bytes().await.unwrap() {
            read.extend_from_slice(&bytes);
        }
        assert!(read == whole);
    };
    let lent = loan(&whole);
    let (lender, _) = lend(&cluster.storages[0], Ok(lent.clone()));
    drain().await;
    assert_eq!(all(), [1, 0, 0, 0]);
    // So little is not borrowed at all.
    client.read_pieces(&file_id, 0, 1000).await.unwrap();
    assert_eq!(all(), [1, 1, 0, 0]);
    // It begins here and goes on elsewhere.
    lent.file.set_len(0).unwrap();
    drain().await;
    assert_eq!(all(), [2, 2, 1, 0]);
    // The connection that was kept has ended with its lender.
    drop(lender);
    drain().await;
    assert_eq!(all(), [2, 3, 1, 1]);
}

/// The file as a storage lends it, under a name.
fn named_loan(dir: &tempfile::TempDir, content: &[u8]) -> Loan {
    let path = dir.path().join("file");
    std::fs::write(&path, content).unwrap();
    let file = Arc::new(std::fs::File::open(path).unwrap());
    Loan { file, place: LendFileResponse { start: 0, size: content.len() as u64 } }
}

#[tokio::test]
async fn what_was_lent_a_moment_ago_is_not_borrowed_again_until_it_is_deleted() {
    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let dir = tempfile::tempdir().unwrap();
    let (_lender, asked) = lend(&cluster.storages[0], Ok(named_loan(&dir, &whole)));
    // Each of these reads twice. Where seconds pass between two of them, it is borrowed again.
    let again = async {
        loop {
            let before = asked.lock().len();
            assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole.clone(), true));
            if before > 0 && asked.lock().len() == before {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    std::fs::remove_file(dir.path().join("file")).unwrap();
    let before = asked.lock().len();
    assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole, true));
    assert_eq!(asked.lock().len(), before + 2, "its storage is asked whether it still is");
}

#[tokio::test]
async fn a_file_of_two_names_is_borrowed_each_time() {
    let mut cluster = Cluster::start(1);
    let whole = content(300_000);
    let file_id = cluster.put(&[0], &whole);
    let client = client(&mut cluster).await;
    let dir = tempfile::tempdir().unwrap();
    let loan = named_loan(&dir, &whole);
    std::fs::hard_link(dir.path().join("file"), dir.path().join("other")).unwrap();
    let (_lender, asked) = lend(&cluster.storages[0], Ok(loan));
    for reads in [2, 4, 6] {
        assert_eq!(read(&client, &file_id, 0, 300_000).await, (whole.clone(), true));
        assert_eq!(asked.lock().len(), reads);
    }
}
