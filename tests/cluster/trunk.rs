//! Small files in trunk files, in a group whose members are killed at random, and that changes its trunk server.
//!
//! A larger run by one command: `FDFS_TRUNK_FILES=1000000 cargo test -p fdfs-tests --test cluster trunk -- --nocapture`; with
//! `FDFS_TRUNK_LARGEST` (KiB) its files can be smaller, and `FDFS_TRUNK_PAUSE` (ms) is the longest time between two kills.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use fdfs_client::{ByteRange, Client, UploadSpec};
use fdfs_proto::Request as _;
use fdfs_proto::ours::ScrubAction;
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
        storage.lines.push_str(&format!("trunk_reclaim_after={RECLAIM}\n"));
    }
    Ok(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_small_file_and_no_slot_is_lost_when_members_are_killed_at_random() -> Result<()> {
    let files = number("FDFS_TRUNK_FILES", 30_000)?;
    let pause = number("FDFS_TRUNK_PAUSE", 3000)? as u64;
    let largest = number("FDFS_TRUNK_LARGEST", 60)? << 10;
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
                if let Ok(stored) =
                    client.upload(UploadSpec::new(Extension::none()), &content(seed, largest)).await
                {
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
    let workers: Vec<_> = (0..8).map(|_| work(rng.fork())).collect();
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
        sleep(Duration::from_millis(rng.u64(pause / 4..pause))).await;
        if ended.load(Ordering::Relaxed) {
            break;
        }
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
    let kept = Arc::new(kept);
    let mut readers = Vec::new();
    for storage in &cluster.config().storages {
        for part in 0..READERS {
            let (kept, address) = (Arc::clone(&kept), storage.address);
            readers.push(tokio::task::spawn_blocking(move || {
                reads_back(address, kept.iter().skip(part).step_by(READERS), largest)
            }));
        }
    }
    for reader in readers {
        reader.await??;
    }
    // Every part of every trunk file has one owner, once gaps are found.
    let deadline = Instant::now() + LIMIT;
    let mut checks;
    loop {
        sleep(Duration::from_secs(2 * RECLAIM)).await;
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
    // What came while there was no trunk server lies outside.
    let plain = kept.len() - in_slots;
    for index in 0..2 {
        let inodes = inodes(&cluster.store_path(index, 0).join("data"))?;
        println!("{inodes} files on the disk of one member, {plain} of them plain ones");
        let trunk_files = usize::try_from(inodes)?.saturating_sub(plain);
        ensure!(trunk_files * 100 <= in_slots, "{trunk_files} trunk files for {in_slots} files");
        // A small machine that is busy is long in starting a member, and a short run has few files for each start.
        ensure!(
            files < LONG || usize::try_from(inodes)? * 100 <= kept.len(),
            "{inodes} inodes for {} files",
            kept.len()
        );
    }
    ensure!(plain * 5 <= kept.len(), "{plain} plain files of {}", kept.len());
    Ok(())
}

/// Whether a storage itself has these files.
fn reads_back<'a>(
    address: SocketAddr,
    files: impl Iterator<Item = &'a (FileId, u64)>,
    largest: usize,
) -> Result<()> {
    let mut wire = Wire::connect(address)?;
    for (file_id, seed) in files {
        let request = DownloadRequest { offset: 0, length: 0, file_id: file_id.clone() }.frame();
        let deadline = Instant::now() + LIMIT;
        loop {
            wire.send(&request)?;
            let answer = wire.read_answer()?;
            if let Answer::Frame { status: 0, body, .. } = &answer {
                ensure!(*body == content(*seed, largest), "{file_id} at {address}");
                break;
            }
            if Instant::now() > deadline {
                bail!("{file_id} at {address}: {answer:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
            wire = Wire::connect(address)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_trunk_server_refuses_no_upload() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    wait_for_slots(&client).await?;
    let mut ids = Vec::new();
    for seed in 0..20 {
        ids.push(client.upload(UploadSpec::new(Extension::none()), &content(seed, 60 << 10)).await?.file_id);
    }
    let server = usize::from(sign(&cluster, 1));
    ensure!(sign(&cluster, server), "no trunk server");
    // The other goes on with plain files, and with slots when it is the trunk server.
    let address = cluster.config().storages[1 - server].address;
    let ended = Arc::new(AtomicBool::new(false));
    let uploads: Vec<_> = (0..4)
        .map(|worker| {
            let (client, ended) = (client.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let (mut longest, mut count, mut last) = (Duration::ZERO, 0, None);
                while !ended.load(Ordering::Relaxed) {
                    let spec = UploadSpec { storage: Some(address), ..UploadSpec::new(Extension::none()) };
                    let begun = Instant::now();
                    let stored = client.upload(spec, &content(worker, 60 << 10)).await;
                    last = Some(stored.context("while the trunk server is away")?.file_id);
                    longest = longest.max(begun.elapsed());
                    count += 1;
                    // Slots are what this is about, not load.
                    sleep(Duration::from_millis(5)).await;
                }
                anyhow::Ok((longest, count, last))
            })
        })
        .collect();
    sleep(Duration::from_millis(300)).await;
    cluster.kill_storage(server)?;
    Deadline::after(LIMIT).wait_for("another trunk server", || {
        ensure!(sign(&cluster, 1 - server), "none yet");
        Ok(())
    })?;
    sleep(Duration::from_millis(500)).await;
    ended.store(true, Ordering::Relaxed);
    for upload in uploads {
        let (longest, count, last) = upload.await??;
        println!("{count} uploads, the longest took {longest:?}");
        // Less than a second where nothing else runs; far below what a storage waits for another.
        ensure!(longest < Duration::from_secs(10), "an upload took {longest:?}");
        let last = last.context("no upload")?;
        ensure!(is_in_slot(&last.filename), "{last} has no slot of the new trunk server");
    }
    cluster.launch_storage(server)?;
    cluster.wait_until_active(server)?;
    for (seed, id) in (0..).zip(&ids) {
        ensure!(client.read(id, ByteRange::ALL, MAX).await? == content(seed, 60 << 10), "{id}");
    }
    Deadline::after(LIMIT).wait_for("one trunk server", || {
        ensure!(!sign(&cluster, server) && sign(&cluster, 1 - server), "two, or none");
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_slot_that_nobody_reads_is_found_and_healed() -> Result<()> {
    let cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    wait_for_slots(&client).await?;
    let wanted = content(7, 60 << 10);
    let id = client.upload(UploadSpec::new(Extension::none()), &wanted).await?.file_id;
    let slot = id.filename.trunk_part().context("no slot")?;
    let subdir = id.filename.subdir();
    let place = |index: usize| {
        let local = format!("data/{:02X}/{:02X}/{:06}", subdir.high, subdir.low, slot.trunk_id);
        cluster.store_path(index, 0).join(local)
    };
    let at = u64::from(slot.offset) + 24 + 100;
    for index in 0..2 {
        // The replica may be on its way.
        Deadline::after(LIMIT).wait_for("the file at both", || {
            let mut byte = [0];
            fs::File::open(place(index))?.read_exact_at(&mut byte, at)?;
            ensure!(byte[0] == wanted[100], "not yet");
            Ok(())
        })?;
    }
    let file = fs::File::options().read(true).write(true).open(place(1))?;
    file.write_all_at(&[!wanted[100]], at)?;
    let address = cluster.config().storages[1].address;
    client.scrub(address, "group1".parse()?, ScrubAction::Search).await?;
    let wait = || {
        Deadline::after(LIMIT).wait_for("the sound byte", || {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            ensure!(byte[0] == wanted[100], "still damaged");
            Ok(())
        })
    };
    wait()?;
    // What has lost its header, too, is found by who reads it, and gets the other member's.
    file.write_all_at(&[0; 24 + 200], slot.offset.into())?;
    let files = [(id, 7)];
    reads_back(address, files.iter(), 60 << 10)?;
    wait()
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

/// Content of 1 KiB to `largest`, more small ones than large ones.
fn content(seed: u64, largest: usize) -> Vec<u8> {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    let block = BLOCK.get_or_init(|| {
        let mut block = vec![0; 128 << 10];
        Rng::with_seed(0).fill(&mut block);
        block
    });
    let mut rng = Rng::with_seed(seed);
    let size = 1024.0 * (largest as f64 / 1024.0).powf(rng.f64());
    let from = rng.usize(..64 << 10);
    let mut bytes = block[from..from + size as usize].to_vec();
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

/// A number from the environment.
fn number(name: &str, default: usize) -> Result<usize> {
    Ok(env::var(name).map_or(Ok(default), |value| value.parse())?)
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
const READERS: usize = 2;
const LONG: usize = 100_000;
/// Seconds.
const RECLAIM: u64 = 4;
const LIMIT: Duration = Duration::from_secs(120);
