//! Storages and groups that join while clients read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_tests::Deadline;

use crate::fleet::member_of;
use crate::stage::{Stage, Stored};

#[test]
fn a_storage_and_a_group_that_join_under_load_are_served_with_nothing_restarted() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 1)])?;
    let files: Vec<Stored> = (0..10).map(|_| stage.store("group1", 3000)).collect::<Result<_>>()?;
    let (_gateway, browser) = stage.front("")?;
    let (stop, answered, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (second, of_new_group) = std::thread::scope(|scope| {
        let load = || {
            while !stop.load(Ordering::Relaxed) {
                for file in &files {
                    match browser.get(&file.path()) {
                        Ok(page) if page.status == 200 && page.body == file.content => {}
                        answer => wrong.lock().expect("no holder panics").push(format!("{answer:?}")),
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        scope.spawn(load);
        let joining = (|| {
            let second = stage.cluster.add_storage(member_of("group1")?)?;
            stage.settle(&[0, second])?;
            stage.cluster.add_storage(member_of("group2")?)?;
            let mut stored = Err(anyhow::anyhow!("not tried"));
            Deadline::after(LIMIT).wait_for("an upload to the new group", || {
                stored = stage.store("group2", 4000);
                ensure!(stored.is_ok(), "{stored:?}");
                Ok(())
            })?;
            let stored = stored?;
            // The first request for a group that nobody asked for before.
            let page = browser.get(&stored.path())?;
            ensure!(page.status == 200 && page.body == stored.content, "{}", page.status);
            Ok((second, stored))
        })();
        stop.store(true, Ordering::Relaxed);
        joining
    })?;
    let wrong = wrong.into_inner()?;
    ensure!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), answered.into_inner(), wrong.first());
    // The newcomer serves alone, too.
    stage.cluster.kill_storage(0)?;
    for file in files.iter().chain([&of_new_group]) {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{} from storage {second}", page.status);
    }
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(60);
