//! Who leads when trackers die, freeze and come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fdfs_proto::Status;
use fdfs_proto::cluster::{BeatRequest, JoinRequest, SyncDestRequest};
use fdfs_proto::tracker::{
    GetLeaderRequest, ListAllGroupsRequest, QueryStoreAllRequest, QueryStoreOneRequest,
    TrackerClusterStatRequest,
};

use crate::fake_tracker::FakeTracker;
use crate::support::{Client, Storage, World, eventually, ip, join_request, start_in};

/// Several times the four seconds from the death of a leader to the next one: `tests/benches/times` measures, a test only bounds.
const FAILOVER: Duration = Duration::from_secs(20);

/// A storage that has joined all these trackers.
async fn join_all(addresses: &[SocketAddr], from: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for address in addresses {
        let mut client = Client::connect(*address, from).await;
        client.ask(&JoinRequest { tracker_ip: Some(address.ip()), ..join_request(addresses) }).await;
        clients.push(client);
    }
    clients
}

async fn leader_at(address: SocketAddr) -> Option<SocketAddr> {
    Client::connect(address, "127.0.0.1").await.try_ask(&GetLeaderRequest).await.ok()
}

/// Waits until all of these say that the same one of them leads.
async fn agreement(trackers: &[SocketAddr]) -> SocketAddr {
    eventually("one leader for all", async || {
        let first = leader_at(trackers[0]).await?;
        for tracker in &trackers[1..] {
            (leader_at(*tracker).await? == first).then_some(())?;
        }
        Some(first)
    })
    .await
}

#[tokio::test]
async fn the_survivor_of_two_leads_in_time_and_goes_on_when_the_other_returns() {
    let (two, three) = (World::start("127.0.36.2").await, World::start("127.0.36.3").await);
    let addresses = [two.address, three.address];
    let mut storage = join_all(&addresses, "127.0.37.4").await;
    assert_eq!(agreement(&addresses).await, three.address, "the greater text leads");
    eventually("a ping", async || {
        let mut client = three.client("127.0.0.1").await;
        let stat = client.try_ask(&TrackerClusterStatRequest::default()).await.ok()?;
        stat.trackers.iter().all(|tracker| tracker.is_active).then_some(())
    })
    .await;

    let killed = Instant::now();
    let World { tracker, dir, .. } = three;
    drop(tracker);
    eventually("another leader", async || two.tracker.is_leading().then_some(())).await;
    assert!(killed.elapsed() <= FAILOVER, "{:?}", killed.elapsed());
    // Storages learn it with their next beat.
    let told = storage[0].ask(&BeatRequest::default()).await;
    assert_eq!(told.leader.and_then(|leader| leader.ip), Some(addresses[0].ip()));

    let (again, address) = start_in(dir.path(), addresses[1], |_| {}).await;
    assert_eq!(address, addresses[1]);
    let _rejoined = join_all(&addresses[1..], "127.0.37.4").await;
    let mut client = Client::connect(address, "127.0.37.4").await;
    client.ask(&JoinRequest { tracker_ip: Some(address.ip()), ..join_request(&addresses) }).await;
    assert_eq!(agreement(&addresses).await, addresses[0]);
    assert!(two.tracker.is_leading() && !again.is_leading());
}

#[tokio::test]
async fn of_three_trackers_the_two_that_are_left_agree() {
    let mut worlds = Vec::new();
    for ip in ["127.0.36.12", "127.0.36.13", "127.0.36.14"] {
        worlds.push(World::start(ip).await);
    }
    let addresses: Vec<_> = worlds.iter().map(|world| world.address).collect();
    let _storage = join_all(&addresses, "127.0.37.4").await;
    assert_eq!(agreement(&addresses).await, addresses[2]);
    let killed = Instant::now();
    drop(worlds.pop());
    eventually("one of the two leads", async || {
        let leads = |world: &World| world.tracker.is_leading();
        worlds.iter().any(leads).then_some(())
    })
    .await;
    assert_ne!(agreement(&addresses[..2]).await, addresses[2]);
    assert!(killed.elapsed() <= FAILOVER, "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_frozen_leader_does_not_block_the_election() {
    let fake = FakeTracker::start("127.0.36.22").await;
    let world = World::start("127.0.36.21").await;
    let addresses = [world.address, fake.address];
    let _storage = join_all(&addresses[..1], "127.0.37.4").await;
    let mut storage = world.client("127.0.37.4").await;
    storage.ask(&JoinRequest { tracker_ip: Some(world.address.ip()), ..join_request(&addresses) }).await;
    fake.lead();
    eventually("pings", async || (fake.pings() > 1).then_some(())).await;
    assert!(!world.tracker.is_leading());

    let frozen = Instant::now();
    fake.freeze();
    eventually("another leader", async || world.tracker.is_leading().then_some(())).await;
    assert!(frozen.elapsed() <= FAILOVER, "{:?}", frozen.elapsed());
}

#[tokio::test]
async fn storages_are_kept_waiting_while_another_tracker_may_know_better() {
    let fake = FakeTracker::start("127.0.36.32").await;
    let world = World::start("127.0.36.31").await;
    let mut storage = Storage::connect(&world, "127.0.37.4").await;
    storage.request.trackers = join_request(&[world.address, fake.address]).trackers;
    fake.freeze();
    for _ in 0..2 {
        let refused = storage.client.try_ask(&storage.request).await.map(|joined| joined.status);
        assert_eq!(refused, Err(Status::EAGAIN));
    }
    let mut client = world.client("127.0.0.1").await;
    assert_eq!(client.ask(&ListAllGroupsRequest).await.groups, [], "nothing was taken down");
}

#[tokio::test]
async fn storages_and_clients_are_served_while_nobody_leads() {
    let fake = FakeTracker::start("127.0.36.42").await;
    let world = World::start("127.0.36.41").await;
    let mut storage = Storage::connect(&world, "127.0.37.4").await;
    storage.request.trackers = join_request(&[world.address, fake.address]).trackers;
    storage.join().await;
    // The other one takes part in no election: this one never leads.
    fake.refuse();
    storage.client.try_ask(&SyncDestRequest).await.expect("it is alone in its group");
    storage.beat().await;
    storage.disk_usage(100_000, 50_000).await;
    let mut client = world.client("127.0.0.1").await;
    eventually("an election", async || (fake.refusals() > 0).then_some(())).await;
    for _ in 0..20 {
        assert_eq!(client.ask(&QueryStoreOneRequest).await.storage.ip(), ip("127.0.37.4"));
        storage.beat().await;
    }
    let _another = Storage::bring_up(&world, "127.0.37.5").await;
    assert_eq!(client.ask(&QueryStoreAllRequest).await.storages.len(), 2);
    assert_eq!(client.try_ask(&GetLeaderRequest).await, Err(Status::ENOENT));
}

#[tokio::test]
async fn a_tracker_does_not_take_itself_for_another_one_whatever_a_storage_says() {
    let world = World::start("127.0.36.51").await;
    let other = SocketAddr::new(ip("127.0.36.52"), world.address.port());
    let mut storage = Storage::connect(&world, "127.0.37.4").await;
    storage.request.trackers = join_request(&[world.address, other]).trackers;
    storage.request.tracker_ip = Some(other.ip());
    // It would not ask itself, and admit the storage at once.
    let refused = storage.client.try_ask(&storage.request).await.map(|joined| joined.status);
    assert_eq!(refused, Err(Status::EAGAIN), "nobody has asked 127.0.36.52");

    // Where the list has no address of this tracker, a forwarded one, the storage is believed.
    storage.request.trackers = join_request(&[other]).trackers;
    storage.join().await;
}
