//! Trunk servers.

use fdfs_proto::cluster::{FetchTrunkFidRequest, ReportTrunkFidRequest, ReportTrunkFreeRequest};
use fdfs_proto::sync::TrunkBinlogSizeResponse;
use fdfs_proto::tracker::{ListOneGroupRequest, SetTrunkServerRequest};
use fdfs_proto::{Header, Status, response_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Storage, World, eventually, group, id};

/// Answers every request at this address with the size of a trunk binlog.
async fn answer_with_size(listener: TcpListener, size: u64) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a listening socket");
        tokio::spawn(async move {
            let mut header = [0; Header::LEN];
            while stream.read_exact(&mut header).await.is_ok() {
                let answer = response_frame(&TrunkBinlogSizeResponse { size });
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn the_writable_storage_with_the_longest_trunk_binlog_becomes_trunk_server() {
    let world = World::start_with("127.0.32.1", |config| config.cluster.trunk.enabled = true).await;
    let first = TcpListener::bind("127.0.33.4:0").await.expect("a free port");
    let port = first.local_addr().expect("an address").port();
    let second = TcpListener::bind(("127.0.33.5", port)).await.expect("the same port elsewhere");
    tokio::spawn(answer_with_size(first, 10));
    tokio::spawn(answer_with_size(second, 20));
    let mut storages = Vec::new();
    for from in ["127.0.33.4", "127.0.33.5"] {
        let mut storage = Storage::connect(&world, from).await;
        storage.request.port = port;
        storage.join().await;
        let nobody = fdfs_proto::cluster::SyncNotifyRequest { source: None, until: fdfs_types::Timestamp(0) };
        storage.client.ask(&nobody).await;
        storage.beat().await;
        storage.disk_usage(10_000, 5_000).await;
        storages.push(storage);
    }
    let mut client = world.client("127.0.0.1").await;
    let ask = SetTrunkServerRequest { group: group("group1"), storage_id: None };
    let server = eventually("a trunk server", async || {
        client.try_ask(&ask).await.ok().map(|answer| answer.storage_id)
    })
    .await;
    assert_eq!(server, id("127.0.33.5"));
    let set = |to| SetTrunkServerRequest { group: group("group1"), storage_id: Some(id(to)) };
    assert_eq!(client.try_ask(&set("127.0.33.5")).await, Err(Status::EALREADY));
    assert_eq!(client.try_ask(&set("127.0.33.4")).await, Err(Status::EEXIST));

    let told = storages[0].beat().await.trunk_server.and_then(|server| server.id);
    assert_eq!(told, Some(server));
    let [four, five] = &mut storages[..] else { panic!("two storages") };
    let report = ReportTrunkFidRequest { trunk_file_id: 3 };
    assert_eq!(four.client.try_ask(&report).await, Err(Status::EINVAL));
    five.client.ask(&report).await;
    five.client.ask(&ReportTrunkFreeRequest { free_mb: 63 }).await;
    assert_eq!(four.client.ask(&FetchTrunkFidRequest).await.trunk_file_id, 3);
    let record = client.ask(&ListOneGroupRequest { group: group("group1") }).await;
    assert_eq!((record.trunk_file_id, record.trunk_free_mb), (Some(3), 63));
    let log = world.dir.path().join("logs/trunk_server_change.log");
    let log = std::fs::read_to_string(log).expect("a history");
    assert!(log.ends_with(&format!("group1  -  =>  127.0.33.5:{port}\n")), "{log}");
}
