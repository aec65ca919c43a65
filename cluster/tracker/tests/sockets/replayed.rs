//! The life of a recorded cluster, repeated with our tracker in the place of one of theirs.
//!
//! Every request that reached the tracker is sent again, from the same address and in the same order; another tracker is
//! played by what it answered in the recording. Nothing waits as long as it did there: where an answer depends on time, the
//! replay waits for what has to have happened.
//!
//! Scenarios 20 to 22 are in `recorded`. Left out, and where else their subject is tested:
//!
//! | scenario | why | tested by |
//! | --- | --- | --- |
//! | 03 to 05 at 127.0.0.3 | it was killed, and came back with what it had saved minutes before | `elections::the_survivor_of_two_leads_in_time_and_goes_on_when_the_other_returns` |
//! | 06 to 10 | ids and trunk files, four storages at once: who is trunk server is asked of recorded storages | `trunk`, `clients`, and the messages in `crates/proto` |
//! | 11 | refusals of a minute | `elections::storages_are_kept_waiting_while_another_tracker_may_know_better` |
//! | 12 | ten minutes of absence | `trackers::a_tracker_that_was_away_for_long_takes_the_files_of_the_others` |
//! | 13 | the original never elects here | `elections::a_frozen_leader_does_not_block_the_election` |
//! | 14, 15 | a partition, seen by storages | rules `of_two_leaders_the_one_of_higher_rank_stays_and_the_other_follows` |
//! | 16 | what went before it was not recorded | `storages::a_storage_with_a_new_address_takes_its_record_along` |
//! | 17 | the same | `members::wiped`, and the recoveries in `cluster/storage/tests` |
//! | 18 | the same; 127.0.0.3 asked the other one all the time | `trackers::a_tracker_that_is_added_takes_the_files_of_the_others_before_it_admits_anybody` |
//! | 19 | addresses that a test machine has not | `clients`, and the messages in `crates/proto` |

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fdfs_proto::{
    Command, Header, Status,
    tracker::{StorageStatusRequest, TrackerStatusRequest},
};
use fdfs_types::StorageStatus;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::recorded::{Exchange, connect, exchanges, read_answer, turn};
use crate::support::{World, eventually, ip};

/// What is repeated, and what is known about it.
struct Script {
    /// The tracker in whose place ours is.
    tracker: &'static str,
    /// The tracker that is played.
    peer: Option<&'static str>,
    /// What the requests are that are repeated, by scenario.
    scenarios: &'static [&'static str],
    /// What has to have happened before an exchange.
    before: &'static [(&'static str, Event)],
    /// Where the answers differ: the status that is given instead, or nothing if only the body is another one, and why.
    differences: &'static [(&'static str, Option<u8>, &'static str)],
}

#[derive(Clone, Copy)]
enum Event {
    /// Our tracker leads.
    Leads,
    /// Our tracker follows the one that is played.
    Follows,
    /// The tracker that is played has died.
    PeerDies,
    /// A storage has ended.
    StorageEnds(&'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_becomes_the_leader_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        peer: Some("127.0.0.3:22301"),
        scenarios: &["01", "02", "03", "04", "05", "05b"],
        before: &[
            ("01/043", Event::Follows),
            ("03/004", Event::PeerDies),
            ("03/007", Event::Leads),
            ("05/001", Event::StorageEnds("127.0.0.5")),
        ],
        differences: &[],
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        peer: Some("127.0.0.2:22301"),
        scenarios: &["01", "02"],
        before: &[("01/037", Event::Leads)],
        differences: &[],
    };
    replay(&script).await;
}

async fn replay(script: &Script) {
    // The requests name these addresses and ports.
    let _turn = turn().await;
    let world = World::start_at(script.tracker).await;
    let recorded = exchanges();
    let mine: Vec<&Exchange> = {
        let is_mine = |exchange: &&Exchange| {
            exchange.to.ends_with(&format!(" {}", script.tracker))
                && script.scenarios.contains(&exchange.scenario())
        };
        let mut mine: Vec<_> = recorded.iter().filter(is_mine).collect();
        mine.sort_by(|one, other| one.t.total_cmp(&other.t));
        mine
    };
    let mut peer = match script.peer {
        Some(address) => Some(Peer::start(address, script, &recorded).await),
        None => None,
    };
    let mut talk = Talk { address: world.address, open: HashMap::new(), joined: HashMap::new() };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for exchange in mine {
        let at = exchange.at();
        for (_, event) in script.before.iter().filter(|(before, _)| *before == at) {
            match event {
                Event::Leads => leads(&world).await,
                Event::Follows => peer.as_ref().expect("a peer").until_pinged().await,
                Event::PeerDies => drop(peer.take()),
                Event::StorageEnds(from) => talk.leave(&world, from).await,
            }
        }
        let Some(expected) = &exchange.response_hex else {
            talk.end(exchange);
            continue;
        };
        let expected = hex::decode(expected).expect("hex");
        let answer = talk.ask(exchange).await;
        compared += 1;
        let command = Command(command_of(exchange));
        let status = |bytes: &[u8]| bytes.get(9).copied();
        let is_equal = without_live_values(command, &answer) == without_live_values(command, &expected);
        match script.differences.iter().find(|(place, ..)| *place == at) {
            Some((_, Some(other), _)) if status(&answer) == Some(*other) => {}
            Some((_, None, _)) if status(&answer) == status(&expected) && !is_equal => {}
            None if is_equal => {}
            _ => wrong.push(format!(
                "{at} {}: status {:?}, recorded {:?}\n  {}\n  {}",
                exchange.note.as_deref().unwrap_or_default(),
                status(&answer),
                status(&expected),
                hex::encode(&answer),
                hex::encode(&expected)
            )),
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 20, "{compared}");
}

/// The connections of the recording, with our tracker at their other end.
struct Talk {
    address: SocketAddr,
    open: HashMap<(String, u32), TcpStream>,
    /// Which connection of an address has joined. It goes on in later scenarios under another number.
    joined: HashMap<String, (String, u32)>,
}

impl Talk {
    /// Sends a request again and reads the answer.
    async fn ask(&mut self, exchange: &Exchange) -> Vec<u8> {
        let request = hex::decode(&exchange.request_hex).expect("hex");
        let mut key = (exchange.scenario().to_owned(), exchange.conn);
        let from = exchange.sender().to_owned();
        let command = Command(command_of(exchange));
        if command == Command::JOIN
            && let Some(old) = self.joined.insert(from.clone(), key.clone())
            && old != key
            && self.open.remove(&old).is_some()
        {
            // There, too, it had ended a second before.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let needs_join =
            JOINED.contains(&command) || command == Command::CHANGELOG_REQ && request.len() == Header::LEN;
        if needs_join
            && !self.open.contains_key(&key)
            && let Some(joined) = self.joined.get(&from)
        {
            key = joined.clone();
        }
        let address = self.address;
        tokio::task::block_in_place(|| {
            let stream = self.open.entry(key).or_insert_with(|| connect(address, ip(&from)));
            stream.write_all(&request).expect("it is open");
            read_answer(stream)
        })
    }

    /// Ends the connection of a storage that has joined, and waits until the tracker has noticed.
    async fn leave(&mut self, world: &World, from: &str) {
        let key = self.joined.remove(from).expect("it has joined");
        self.open.remove(&key);
        let (group, address) = (crate::support::group("group1"), SocketAddr::new(ip(from), 23301));
        eventually("it is OFFLINE", async || {
            let mut client = world.client("127.0.0.4").await;
            let status = client.ask(&StorageStatusRequest { group, address }).await.status;
            (status == StorageStatus::Offline).then_some(())
        })
        .await;
    }

    /// Ends a connection, as it ended there.
    fn end(&mut self, exchange: &Exchange) {
        if command_of(exchange) == Command::QUIT.0 {
            self.open.remove(&(exchange.scenario().to_owned(), exchange.conn));
        }
    }
}

/// A tracker that answers what it answered in the recording: to each command in turn, the last answer again and again.
struct Peer {
    pings: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

type Answers = Arc<Mutex<HashMap<u8, VecDeque<Vec<u8>>>>>;

impl Peer {
    async fn start(address: &str, script: &Script, recorded: &[Exchange]) -> Self {
        let ours = script.tracker.split(':').next().expect("an address");
        let mut answers: HashMap<u8, VecDeque<Vec<u8>>> = HashMap::new();
        for exchange in recorded {
            let is_asked = exchange.to.ends_with(&format!(" {address}")) && exchange.sender() == ours;
            if let (true, true, Some(answer)) =
                (is_asked, script.scenarios.contains(&exchange.scenario()), &exchange.response_hex)
            {
                let answer = hex::decode(answer).expect("hex");
                answers.entry(command_of(exchange)).or_default().push_back(answer);
            }
        }
        let answers: Answers = Arc::new(Mutex::new(answers));
        let pings = Arc::new(AtomicU32::new(0));
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
        let counted = Arc::clone(&pings);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(play(stream, Arc::clone(&answers), Arc::clone(&counted)));
            }
        });
        Self { pings, task }
    }

    /// Waits until it was followed.
    async fn until_pinged(&self) {
        let pings = || self.pings.load(Ordering::SeqCst);
        eventually("our tracker follows", async || (pings() > 0).then_some(())).await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: tokio::net::TcpStream, answers: Answers, pings: Arc<AtomicU32>) {
    let mut header = [0; Header::LEN];
    while stream.read_exact(&mut header).await.is_ok() {
        let header = Header::decode(&header).expect("a tracker sends good headers");
        let mut body = vec![0; usize::try_from(header.length).expect("a short request")];
        stream.read_exact(&mut body).await.expect("a whole request");
        if header.command == Command::TRACKER_PING_LEADER {
            pings.fetch_add(1, Ordering::SeqCst);
        }
        let answer = match answers.lock().get_mut(&header.command.0) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        };
        let answer = answer.unwrap_or_else(|| Header::answer(Status::EINVAL).encode().to_vec());
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Waits until our tracker leads.
async fn leads(world: &World) {
    eventually("our tracker leads", async || {
        let mut client = world.client("127.0.0.4").await;
        let answer = client.try_ask(&TrackerStatusRequest).await;
        answer.is_ok_and(|answer| answer.is_leader).then_some(())
    })
    .await;
}

fn command_of(exchange: &Exchange) -> u8 {
    u8::from_str_radix(&exchange.request_hex[16..18], 16).expect("hex")
}

/// An answer with times and figures left out.
fn without_live_values(command: Command, answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    if STATUS_ONLY.contains(&command) {
        // Length and content hold times and space.
        return answer.get(8..Header::LEN).map_or_else(Vec::new, <[u8]>::to_vec);
    }
    let end = answer.len();
    match command {
        Command::SYNC_DEST_REQ | Command::SYNC_SRC_REQ | Command::SYNC_DEST_QUERY if end > Header::LEN => {
            answer.truncate(end - 8);
        }
        Command::TRACKER_GET_STATUS if end > Header::LEN => answer.truncate(Header::LEN + 1),
        Command::CHANGELOG_REQ => {
            let (mut kept, mut is_time) = (answer[..Header::LEN].to_vec(), true);
            for byte in &answer[Header::LEN..] {
                is_time = match byte {
                    b' ' => false,
                    b'\n' => true,
                    _ => is_time,
                };
                if !is_time || *byte == b'\n' {
                    kept.push(*byte);
                }
            }
            answer = kept;
        }
        _ => {}
    }
    answer
}

/// Requests that only a connection makes that has joined.
const JOINED: &[Command] = &[
    Command::BEAT,
    Command::REPORT_DISK_USAGE,
    Command::SYNC_REPORT,
    Command::REPLICA_CHANGE,
    Command::STORAGE_CHANGE_STATUS,
];

/// Answers that are made of times and figures.
const STATUS_ONLY: &[Command] =
    &[Command::GET_ONE_SYS_FILE, Command::LIST_STORAGES, Command::LIST_ONE_GROUP, Command::PARAMETER_REQ];
