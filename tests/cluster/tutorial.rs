//! The cluster of the tutorials: two trackers, two groups of two storages.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fdfs_tests::{Cluster, Deadline, wait_for_equal_replicas};

use crate::fleet::{client_of, fleet, member_of};
use crate::load::Load;

#[test]
fn two_trackers_and_two_groups_serve_while_leaders_and_members_come_and_go() -> Result<()> {
    let mut cluster = Cluster::start(fleet(2, &[("group1", 2), ("group2", 2)])?)?;
    let leader = cluster.leader_among(&[0, 1], ELECTION_LIMIT)?;
    let other = 1 - leader;

    let load = Load::start(client_of(&cluster.config().trackers), 2, fastrand::Rng::with_seed(3));
    load.wait_for_files(&["group1", "group2"], LOAD_LIMIT)?;

    cluster.kill_tracker(leader)?;
    load.wait_for_more(50, LOAD_LIMIT).context("while the leader is dead")?;
    ensure!(cluster.leader_among(&[other], ELECTION_LIMIT)? == other);
    cluster.start_tracker(leader)?;
    load.wait_for_more(50, LOAD_LIMIT).context("while the first leader returns")?;
    ensure!(cluster.leader_among(&[0, 1], ELECTION_LIMIT)? == other, "the one that returned must follow");

    let newcomer = cluster.add_storage(member_of("group1")?).context("a third storage")?;
    let first_of_third = cluster.add_storage(member_of("group3")?).context("a third group")?;
    let second_of_third = cluster.add_storage(member_of("group3")?).context("its second storage")?;
    load.wait_for_files(&["group3"], LOAD_LIMIT)?;

    let record = load.stop()?;
    ensure!(record.refused.is_empty(), "refused in spite of retries: {:?}", record.refused);
    for (group, members) in [
        ("group1", vec![0, 1, newcomer]),
        ("group2", vec![2, 3]),
        ("group3", vec![first_of_third, second_of_third]),
    ] {
        let files = wait_for_equal_replicas(&cluster, &members, SYNC_LIMIT).context(group)?;
        record.agrees_with(group, &files)?;
    }
    Ok(())
}

#[test]
fn a_storage_that_was_away_gets_what_it_missed() -> Result<()> {
    let mut cluster = Cluster::start(fleet(1, &[("group1", 2)])?)?;
    let load = Load::start(client_of(&cluster.config().trackers), 2, fastrand::Rng::with_seed(4));
    load.wait_for_files(&["group1"], LOAD_LIMIT)?;
    cluster.stop_storage(1)?;
    load.wait_for_more(100, LOAD_LIMIT)?;
    cluster.start_storage(1)?;
    load.wait_for_more(20, LOAD_LIMIT)?;
    let record = load.stop()?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)
}

#[test]
fn clients_and_storages_work_on_without_a_leader() -> Result<()> {
    let mut cluster = Cluster::start(fleet(2, &[("group1", 2)])?)?;
    let leader = cluster.leader_among(&[0, 1], ELECTION_LIMIT)?;
    // The survivor is frozen out of leading: it needs three failed pings first, and uploads do not wait for that.
    cluster.kill_tracker(leader)?;
    let load = Load::start(client_of(&cluster.config().trackers), 1, fastrand::Rng::with_seed(5));
    load.wait_for_more(20, Duration::from_secs(6))?;
    let record = load.stop()?;
    ensure!(record.refused.is_empty(), "refused in spite of retries: {:?}", record.refused);
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)
}

#[test]
fn a_frozen_leader_does_not_block_the_election_of_another() -> Result<()> {
    let mut cluster = Cluster::start(fleet(3, &[("group1", 1)])?)?;
    let leader = cluster.leader_among(&[0, 1, 2], ELECTION_LIMIT)?;
    let living: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    cluster.freeze_tracker(leader)?;
    cluster.leader_among(&living, ELECTION_LIMIT)?;
    cluster.thaw_tracker(leader)?;
    Deadline::after(ELECTION_LIMIT)
        .wait_for("one leader again", || cluster.leader_among(&[0, 1, 2], Duration::from_secs(1)))?;
    cluster.kill_tracker(leader)
}

/// The original needs up to 8 s for its first leader, and 7.6 s after one was killed.
const ELECTION_LIMIT: Duration = Duration::from_secs(25);
const LOAD_LIMIT: Duration = Duration::from_secs(90);
const SYNC_LIMIT: Duration = Duration::from_secs(120);
