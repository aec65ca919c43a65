//! Small files in trunk files, in a group whose members are killed at random, and that changes its trunk server.
//!
//! A larger run by one command: `FDFS_TRUNK_FILES=30000 cargo test -p fdfs-tests --test cluster trunk -- --nocapture`.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use fdfs_client::{ByteRange, Client, UploadSpec};
use fdfs_proto::Request as _;
use fdfs_proto::storage::DownloadRequest;
use fdfs_tests::{Answer, Cluster, ClusterConfig, Deadline, Wire, fdfs_binary};
use fdfs_types::{Extension, FileId, RemoteFilename};
use tokio::time::sleep;

use crate::fleet::{client_of, fleet};

/// A group with small trunk files.
fn group_of(members: usize) -> Result<ClusterConfig> {
    let mut config = fleet(1, &[("group1", members)])?;
    config.tracker_lines.push_str(
        "use_trunk_file=1\nslot_max_size=1MB\ntrunk_file_size=8MB\ntrunk_alloc_alignment_size=256\n\
         trunk_free_space_merge=1\n",
    );
    for storage in &mut config.storages {
        storage.lines.push_str("trunk_reclaim_after=2\n");
    }
    Ok(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_small_file_and_no_slot_is_lost_when_members_are_killed_at_random() -> Result<()> {
    let files = env::var("FDFS_TRUNK_FILES").map_or(Ok(5000), |files| files.parse())?;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    wait_for_slots(&client).await?;
    let (left, ended) = (Arc::new(AtomicUsize::new(files)), Arc::new(AtomicBool::new(false)));
    let work = |mut rng: Rng| {
        let (client, left) = (client.clone(), Arc::clone(&left));
        tokio::spawn(async move {
            let mut kept: Vec<(FileId, u64)> = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                let seed = rng.u64(..);
                if let Ok(stored) = client.upload(UploadSpec::new(Extension::none()), &content(seed)).await {
                    kept.push((stored.file_id, seed));
                }
                if rng.u8(..3) == 0 && !kept.is_empty() {
                    // A delete that fails may have been made.
                    let (file_id, _) = kept.swap_remove(rng.usize(..kept.len()));
                    let _ = client.delete(&file_id).await;
                }
            }
            kept
        })
    };
    let workers: Vec<_> = (0..4).map(|_| work(rng.fork())).collect();
    let done = Arc::clone(&ended);
    let mut kills = 0;
    let watched = tokio::spawn(async move {
        let mut kept = Vec::new();
        for worker in workers {
            kept.extend(worker.await?);
        }
        done.store(true, Ordering::Relaxed);
        anyhow::Ok(kept)
    });
    while !ended.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(rng.u64(200..900))).await;
        cluster.crash_storage(rng.usize(..2))?;
        kills += 1;
    }
    let kept = watched.await??;
    for index in 0..2 {
        cluster.wait_until_active(index)?;
    }
    let in_slots = kept.iter().filter(|(id, _)| is_in_slot(&id.filename)).count();
    println!("{kills} kills, {} files kept, {in_slots} of them in trunk files", kept.len());
    // Everything is everywhere.
    for storage in &cluster.config().storages {
        let mut wire = Wire::connect(storage.address)?;
        for (file_id, seed) in &kept {
            let request = DownloadRequest { offset: 0, length: 0, file_id: file_id.clone() }.frame();
            let deadline = Instant::now() + LIMIT;
            loop {
                wire.send(&request)?;
                let answer = wire.read_answer()?;
                if let Answer::Frame { status: 0, body, .. } = &answer {
                    ensure!(*body == content(*seed), "{file_id} at {}", storage.address);
                    break;
                }
                if Instant::now() > deadline {
                    bail!("{file_id} at {}: {answer:?}", storage.address);
                }
                sleep(Duration::from_millis(200)).await;
                wire = Wire::connect(storage.address)?;
            }
        }
    }
    // Every part of every trunk file has one owner, once gaps are found.
    let deadline = Instant::now() + LIMIT;
    let mut checks;
    loop {
        sleep(Duration::from_secs(3)).await;
        checks = Vec::new();
        for index in 0..2 {
            cluster.stop_storage(index)?;
        }
        for index in 0..2 {
            checks.push(trunk(&cluster, index, "check")?);
        }
        if checks.iter().all(|(is_good, _)| *is_good) {
            break;
        }
        ensure!(Instant::now() < deadline, "{checks:#?}");
        for index in 0..2 {
            cluster.launch_storage(index)?;
        }
        for index in 0..2 {
            cluster.wait_until_active(index)?;
        }
    }
    println!("{}", checks[0].1);
    let inodes = inodes(&cluster.store_path(0, 0).join("data"))?;
    println!("{inodes} files on the disk");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_trunk_server_refuses_no_upload() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    wait_for_slots(&client).await?;
    let mut ids = Vec::new();
    for seed in 0..20 {
        ids.push(client.upload(UploadSpec::new(Extension::none()), &content(seed)).await?.file_id);
    }
    let server = usize::from(sign(&cluster, 1));
    ensure!(sign(&cluster, server), "no trunk server");
    cluster.kill_storage(server)?;
    // The other goes on with plain files, and with slots when it is the trunk server.
    let address = cluster.config().storages[1 - server].address;
    let deadline = Instant::now() + LIMIT;
    loop {
        let spec = UploadSpec { storage: Some(address), ..UploadSpec::new(Extension::none()) };
        let begun = Instant::now();
        let id = client.upload(spec, &content(1)).await.context("while the trunk server is away")?.file_id;
        ensure!(begun.elapsed() < Duration::from_secs(5), "an upload took {:?}", begun.elapsed());
        if is_in_slot(&id.filename) {
            break;
        }
        ensure!(Instant::now() < deadline, "no other trunk server");
        sleep(Duration::from_millis(100)).await;
    }
    cluster.launch_storage(server)?;
    cluster.wait_until_active(server)?;
    for (seed, id) in (0..).zip(&ids) {
        ensure!(client.read(id, ByteRange::ALL, MAX).await? == content(seed), "{id}");
    }
    Deadline::after(LIMIT).wait_for("one trunk server", || {
        ensure!(!sign(&cluster, server) && sign(&cluster, 1 - server), "two, or none");
        Ok(())
    })
}

/// Whether a storage has the sign of the trunk server.
fn sign(cluster: &Cluster, index: usize) -> bool {
    cluster.dir().join(format!("storage{index}/data/rs/trunk_office")).exists()
}

/// Waits until uploads get slots.
async fn wait_for_slots(client: &Client) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stored = client.upload(UploadSpec::new(Extension::none()), b"small").await?;
        client.delete(&stored.file_id).await?;
        if is_in_slot(&stored.file_id.filename) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no trunk server");
        sleep(Duration::from_millis(100)).await;
    }
}

fn is_in_slot(name: &RemoteFilename) -> bool {
    name.as_str().len() == RemoteFilename::TRUNK_LEN
}

/// Content of 1 to 60 KiB.
fn content(seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let mut bytes = vec![0; rng.usize(1024..60 * 1024)];
    rng.fill(&mut bytes);
    bytes
}

fn trunk(cluster: &Cluster, index: usize, operation: &str) -> Result<(bool, String)> {
    let config = cluster.dir().join(format!("storage{index}.conf"));
    let output = Command::new(fdfs_binary()?).args(["trunk", operation, "-c"]).arg(config).output()?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

fn inodes(path: &std::path::Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { inodes(&entry.path())? } else { 1 };
    }
    Ok(count)
}

const MAX: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(120);
