//! What a group does while a disk is full or read-only, a peer stalls or is cut off, and clocks differ.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use fdfs_client::{ByteRange, Client, ClientError, UploadKind, UploadSpec};
use fdfs_proto::Request as _;
use fdfs_proto::sync::{SyncUpdateRequest, SyncedFile};
use fdfs_tests::{Answer, Cluster, SmallDisk, Wire, wait_for_equal_replicas};
use fdfs_types::{Extension, FileId, Timestamp};

use crate::fleet::{client_of, fleet};
use crate::load::Load;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_a_peer_delays_that_peer_alone() -> Result<()> {
    let (mut cluster, client) = pair()?;
    let disk = with_small_disk(&mut cluster, 1)?;
    disk.fill()?;
    let source = cluster.config().storages[0].address;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(upload(&client, source, number).await?);
    }
    // The source serves them, whatever its peer can take.
    for (number, id) in (0..).zip(&ids) {
        ensure!(client.read(id, ByteRange::ALL, SIZE).await? == content(number), "{id}");
    }
    disk.free()?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    ensure!(files.len() == ids.len(), "{} files", files.len());
    cluster.stop_storage(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_whose_disk_became_read_only_serves_and_refuses_to_store() -> Result<()> {
    let (mut cluster, client) = pair()?;
    let disk = with_small_disk(&mut cluster, 1)?;
    let there = cluster.config().storages[1].address;
    let id = upload(&client, there, 1).await?;
    disk.set_read_only(true)?;
    let refused = upload(&client, there, 2).await;
    ensure!(refused.is_err(), "stored on a read-only disk: {refused:?}");
    ensure!(client.read(&id, ByteRange::ALL, SIZE).await? == content(1));
    disk.set_read_only(false)?;
    upload(&client, there, 3).await.context("after the disk was writable again")?;
    wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    cluster.stop_storage(1)
}

#[test]
fn a_peer_that_stalls_holds_up_nobody_and_gets_what_it_missed() -> Result<()> {
    let cluster = Cluster::start(fleet(1, &[("group1", 2)])?)?;
    let load = Load::start(client_of(&cluster.config().trackers), 2, Rng::with_seed(7));
    load.wait_for_files(&["group1"], LOAD_LIMIT)?;
    cluster.freeze_storage(1)?;
    load.wait_for_more(100, LOAD_LIMIT)?;
    cluster.thaw_storage(1)?;
    load.wait_for_more(20, LOAD_LIMIT)?;
    let record = load.stop()?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)
}

/// What a peer has given up lies whole in the receiver's memory, where newer changes have been made since.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_gave_up_while_a_member_stalled_is_not_made_when_that_goes_on() -> Result<()> {
    let cluster = Cluster::start(fleet(1, &[("group1", 2)])?)?;
    let client = client_of(&cluster.config().trackers);
    let spec = UploadSpec::new(Extension::none()).of_kind(UploadKind::Appender);
    let file_id = client.upload(spec, b"newer").await?.file_id;
    wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    let there = cluster.store_path(1, 0).join("data").join(file_id.filename.local_path());
    let file = SyncedFile { file_id, size: 5, time: Timestamp(1) };
    let request = [&SyncUpdateRequest { file }.frame()[..], b"older"].concat();

    cluster.freeze_storage(1)?;
    let mut given_up = TcpStream::connect(cluster.config().storages[1].address)?;
    given_up.set_read_timeout(Some(SYNC_LIMIT))?;
    given_up.write_all(&request)?;
    given_up.shutdown(Shutdown::Write)?;
    cluster.thaw_storage(1)?;
    let mut answer = Vec::new();
    given_up.read_to_end(&mut answer)?;
    ensure!(answer.is_empty() && fs::read(&there)? == b"newer", "{answer:?}");

    cluster.freeze_storage(1)?;
    let mut waiting = Wire::connect(cluster.config().storages[1].address)?;
    waiting.send(&request)?;
    cluster.thaw_storage(1)?;
    ensure!(matches!(waiting.read_answer()?, Answer::Frame { status: 0, .. }));
    ensure!(fs::read(&there)? == b"older", "a peer that waits has its change made");
    Ok(())
}

/// An hour is less than the time after which trackers take a file for synced on any account.
#[test]
fn a_clock_that_is_set_back_an_hour_loses_and_hides_nothing() -> Result<()> {
    let mut config = fleet(1, &[("group1", 2)])?;
    let clock = tempfile::NamedTempFile::new()?;
    fs::write(clock.path(), "+0")?;
    config.storages[0].wrapper = [
        "env".to_owned(),
        format!("LD_PRELOAD={FAKETIME}"),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.path().display()),
        "FAKETIME_CACHE_DURATION=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
    .into();
    ensure!(Path::new(FAKETIME).exists(), "the Debian package libfaketime is needed");
    let cluster = Cluster::start(config)?;
    let load = Load::start(client_of(&cluster.config().trackers), 2, Rng::with_seed(8));
    load.wait_for_files(&["group1"], LOAD_LIMIT)?;
    fs::write(clock.path(), "-1h")?;
    load.wait_for_more(300, LOAD_LIMIT)?;
    fs::write(clock.path(), "+0")?;
    load.wait_for_more(50, LOAD_LIMIT)?;
    let record = load.stop()?;
    ensure!(record.refused.is_empty(), "refused in spite of retries: {:?}", record.refused);
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)
}

/// Runs once more in a network of its own, where it may lay links and cut them.
#[test]
fn a_storage_that_is_cut_off_comes_back_with_everything() -> Result<()> {
    if env::var_os(IN_OWN_NETWORK).is_some() {
        return cut_off_and_come_back();
    }
    let status = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            // The root of a container is no mount point of its own, and cannot be set apart.
            "--propagation",
            "unchanged",
            "sh",
            "-c",
            "(mount --make-rslave / || true) && mount -t tmpfs none /run && ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(env::current_exe()?)
        .args(["--exact", "faults::a_storage_that_is_cut_off_comes_back_with_everything", "--nocapture"])
        .env(IN_OWN_NETWORK, "1")
        .env("FDFS_BINARY", fdfs_tests::fdfs_binary()?)
        .status()
        .context("unshare (util-linux) and ip (iproute2) are needed")?;
    ensure!(status.success(), "the test in a network of its own: {status}");
    Ok(())
}

fn cut_off_and_come_back() -> Result<()> {
    ip("link add bridge type bridge")?;
    ip("address add 10.9.0.254/24 dev bridge")?;
    ip("link set bridge up")?;
    let mut config = fleet(1, &[("group1", 2)])?;
    config.trackers = vec![host("tracker", 1)?.with_port(22_122)];
    config.tracker_wrapper = inside("tracker");
    for (number, storage) in (2..).zip(&mut config.storages) {
        storage.address = host(&format!("storage{number}"), number)?.with_port(23_000);
        storage.wrapper = inside(&format!("storage{number}"));
    }
    let mut cluster = Cluster::start(config)?;
    let load = Load::start(client_of(&cluster.config().trackers), 2, Rng::with_seed(9));
    load.wait_for_files(&["group1"], LOAD_LIMIT)?;
    ip("link set storage3 down")?;
    load.wait_for_more(100, LOAD_LIMIT)?;
    ip("link set storage3 up")?;
    load.wait_for_more(20, LOAD_LIMIT)?;
    cluster.wait_until_active(1)?;
    let record = load.stop()?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], SYNC_LIMIT)?;
    record.agrees_with("group1", &files)
}

/// A host `name` with a link of that name to the bridge; port 0 of its address.
fn host(name: &str, number: u8) -> Result<WithPort> {
    ip(&format!("netns add {name}"))?;
    ip(&format!("link add {name} type veth peer name eth0 netns {name}"))?;
    ip(&format!("link set {name} master bridge up"))?;
    ip(&format!("-n {name} link set lo up"))?;
    ip(&format!("-n {name} address add 10.9.0.{number}/24 dev eth0"))?;
    ip(&format!("-n {name} link set eth0 up"))?;
    Ok(WithPort([10, 9, 0, number]))
}

struct WithPort([u8; 4]);

impl WithPort {
    fn with_port(self, port: u16) -> SocketAddr {
        (self.0, port).into()
    }
}

fn inside(host: &str) -> Vec<String> {
    ["ip", "netns", "exec", host].map(str::to_owned).into()
}

fn ip(words: &str) -> Result<()> {
    let status = Command::new("ip").args(words.split(' ')).status().context("ip (iproute2) is needed")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

/// Two storages of one group, not started yet.
fn pair() -> Result<(Cluster, Client)> {
    let cluster = Cluster::start_trackers(fleet(1, &[("group1", 2)])?)?;
    let client = client_of(&cluster.config().trackers);
    Ok((cluster, client))
}

/// Starts both storages, number `index` on a disk of its own.
fn with_small_disk(cluster: &mut Cluster, index: usize) -> Result<SmallDisk> {
    let disk = SmallDisk::mount(16)?.context("mounting wants root")?;
    let store_path = cluster.store_path(index, 0);
    fs::create_dir_all(store_path.parent().context("a directory")?)?;
    std::os::unix::fs::symlink(disk.path(), store_path)?;
    cluster.start_storage(0)?;
    cluster.start_storage(1)?;
    Ok(disk)
}

async fn upload(client: &Client, storage: SocketAddr, number: u8) -> Result<FileId, ClientError> {
    let spec = UploadSpec { storage: Some(storage), ..UploadSpec::new(Extension::none()) };
    Ok(client.upload(spec, &content(number)).await?.file_id)
}

fn content(number: u8) -> Vec<u8> {
    vec![number; SIZE]
}

const SIZE: usize = 200_000;
const LOAD_LIMIT: Duration = Duration::from_secs(150);
const SYNC_LIMIT: Duration = Duration::from_secs(150);
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const IN_OWN_NETWORK: &str = "FDFS_TEST_IN_OWN_NETWORK";
