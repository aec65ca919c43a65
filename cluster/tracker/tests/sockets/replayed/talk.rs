//! The connections of the recording, with our tracker at their other end.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use fdfs_proto::tracker::{ListStoragesRequest, StorageStatusRequest};
use fdfs_proto::{Command, Header};
use fdfs_types::StorageStatus;

use crate::recorded::{Exchange, connect, read_answer};
use crate::support::{World, eventually, group, ip};

/// The port of every storage of a recording, but for one.
const STORAGE_PORT: u16 = 23301;

/// Scenario and number of a connection.
type Key = (String, u32);

/// The connections of the recording.
pub(super) struct Talk {
    tracker: SocketAddr,
    open: HashMap<Key, TcpStream>,
    /// Which connection of an address has joined. It goes on in later scenarios under another number.
    joined: HashMap<String, Key>,
    sent: u32,
}

impl Talk {
    pub(super) fn new(tracker: SocketAddr) -> Self {
        Self { tracker, open: HashMap::new(), joined: HashMap::new(), sent: 0 }
    }

    /// Sends a recorded request again, and reads the answer.
    pub(super) async fn ask(&mut self, world: &World, exchange: &Exchange, sender: Option<&str>) -> Vec<u8> {
        let key = key_of(exchange);
        let request = hex::decode(&exchange.request_hex).expect("hex");
        self.ask_on(world, key, &request, sender.unwrap_or(exchange.sender())).await
    }

    /// Sends a request that was not recorded here.
    pub(super) async fn send(&mut self, world: &World, request: &[u8], from: &str) -> Vec<u8> {
        self.sent += 1;
        self.ask_on(world, ("between".to_owned(), self.sent), request, from).await
    }

    async fn ask_on(&mut self, world: &World, mut key: Key, request: &[u8], from: &str) -> Vec<u8> {
        let command = Command(request[8]);
        if matches!(command, Command::JOIN | Command::TRACKER_JOIN_LEADER)
            && let Some(old) = self.joined.insert(from.to_owned(), key.clone())
            && old != key
            && self.open.remove(&old).is_some()
            && command == Command::JOIN
        {
            // There, too, it had ended a second before.
            until_missed(world, from).await;
        }
        let needs_join =
            JOINED.contains(&command) || command == Command::CHANGELOG_REQ && request.len() == Header::LEN;
        if needs_join
            && !self.open.contains_key(&key)
            && let Some(joined) = self.joined.get(from)
        {
            key = joined.clone();
        }
        let address = self.server_for(from);
        tokio::task::block_in_place(|| {
            let stream = self.open.entry(key).or_insert_with(|| connect(address, ip(from)));
            stream.write_all(request).expect("it is open");
            read_answer(stream)
        })
    }

    /// The address of our tracker that somebody at `from` can reach.
    fn server_for(&self, from: &str) -> SocketAddr {
        match ip(from) {
            IpAddr::V6(same) => SocketAddr::new(same.into(), self.tracker.port()),
            IpAddr::V4(_) => self.tracker,
        }
    }

    /// Beats on the connection of a storage that has joined; the length of the news.
    pub(super) fn beat(&mut self, from: &str) -> usize {
        let key = self.joined.get(from).expect("it has joined");
        let stream = self.open.get_mut(key).expect("it is connected");
        tokio::task::block_in_place(|| {
            stream.write_all(&Header::request(Command::BEAT, 0).encode()).expect("it is open");
            read_answer(stream).len() - Header::LEN
        })
    }

    /// Beats until there is nothing to tell.
    pub(super) fn beat_until_quiet(&mut self, from: &str) {
        while self.beat(from) > 1 {}
    }

    /// Ends the connection of a storage that has joined, and waits until the tracker has noticed.
    pub(super) async fn leave(&mut self, world: &World, from: &str) {
        let key = self.joined.remove(from).expect("it has joined");
        self.open.remove(&key);
        until_missed(world, from).await;
    }

    /// Waits until a storage is trunk server.
    pub(super) async fn until_trunk_server(&mut self, world: &World, address: &str) {
        let request = ListStoragesRequest { group: group("group1"), storage_id: None };
        eventually("it is trunk server", async || {
            let mut client = world.client_like_server().await;
            let storages = client.ask(&request).await.storages;
            let holds =
                |one: &fdfs_proto::tracker::StorageRecord| one.ip == Some(ip(address)) && one.is_trunk_server;
            storages.iter().any(holds).then_some(())
        })
        .await;
    }

    /// Ends a connection, as it ended there.
    pub(super) fn end(&mut self, exchange: &Exchange) {
        if exchange.command() == Command::QUIT {
            self.open.remove(&key_of(exchange));
        }
    }
}

fn key_of(exchange: &Exchange) -> Key {
    (exchange.scenario().to_owned(), exchange.conn)
}

/// Waits until the tracker has noticed that the connection of a storage has ended.
pub(super) async fn until_missed(world: &World, from: &str) {
    // Without ids the port does not count.
    let address = SocketAddr::new(ip(from), STORAGE_PORT);
    let request = StorageStatusRequest { group: group("group1"), address };
    eventually("it is missed", async || {
        let status = world.client_like_server().await.try_ask(&request).await.map(|answer| answer.status);
        let is_there = matches!(status, Ok(StorageStatus::Active | StorageStatus::Online));
        (!is_there).then_some(())
    })
    .await;
}

/// Requests that only a connection makes that has joined.
const JOINED: &[Command] = &[
    Command::BEAT,
    Command::REPORT_DISK_USAGE,
    Command::SYNC_REPORT,
    Command::REPLICA_CHANGE,
    Command::STORAGE_CHANGE_STATUS,
    Command::SYNC_DEST_REQ,
    Command::SYNC_NOTIFY,
    Command::FETCH_TRUNK_FID,
    Command::REPORT_TRUNK_FID,
    Command::REPORT_TRUNK_FREE,
    Command::TRACKER_PING_LEADER,
];
