//! `kill -9` of random processes under load: nothing that was acknowledged is lost or left on one storage.
//!
//! A longer run by one command: `FDFS_KILL_ROUNDS=3000 cargo test -p fdfs-tests --test cluster killed -- --nocapture`, with
//! `FDFS_KILL_SEED` for the seed of another run, and `FDFS_KEEP_CLUSTER=1` to look at what it leaves.

use std::env;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use fdfs_tests::{Cluster, wait_for_equal_replicas};

use crate::fleet::{client_of, fleet};
use crate::load::Load;

#[test]
fn no_acknowledged_change_is_lost_when_processes_are_killed_at_random() -> Result<()> {
    let rounds = match env::var("FDFS_KILL_ROUNDS") {
        Ok(rounds) => rounds.parse().context("FDFS_KILL_ROUNDS")?,
        Err(_) => 300,
    };
    let seed = match env::var("FDFS_KILL_SEED") {
        Ok(seed) => seed.parse().context("FDFS_KILL_SEED")?,
        Err(_) => fastrand::u64(..),
    };
    println!("FDFS_KILL_SEED={seed} FDFS_KILL_ROUNDS={rounds}");
    let mut rng = Rng::with_seed(seed);
    let mut cluster = Cluster::start(fleet(2, &[("group1", 3)])?)?;
    let load = Load::start(client_of(&cluster.config().trackers), 3, rng.fork());
    for round in 0..rounds {
        // A process may be killed while it starts, and while another is still starting.
        load.wait_for_more(rng.usize(1..20), LOAD_LIMIT).with_context(|| format!("round {round}"))?;
        match rng.usize(..5) {
            tracker @ 0..2 => cluster.crash_tracker(tracker)?,
            storage => cluster.crash_storage(storage - 2)?,
        }
    }
    let record = load.stop()?;
    for index in 0..3 {
        cluster.wait_until_active(index)?;
    }
    let files = wait_for_equal_replicas(&cluster, &[0, 1, 2], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)?;
    println!(
        "{} changes acknowledged, {} refused, {} files",
        record.acknowledged,
        record.refused.len(),
        files.len()
    );
    Ok(())
}

const LOAD_LIMIT: Duration = Duration::from_secs(60);
const SYNC_LIMIT: Duration = Duration::from_secs(120);
