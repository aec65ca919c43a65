//! Three trackers and three groups of three storages in one process without sockets, disks and
//! clocks: messages are lost, delayed, doubled and overtake each other, processes crash with what they
//! had not saved, freeze, and have their clocks set. All follows from a seed.
//!
//! ```text
//! FDFS_SIM_SEEDS=3000 cargo test -p fdfs-rules --test simulation      so many seeds
//! FDFS_SIM_SEED=17    cargo test -p fdfs-rules --test simulation      this one, with its trace
//! ```

mod checks;
mod message;
mod random;
mod storage;
mod tracker;
mod world;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::world::World;

/// So many seeds are run unless the environment says otherwise.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_the_cluster_loses_nothing_and_comes_to_rest() {
    if let Some(seed) = number("FDFS_SIM_SEED") {
        if let Err(fault) = World::run(seed, true) {
            panic!("seed {seed}: {fault}");
        }
        return;
    }
    let seeds = number("FDFS_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let run = || {
        let mut faults = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || faults.len() >= 3 {
                return faults;
            }
            if let Err(fault) = World::run(seed, false) {
                faults.push((seed, fault));
            }
        }
    };
    let mut faults: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    faults.sort();
    if let Some((seed, fault)) = faults.first() {
        let all: Vec<_> = faults.iter().map(|(seed, _)| seed.to_string()).collect();
        panic!(
            "seeds {} fail. The first, {seed}: {fault}\nrun it again: \
             FDFS_SIM_SEED={seed} cargo test -p fdfs-rules --test simulation -- --nocapture",
            all.join(" ")
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 2, 3] {
        assert_eq!(World::run(seed, false), World::run(seed, false), "seed {seed}");
    }
    assert_ne!(World::run(1, false), World::run(2, false));
}
