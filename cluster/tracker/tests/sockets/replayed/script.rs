//! What is repeated of the recording, and what is known about it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fdfs_conf::Configuration as _;
use fdfs_proto::Command;
use fdfs_proto::tracker::TrackerStatusRequest;

use super::played::Cast;
use super::talk::{Talk, until_missed};
use super::varying::without_varying;
use crate::own_network::again_in_own_network;
use crate::recorded::{Exchange, exchanges, turn};
use crate::support::{World, eventually};

/// When the recording was made, in Unix time: its youngest file says so.
const RECORDED: Duration = Duration::from_secs(1_795_326_270);

/// What is repeated, and what is known about it.
#[derive(Default)]
pub(super) struct Script {
    /// The tracker in whose place ours is.
    pub(super) tracker: &'static str,
    /// Another address of it.
    pub(super) second_address: Option<&'static str>,
    /// Trackers and storages that are played. They are there from the beginning unless an event starts them.
    pub(super) played: &'static [&'static str],
    /// Lines of `tracker.conf`.
    pub(super) settings: &'static str,
    /// Lines of `storage_ids.conf`.
    pub(super) ids: &'static str,
    /// Files of the tracker's data directory, when it starts.
    pub(super) files: Option<fn(&Path)>,
    /// Where the requests were recorded; if nothing is said, in the lives of clusters.
    pub(super) recording: Option<fn() -> Vec<Exchange>>,
    /// Which requests are repeated, in this order.
    pub(super) scenarios: &'static [&'static str],
    /// What has to have happened before an exchange.
    pub(super) before: &'static [(&'static str, Event)],
    /// When requests had their effect that were held up: the original pauses for a second where its tables grow.
    pub(super) delayed: &'static [(&'static str, f64)],
    /// From where a request comes here, where it came from an address that says nothing.
    pub(super) senders: &'static [(&'static str, &'static str)],
    /// Where the answers are other ones on purpose, under the same status, and why.
    pub(super) differences: &'static [(&'static str, &'static str)],
}

/// Something that happens, or happened without having been recorded.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// Our tracker leads; the others agree.
    Leads,
    /// Our tracker follows the one that is played.
    Follows(&'static str),
    /// One that is played is there.
    Starts(&'static str),
    /// One that is played is there no more.
    Dies(&'static str),
    /// One that is played says this, and then what it said in the recording.
    Says(&'static str, &'static str),
    /// A storage has ended.
    StorageEnds(&'static str),
    /// The tracker has noticed that a storage has ended.
    Missed(&'static str),
    /// Storages beat until there is nothing to tell them.
    Beats(&'static [&'static str]),
    /// Storages beat until one that is played has been asked something by our tracker.
    BeatsUntilAsked(&'static [&'static str], &'static str),
    /// This storage is trunk server.
    TrunkServer(&'static str),
    /// A recorded request comes from this address, and is not refused.
    Sends(&'static str, &'static str),
    /// A request that was not recorded comes from this address, and is answered somehow.
    SendsBytes(&'static str, &'static str),
}

/// Repeats what a script says.
pub(super) async fn replay(script: &Script) {
    if tokio::task::block_in_place(again_in_own_network) {
        return;
    }
    // The requests name these addresses and ports.
    let _turn = turn().await;
    let world = start(script).await;
    let recorded = script.recording.unwrap_or(exchanges)();
    let ours = script.tracker.split_once(':').map_or(script.tracker, |(ip, _)| ip);
    let mut cast = Cast::new(ours, &recorded);
    let comes_later = |address: &str| {
        let starts = |(_, event): &(&str, Event)| matches!(event, Event::Starts(one) if *one == address);
        script.before.iter().any(starts)
    };
    for address in script.played.iter().filter(|address| !comes_later(address)) {
        cast.start(address).await;
    }
    let mut talk = Talk::new(world.address);
    let (mut wrong, mut used, mut compared) = (Vec::new(), Vec::new(), 0);
    for scenario in script.scenarios {
        cast.begin(scenario);
        for exchange in part(&recorded, scenario, script) {
            let at = exchange.at();
            for (_, event) in script.before.iter().filter(|(before, _)| *before == at) {
                happen(*event, &world, &mut talk, &mut cast, &recorded).await;
            }
            let Some(expected) = &exchange.response_hex else {
                talk.end(exchange);
                continue;
            };
            let sender = script.senders.iter().find(|(place, _)| *place == at).map(|(_, sender)| *sender);
            let expected = hex::decode(expected).expect("hex");
            let answer = talk.ask(&world, exchange, sender).await;
            compared += 1;
            let differs = script.differences.iter().any(|(place, _)| *place == at);
            used.extend(differs.then_some(at));
            if !is_right(exchange.command(), &answer, &expected, differs) {
                wrong.push(describe(exchange, &answer, &expected));
            }
        }
    }
    assert!(compared > 0);
    assert!(wrong.is_empty(), "{} of {compared} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(used.len(), script.differences.len(), "a difference is told where nothing was asked");
}

/// The requests of a scenario, and of what went on beside it, to one tracker, in their order.
fn part<'a>(recorded: &'a [Exchange], scenario: &str, script: &Script) -> Vec<&'a Exchange> {
    let is_mine = |exchange: &&Exchange| {
        let to = exchange.to.trim_start_matches("tracker ");
        let is_here = to == script.tracker || Some(to) == script.second_address;
        // Where there are no scenarios, a port is not told either.
        is_here && exchange.scenario().starts_with(scenario) || exchange.at() == scenario
    };
    let mut part: Vec<_> = recorded.iter().filter(is_mine).collect();
    let time = |exchange: &Exchange| {
        let at = exchange.at();
        script.delayed.iter().find(|(delayed, _)| *delayed == at).map_or(exchange.t, |(_, time)| *time)
    };
    part.sort_by(|one, other| time(one).total_cmp(&time(other)));
    part
}

async fn start(script: &Script) -> World {
    let files = script.files.unwrap_or(|_| {});
    World::start_prepared(|base| {
        std::fs::create_dir_all(base.join("data")).expect("a directory");
        files(&base.join("data"));
        std::fs::write(base.join("storage_ids.conf"), script.ids).expect("a file");
        let path = base.join("tracker.conf");
        let (ip, port) = script.tracker.split_once(':').expect("an address");
        let base_path = base.display();
        let text = format!(
            "base_path = {base_path}\nbind_addr = {ip}\nport = {port}\nwork_threads = 2\n{}",
            script.settings
        );
        std::fs::write(&path, text).expect("a file");
        let loaded = fdfs_conf::TrackerConfig::read(&path, &mut |path| std::fs::read(path));
        let mut config = loaded.expect("good settings").config;
        // The recorded files were young then, and are older with every day that this is repeated.
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock that is right");
        config.cluster.storage_sync_file_max_delay +=
            now.checked_sub(RECORDED).expect("a clock that is right");
        config
    })
    .await
}

async fn happen(event: Event, world: &World, talk: &mut Talk, cast: &mut Cast<'_>, recorded: &[Exchange]) {
    let request = |at: &str| {
        let one = recorded.iter().find(|exchange| exchange.at() == at).expect("it was recorded");
        hex::decode(&one.request_hex).expect("hex")
    };
    match event {
        Event::Leads => {
            cast.agree(true);
            leads(world).await;
            cast.agree(false);
        }
        Event::Follows(leader) => cast.until_asked(leader, Command::TRACKER_PING_LEADER).await,
        Event::Starts(address) => cast.start(address).await,
        Event::Dies(address) => cast.stop(address),
        Event::Says(address, answer) => {
            cast.says(address, hex::decode(answer.replace(' ', "")).expect("hex"));
        }
        Event::StorageEnds(from) => talk.leave(world, from).await,
        Event::Missed(storage) => until_missed(world, storage).await,
        Event::Beats(storages) => storages.iter().for_each(|from| talk.beat_until_quiet(from)),
        Event::BeatsUntilAsked(storages, address) => {
            cast.until_asked_while(address, || {
                for from in storages {
                    talk.beat(from);
                }
            })
            .await;
        }
        Event::TrunkServer(address) => talk.until_trunk_server(world, address).await,
        Event::Sends(at, from) => {
            let answer = talk.send(world, &request(at), from).await;
            assert_eq!(answer.get(9), Some(&0), "{at} from {from}");
        }
        Event::SendsBytes(bytes, from) => {
            let bytes = hex::decode(bytes.replace(' ', "")).expect("hex");
            talk.send(world, &bytes, from).await;
        }
    }
}

/// Waits until our tracker leads.
async fn leads(world: &World) {
    eventually("our tracker leads", async || {
        let mut client = world.client_like_server().await;
        let answer = client.try_ask(&TrackerStatusRequest).await;
        answer.is_ok_and(|answer| answer.is_leader).then_some(())
    })
    .await;
}

fn is_right(command: Command, answer: &[u8], expected: &[u8], differs: bool) -> bool {
    let is_equal = without_varying(command, answer) == without_varying(command, expected);
    answer.get(9) == expected.get(9) && is_equal != differs
}

fn describe(exchange: &Exchange, answer: &[u8], expected: &[u8]) -> String {
    let status = |bytes: &[u8]| bytes.get(9).copied();
    format!(
        "{} {}: status {:?}, recorded {:?}\n  {}\n  {}",
        exchange.at(),
        exchange.note.as_deref().unwrap_or_default(),
        status(answer),
        status(expected),
        hex::encode(answer),
        hex::encode(expected)
    )
}
