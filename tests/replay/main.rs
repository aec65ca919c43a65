//! Replays every recorded exchange with the original against our daemons: the answers are equal apart
//! from what varies between runs, or the difference stands in `differences.json` with its reason.
//!
//! The recordings are in `tests/vectors/wire-client.json`. They hold addresses and ports, so the clusters
//! here use the same ones and take turns.

mod differences;
mod names;
mod player;
mod recording;
mod setups;
mod varying;

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{Answer, Cluster, ClusterConfig, Deadline, Wire};
use rustix::fs::{FlockOperation, flock};

use crate::differences::Differences;
use crate::player::Player;
use crate::recording::Exchange;

#[test]
fn two_storages_answer_as_recorded() -> Result<()> {
    let _turn = Turn::take()?;
    let mut cluster = start(setups::two_storages())?;
    let mut player = Player::new(cluster.config().tracker())?;
    let recorded = exchanges("A")?;
    for exchange in &recorded {
        if exchange.name == "A/s/download/via_second_server" {
            await_alike(&mut player, exchange, None)?;
        }
        player.play(exchange);
    }

    // Once the tracker knows that the first storage has what the second one stored, it offers both. Only
    // later files of the second one tell it so.
    if !player.expects_difference("A/s/download/via_second_server") {
        let later_file = find(&recorded, "A/s/upload/F2_on_second_server")?;
        let offered = find(&recorded, "A/t/query_fetch_all/F2")?;
        await_answer(
            &mut player,
            &offered,
            Some(&later_file),
            |answer| matches!(answer, Answer::Frame { status: 0, body, .. } if body.len() == TWO_STORAGES_LEN),
        );
    }
    cluster.stop_storage(1)?;
    exchanges("A2")?.iter().for_each(|exchange| player.play(exchange));

    cluster.stop_storage(0)?;
    exchanges("A3")?.iter().for_each(|exchange| player.play(exchange));
    player.finish();
    Ok(())
}

#[test]
fn storage_ids_and_trunk_files_answer_as_recorded() -> Result<()> {
    let _turn = Turn::take()?;
    let cluster = start(setups::ids_and_trunk())?;
    await_trunk_servers(&cluster)?;
    let mut player = Player::new(cluster.config().tracker())?;
    let recorded = exchanges("B")?;
    let later_file = find(&recorded, "B/s/upload/trunk")?;
    for exchange in &recorded {
        if exchange.name == "B/t/query_fetch_all/trunk" {
            await_alike(&mut player, exchange, Some(&later_file))?;
        }
        player.play(exchange);
    }
    player.finish();
    Ok(())
}

/// Small files get slots once each storage has heard of the trunk server of its group, and that is in office.
fn await_trunk_servers(cluster: &Cluster) -> Result<()> {
    let limit = Duration::from_secs(60);
    let base = |index: usize| cluster.dir().join(format!("storage{index}"));
    let is_in_office = |index: usize| base(index).join("data/rs/trunk_office").exists();
    for index in 0..3 {
        Deadline::after(limit).wait_for("a trunk server", || {
            let log = std::fs::read_to_string(base(index).join("logs/storaged.log"))?;
            ensure!(log.contains("trunk server of the group"), "storage {index} knows of none");
            ensure!((is_in_office(0) || is_in_office(1)) && is_in_office(2), "a group has none in office");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn storage_ids_and_linked_slaves_answer_as_recorded() -> Result<()> {
    replay("C", setups::ids_and_links())
}

#[test]
fn a_long_group_name_answers_as_recorded() -> Result<()> {
    replay("H", setups::long_group_name())
}

#[test]
fn the_tools_of_the_original_are_answered_as_recorded() -> Result<()> {
    replay("tools", setups::two_storages())
}

#[test]
fn no_group_and_no_space_answer_as_recorded() -> Result<()> {
    let _turn = Turn::take()?;
    let mut cluster = Cluster::start_trackers(setups::no_space())?;
    let mut player = Player::new(cluster.config().tracker())?;
    let (without_group, without_space): (Vec<_>, Vec<_>) = exchanges("G")?
        .into_iter()
        .partition(|exchange| exchange.name.starts_with("G/t/") && !exchange.name.ends_with("no_space"));
    without_group.iter().for_each(|exchange| player.play(exchange));
    cluster.start_storage(0)?;
    cluster.start_storage(1)?;
    without_space.iter().for_each(|exchange| player.play(exchange));
    player.finish();
    Ok(())
}

/// The recorded address is no loopback address: this test runs once more in a network of its own, where
/// it may be set.
#[test]
fn ipv6_answers_as_recorded() -> Result<()> {
    if env::var_os(IN_OWN_NETWORK).is_some() {
        return replay("E", setups::ipv6());
    }
    let script =
        format!("ip link set lo up && ip address add {}/128 dev lo && exec \"$@\"", setups::IPV6_ADDRESS);
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", &script, "sh"])
        .arg(env::current_exe()?)
        .args(["--exact", "ipv6_answers_as_recorded", "--nocapture"])
        .env(IN_OWN_NETWORK, "1")
        .env("FDFS_BINARY", fdfs_tests::fdfs_binary()?)
        .status()
        .context("unshare (util-linux) and ip (iproute2) are needed")?;
    ensure!(status.success(), "the replay in a network of its own: {status}");
    Ok(())
}

#[test]
fn every_difference_names_a_recorded_exchange() -> Result<()> {
    let recorded: BTreeSet<_> =
        Exchange::load()?.into_values().flatten().map(|exchange| exchange.name).collect();
    assert_eq!(recorded.len(), EXCHANGES);
    for name in Differences::load()?.names() {
        assert!(recorded.contains(name), "{name} was never recorded");
    }
    Ok(())
}

/// Starts a cluster and plays a whole configuration.
fn replay(config: &str, setup: ClusterConfig) -> Result<()> {
    let _turn = Turn::take()?;
    let cluster = start(setup)?;
    let mut player = Player::new(cluster.config().tracker())?;
    exchanges(config)?.iter().for_each(|exchange| player.play(exchange));
    player.finish();
    Ok(())
}

/// Starts a cluster and waits until its tracker leads.
fn start(setup: ClusterConfig) -> Result<Cluster> {
    let cluster = Cluster::start(setup)?;
    let tracker = cluster.config().tracker();
    Deadline::after(LEADER_LIMIT).wait_for("leader", || {
        match Wire::connect(tracker)?.call(GET_LEADER, b"")? {
            Answer::Frame { status: 0, .. } => Ok(()),
            other => bail!("{other:?}"),
        }
    })?;
    // Members of a group that have just met say "try again" of a file that neither has, until each knows the other.
    for storage in &cluster.config().storages {
        let mut body = vec![0; 16];
        body.extend_from_slice(format!("{:\0<16}M00/00/00/x", storage.group).as_bytes());
        Deadline::after(LEADER_LIMIT).wait_for("a certain answer", || {
            match Wire::connect(storage.address)?.call(DOWNLOAD, &body)? {
                Answer::Frame { status: TRY_AGAIN, .. } => bail!("try again"),
                _ => Ok(()),
            }
        })?;
    }
    Ok(cluster)
}

fn exchanges(config: &str) -> Result<Vec<Exchange>> {
    Exchange::load()?.remove(config).with_context(|| format!("no exchange of {config}"))
}

fn find(exchanges: &[Exchange], name: &str) -> Result<Exchange> {
    exchanges.iter().find(|exchange| exchange.name == name).cloned().with_context(|| name.to_owned())
}

/// Waits until the answer to `exchange` has the recorded status and length, unless a difference is
/// expected: what replicates needs a moment.
fn await_alike(player: &mut Player, exchange: &Exchange, meanwhile: Option<&Exchange>) -> Result<()> {
    if player.expects_difference(&exchange.name) {
        return Ok(());
    }
    let length = exchange.response_body()?.len();
    await_answer(player, exchange, meanwhile, |answer| {
        matches!(answer, Answer::Frame { status, body, .. }
            if Some(*status) == exchange.status && body.len() == length)
    });
    Ok(())
}

/// Asks `exchange` again and again, sending `meanwhile` before each time. When this is in vain, the
/// comparison that follows tells.
fn await_answer(
    player: &mut Player,
    exchange: &Exchange,
    meanwhile: Option<&Exchange>,
    is_awaited: impl Fn(&Answer) -> bool,
) {
    let awaited = Deadline::after(REPLICATION_LIMIT).wait_for(&exchange.name, || {
        if let Some(meanwhile) = meanwhile {
            player.probe(meanwhile)?;
        }
        let answer = player.probe(exchange)?;
        ensure!(is_awaited(&answer), "{answer:?}");
        Ok(())
    });
    if let Err(error) = awaited {
        eprintln!("{error:#}");
    }
}

/// The right to use the recorded addresses: one replay at a time, whoever runs the tests.
struct Turn(#[expect(dead_code, reason = "holds the lock until dropped")] File);

impl Turn {
    fn take() -> Result<Self> {
        let path = env::temp_dir().join("fdfs-replay.lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        Deadline::after(TURN_LIMIT).wait_for("turn to use the recorded addresses", || {
            flock(&file, FlockOperation::NonBlockingLockExclusive)
        })?;
        Ok(Self(file))
    }
}

const IN_OWN_NETWORK: &str = "FDFS_REPLAY_IN_OWN_NETWORK";
/// How many exchanges were recorded.
const EXCHANGES: usize = 588;
/// Body that offers two storages for reading.
const TWO_STORAGES_LEN: usize = 16 + 2 * 23;
/// `EAGAIN`.
const TRY_AGAIN: u8 = 11;
const DOWNLOAD: u8 = 14;
const GET_LEADER: u8 = 95;
const LEADER_LIMIT: Duration = Duration::from_secs(30);
/// The original begins to replicate to a new storage only after a while.
const REPLICATION_LIMIT: Duration = Duration::from_secs(90);
const TURN_LIMIT: Duration = Duration::from_secs(600);
