//! A cluster whose members share a secret.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fdfs_conf::TrackerConfig;
use fdfs_net::{CallError, Pool, PoolConfig, SecretError, SharedSecret};
use fdfs_proto::cluster::{JoinRequest, SysFilesStartRequest};
use fdfs_proto::ours::ClusterSecret;
use fdfs_proto::tracker::{
    GetLeaderRequest, ListAllGroupsRequest, ParametersRequest, QueryStoreOneRequest,
    TrackerClusterStatRequest, TrackerStatusRequest,
};
use fdfs_proto::{ActiveTestRequest, Command, Status};
use fdfs_tracker::{StartError, Tracker};

use crate::support::{Client, Storage, World, eventually, ip, join_request};

const SECRET: &str = "known to the members of this test";

/// A file with a secret.
fn file(dir: &Path, content: &str, mode: u32) -> std::path::PathBuf {
    let path = dir.join("secret");
    std::fs::write(&path, content).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    path
}

/// A tracker with a secret.
async fn start(ip: &str, dir: &Path) -> World {
    let secret = file(dir, &format!("{SECRET}\n"), 0o600);
    World::start_with(ip, |config| config.cluster_secret_file = Some(secret)).await
}

fn secret(text: &str) -> PoolConfig {
    let secret = ClusterSecret::new(text.as_bytes()).expect("long enough");
    PoolConfig { secret: Some(SharedSecret::new(secret)), ..PoolConfig::default() }
}

/// A storage that has joined all these trackers, with the secret.
async fn join_all(trackers: &[&World], from: &str) -> Vec<Client> {
    let addresses: Vec<_> = trackers.iter().map(|tracker| tracker.address).collect();
    let mut clients = Vec::new();
    for address in &addresses {
        let mut client = Client::connect_with(*address, from, secret(SECRET)).await;
        client.ask(&JoinRequest { tracker_ip: Some(address.ip()), ..join_request(&addresses) }).await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn trackers_that_share_a_secret_elect_a_leader_and_follow_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (two, three) = (start("127.0.38.2", dir.path()).await, start("127.0.38.3", dir.path()).await);
    let _storage = join_all(&[&two, &three], "127.0.39.4").await;
    eventually("a leader for both", async || {
        for world in [&two, &three] {
            // Clients need no secret.
            let leader = world.client("127.0.0.1").await.try_ask(&GetLeaderRequest).await.ok()?;
            (leader == three.address).then_some(())?;
        }
        Some(())
    })
    .await;
    eventually("a ping", async || {
        let mut client = three.client("127.0.0.1").await;
        let stat = client.try_ask(&TrackerClusterStatRequest::default()).await.ok()?;
        stat.trackers.iter().all(|tracker| tracker.is_active).then_some(())
    })
    .await;
    let World { tracker, .. } = three;
    drop(tracker);
    eventually("the survivor leads", async || two.tracker.is_leading().then_some(())).await;
}

#[tokio::test]
async fn only_who_knows_the_secret_joins() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = start("127.0.38.12", dir.path()).await;
    let mut stranger = Storage::connect(&world, "127.0.39.4").await;
    assert_eq!(stranger.client.try_ask(&stranger.request).await.map(drop), Err(Status::EACCES));
    let metrics = fdfs_ops::Metrics::install().render();
    let counter = "fdfs_unauthenticated_total{command=\"JOIN\"} ";
    assert!(metrics.contains(counter), "{counter} does not move");

    let refused = Pool::new(secret("known to nobody at all here")).lease(world.address).await.map(drop);
    assert!(matches!(refused, Err(CallError::Secret(SecretError::Refused))), "{refused:?}");
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(client.ask(&ListAllGroupsRequest).await.groups, [], "nothing was taken down");

    let mut member = join_all(&[&world], "127.0.39.4").await;
    assert_eq!(client.ask(&ListAllGroupsRequest).await.groups.len(), 1);
    // Whoever speaks from the member's address is still no member.
    let mut neighbour = world.client("127.0.39.4").await;
    assert_eq!(neighbour.try_ask(&SysFilesStartRequest).await, Err(Status::EACCES));
    member[0].ask(&SysFilesStartRequest).await;
}

#[tokio::test]
async fn what_clients_ask_needs_no_secret() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = start("127.0.38.22", dir.path()).await;
    let mut client = world.client("127.0.39.9").await;
    client.ask(&ActiveTestRequest).await;
    client.ask(&ParametersRequest).await;
    assert_eq!(
        client.try_ask(&TrackerStatusRequest).await.map(drop),
        Err(Status::ENOENT),
        "no list of trackers yet"
    );
    assert_eq!(client.try_ask(&QueryStoreOneRequest).await.map(drop), Err(Status::ENOENT), "no storage yet");
    for command in (90..=98).chain(101..=109).map(Command).filter(|command| command.name().is_some()) {
        assert_ne!(client.status_of(command, &[]).await, Status::EACCES, "{command}");
    }
    assert_eq!(client.status_of(Command::NOTIFY_RESELECT_LEADER, &[]).await, Status::EACCES);
}

#[tokio::test]
async fn a_secret_that_protects_nothing_is_no_start() {
    let dir = tempfile::tempdir().expect("a directory");
    for (content, mode, words) in [
        (SECRET, 0o644, "chmod 600"),
        ("a short one", 0o600, "at least 16 bytes"),
        ("", 0o600, "at least 16 bytes"),
    ] {
        let mut config = TrackerConfig::new(dir.path());
        config.listeners[0].addresses = vec![ip("127.0.38.32")];
        config.listeners[0].port = 0;
        config.cluster_secret_file = Some(file(dir.path(), content, mode));
        let Err(error @ StartError::Secret(_)) = Tracker::bind(config).await else {
            panic!("{content:?} {mode:o}")
        };
        let text = error.to_string();
        assert!(text.contains("cluster_secret_file") && text.contains(words), "{text}");
        assert!(content.is_empty() || !text.contains(content), "{text}");
    }
}
