//! Conversations between originals, repeated with this tracker in the place of theirs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fdfs_proto::{Command, Header};
use serde::Deserialize;
use socket2::{Domain, Socket, Type};

use crate::own_network::{again_in_own_network, is_own};
use crate::support::{DEADLINE, World, ip};

#[derive(Deserialize)]
pub(crate) struct Exchange {
    name: String,
    from: String,
    pub(crate) to: String,
    pub(crate) note: Option<String>,
    #[serde(default)]
    pub(crate) t: f64,
    #[serde(default)]
    pub(crate) conn: u32,
    pub(crate) request_hex: String,
    pub(crate) response_hex: Option<String>,
}

impl Exchange {
    /// The number of the scenario.
    pub(crate) fn scenario(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// Scenario and number, such as `01/006`; the name, where there are no scenarios.
    pub(crate) fn at(&self) -> String {
        if !self.name.contains('/') {
            return self.name.clone();
        }
        let number = self.name.split('/').nth(1).and_then(|rest| rest.get(..3));
        format!("{}/{}", self.scenario(), number.unwrap_or_default())
    }

    /// What was asked.
    pub(crate) fn command(&self) -> Command {
        Command(u8::from_str_radix(&self.request_hex[16..18], 16).expect("hex"))
    }

    /// Who asked.
    pub(crate) fn sender(&self) -> &str {
        self.from.rsplit(' ').next().unwrap_or_default().trim_end_matches(')')
    }
}

/// Single exchanges of storages with trackers and with each other, out of several clusters.
pub(crate) fn exchanges_of_storages() -> Vec<Exchange> {
    serde_json::from_str(include_str!("../../../../tests/vectors/wire-storage-sync.json"))
        .expect("a good file")
}

/// Every exchange of the recording.
pub(crate) fn exchanges() -> Vec<Exchange> {
    serde_json::from_str(include_str!("../../../../tests/vectors/wire-tracker-cluster.json"))
        .expect("a good file")
}

/// What is known of a scenario beside its exchanges.
#[derive(Default)]
struct Script {
    /// The last exchange to repeat.
    last: &'static str,
    /// From where the client at 127.0.0.99 asks here. The original answered everybody.
    client: &'static str,
    /// Where the answers differ: the status that is given instead, or nothing if only the body is
    /// another one, and why.
    differences: &'static [(&'static str, Option<u8>, &'static str)],
    /// Connections that had ended before an exchange.
    ended: &'static [(&'static str, u32)],
}

const STRANGER: &str = "only members of the cluster are answered, and there are none yet";

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_without_groups_answers_as_recorded() {
    let differences = &[
        ("002", Some(13), STRANGER),
        ("016", None, "the tracker of the recording had other settings"),
        ("036", Some(13), STRANGER),
        ("037", Some(13), STRANGER),
        ("038", Some(13), STRANGER),
        ("039", Some(13), STRANGER),
    ];
    let client = "127.0.0.99";
    replay("20", &Script { last: "051", client, differences, ..Script::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storages_that_have_joined_are_answered_as_recorded() {
    let differences = &[
        ("005", None, "a refused join leaves no group behind"),
        ("015", None, "the recording lacks what 127.0.0.5 sent before"),
        ("016", None, "the recording lacks what 127.0.0.5 sent before"),
        ("062", None, "the time is another one"),
        ("068", None, "the move of 127.0.0.5 is told with the next beat; the recording lacks that beat"),
    ];
    let ended = &[("059", 7)];
    replay("21", &Script { last: "084", client: "127.0.0.4", differences, ended }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trackers_are_answered_as_recorded() {
    let differences = &[
        ("011", None, "the times are others"),
        ("034", Some(0), "asked here from the address of a tracker"),
        ("035", Some(0), "asked here from the address of a tracker"),
    ];
    let client = "127.0.0.2";
    replay("22", &Script { last: "043", client, differences, ..Script::default() }).await;
}

/// Waits for the tests that use the same address, which may be in other processes; nobody else does in a network of its own.
pub(crate) async fn turn() -> File {
    let take = || -> std::io::Result<File> {
        if is_own() {
            return tempfile::tempfile();
        }
        let file = File::create(std::env::temp_dir().join("fdfs-recorded.lock"))?;
        file.lock()?;
        Ok(file)
    };
    tokio::task::spawn_blocking(take).await.expect("no panic").expect("a lock file")
}

async fn replay(scenario: &str, script: &Script) {
    if tokio::task::block_in_place(again_in_own_network) {
        return;
    }
    // The requests name this address and port.
    let _turn = turn().await;
    let world = World::start_at("127.0.0.2:22301").await;
    let recorded = exchanges();
    let mut connections = HashMap::new();
    let mut wrong = Vec::new();
    let mut clock: Option<(Instant, f64)> = None;
    for exchange in recorded.iter().filter(|exchange| exchange.name.starts_with(scenario)) {
        let (start, first) = *clock.get_or_insert((Instant::now(), exchange.t));
        let number = &exchange.name[exchange.name.find('/').map_or(0, |at| at + 1)..][..3];
        if number > script.last {
            break;
        }
        for (_, conn) in script.ended.iter().filter(|(before, _)| *before == number) {
            connections.remove(conn);
        }
        sleep(Duration::from_secs_f64(exchange.t - first).saturating_sub(start.elapsed()));
        let Some(expected) = &exchange.response_hex else { continue };
        let expected = hex::decode(expected).expect("hex");
        let open = || connect(world.address, source(exchange, script.client));
        let stream = connections.entry(exchange.conn).or_insert_with(open);
        stream.write_all(&hex::decode(&exchange.request_hex).expect("hex")).expect("it is open");
        let answer = read_answer(stream);
        let status = |bytes: &[u8]| bytes.get(9).copied();
        match script.differences.iter().find(|(at, ..)| *at == number) {
            Some((_, Some(other), _)) if status(&answer) == Some(*other) => {}
            Some((_, None, _)) if status(&answer) == status(&expected) => {}
            None if answer == expected => {}
            _ => wrong.push(format!(
                "{}: status {:?}, recorded {:?}\n  {}\n  {}",
                exchange.name,
                status(&answer),
                status(&expected),
                hex::encode(&answer),
                hex::encode(&expected)
            )),
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn source(exchange: &Exchange, client: &str) -> IpAddr {
    match exchange.from.rsplit(' ').next() {
        Some("127.0.0.99") | None => ip(client),
        Some(other) => ip(other),
    }
}

pub(crate) fn connect(to: SocketAddr, from: IpAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("a loopback address");
    socket.connect(&to.into()).expect("the tracker listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    socket.into()
}

pub(crate) fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = vec![0; Header::LEN];
    stream.read_exact(&mut answer).expect("an answer");
    let header = Header::decode(answer.first_chunk().expect("ten bytes")).expect("a header");
    let length = usize::try_from(header.length).expect("a short answer");
    answer.resize(Header::LEN + length, 0);
    stream.read_exact(&mut answer[Header::LEN..]).expect("a whole answer");
    answer
}
