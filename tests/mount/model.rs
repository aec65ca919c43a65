//! The same random operations on a mount, through S3 and on a plain directory: after each of them all show the same.

mod reference;
mod world;

use std::thread;

use anyhow::{Context as _, Result};
use fdfs_tests::{Mounting, Site};

use self::world::World;
use crate::can_mount;

#[test]
fn a_mount_and_s3_show_what_a_plain_directory_would() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let number = |name: &str, usual: u64| std::env::var(name).map_or(Ok(usual), |text| text.parse());
    let operations = number("FDFS_MODEL_OPERATIONS", OPERATIONS)?;
    let first = number("FDFS_MODEL_FIRST_SEED", 1)?;
    let seeds = number("FDFS_MODEL_SEEDS", SEEDS)?;
    let site = Site::start()?;
    let other = Mounting::start(&site, "other", &[])?;
    let run = |seed: u64| -> Result<()> {
        let mut world = World::new(&site, &other, seed)?;
        for step in 0..operations {
            world
                .step()
                .and_then(|()| world.compare(step))
                .with_context(|| format!("seed {seed}, step {step}\n{}", world.history()))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let seeds: Vec<_> = (first..first + seeds).map(|seed| scope.spawn(move || run(seed))).collect();
        seeds.into_iter().try_for_each(|seed| seed.join().expect("no seed panics"))
    })
}

const SEEDS: u64 = 3;
/// Operations of each seed.
const OPERATIONS: u64 = 250;
