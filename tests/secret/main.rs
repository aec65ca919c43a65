//! Clusters whose members share a secret: members, clients without it, strangers, and members with another one.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{
    Addresses, Answer, Cluster, ClusterConfig, Daemon, Deadline, StorageConfig, Wire, fdfs_binary, http_get,
    wait_for_equal_replicas,
};
use tempfile::TempDir;

#[test]
fn members_that_share_a_secret_work_as_without_and_clients_need_none() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 2)?;
    for _ in 0..2 {
        config.storages.push(storage_config(&secrets, SECRET)?);
    }
    // An upload there is answered when the other has it, too, or is refused.
    config.storages[0].lines.push_str("write_concern=replicated\non_deadline=refuse\n");
    let mut cluster = Cluster::start(config)?;
    let leader = cluster.leader_among(&[0, 1], LIMIT)?;

    let storages: Vec<SocketAddr> = cluster.config().storages.iter().map(|storage| storage.address).collect();
    let mut names = Vec::new();
    for (number, storage) in storages.iter().cycle().take(10).enumerate() {
        names.push((stored(*storage, content(number).as_bytes())?, number));
    }
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!(files.len() == names.len(), "{} of {} files", files.len(), names.len());
    for (name, number) in &names {
        for storage in &storages {
            ensure!(download(*storage, name)? == content(*number).as_bytes(), "{number} at {storage}");
        }
    }

    cluster.kill_tracker(leader)?;
    cluster.leader_among(&[1 - leader], LIMIT)?;
    stored(storages[0], b"under the new leader")?;
    cluster.start_tracker(leader)?;
    cluster.wait_until_active(0)?;
    cluster.wait_until_active(1)?;

    // A disk is lost: the records and the files come from the other member.
    cluster.kill_storage(1)?;
    fs::remove_dir_all(cluster.store_path(1, 0))?;
    cluster.start_storage(1)?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!(files.len() == names.len() + 1, "{} files", files.len());
    Ok(())
}

#[test]
fn a_stranger_changes_nothing_and_is_counted() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 1)?;
    let mut storage = storage_config(&secrets, SECRET)?;
    let metrics = SocketAddr::new(storage.address.ip(), 23_080);
    storage.lines = storage.lines.replace("metrics_listen=off", &format!("metrics_listen={metrics}"));
    config.storages.push(storage);
    let cluster = Cluster::start(config)?;
    let (tracker, storage) = (cluster.config().tracker(), cluster.config().storages[0].address);
    let name = upload(storage, b"precious")?;

    // SYNC_DELETE_FILE: the time, the group, and the name of the file.
    let delete = [&0x6b02_7ba0_u32.to_be_bytes()[..], &group(), name.as_bytes()].concat();
    for _ in 0..3 {
        refused(storage, SYNC_DELETE_FILE, &delete)?;
    }
    refused(storage, FETCH_ONE_PATH_BINLOG, &[&group()[..], &[0]].concat())?;
    refused(tracker, JOIN, &[0; 145])?;
    refused(tracker, NOTIFY_NEXT_LEADER, tracker.to_string().as_bytes())?;
    ensure!(download(storage, &name)? == b"precious");

    let figures = String::from_utf8(http_get(&format!("http://{metrics}/metrics"))?.body)?;
    let expected = "fdfs_unauthenticated_total{command=\"SYNC_DELETE_FILE\"} 3";
    ensure!(figures.contains(expected), "{expected} is not among {figures}");
    let said = fs::read_to_string(cluster.dir().join("storage0.out"))?;
    let lines = said.lines().filter(|line| line.contains("has not proved the cluster secret")).count();
    ensure!(lines == 1, "one line for a peer in a minute, not {lines}:\n{said}");
    Ok(())
}

#[test]
fn a_storage_with_another_secret_or_none_is_told_what_to_do() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 1)?;
    config.storages.push(storage_config(&secrets, SECRET)?);
    let cluster = Cluster::start(config)?;
    let tracker = cluster.config().tracker();
    let tracker_said = || Ok(fs::read_to_string(cluster.dir().join("tracker0.out"))?);

    let config = storage_config(&secrets, OTHER_SECRET)?;
    let (other, said) = start(&secrets, tracker, config.address, &config.lines)?;
    told("the other secret", &said, "the peer refuses our cluster secret")?;
    told("the other secret", &tracker_said, "a peer has another cluster secret")?;
    drop(other);

    let (_none, said) = start(&secrets, tracker, address(23_000)?, LINES)?;
    told("no secret", &said, "it wants the secret of the cluster, set cluster_secret_file here, too")?;
    told("no secret", &tracker_said, "has not proved the cluster secret")?;
    for secret in [SECRET, OTHER_SECRET] {
        ensure!(!said()?.contains(secret) && !tracker_said()?.contains(secret), "a secret is in the log");
    }

    // The other way round: a member that knows a secret does not talk to a tracker that knows none.
    let lonely = Cluster::start_trackers(ClusterConfig {
        tracker_lines: "metrics_listen=off\n".to_owned(),
        ..ClusterConfig::new(address(22_122)?)
    })?;
    let member = storage_config(&secrets, SECRET)?;
    let (_member, said) = start(&secrets, lonely.config().tracker(), member.address, &member.lines)?;
    told("a tracker without a secret", &said, "set cluster_secret_file at every member")?;
    Ok(())
}

/// Trackers that have the secret, and no storages.
fn cluster_config(secrets: &TempDir, trackers: usize) -> Result<ClusterConfig> {
    let mut config = ClusterConfig::new(address(22_122)?);
    for _ in 1..trackers {
        config.trackers.push(address(22_122)?);
    }
    let file = secret_file(secrets, SECRET)?;
    config.tracker_lines =
        format!("metrics_listen=off\nreserved_storage_space=0MB\ncluster_secret_file={}\n", file.display());
    Ok(config)
}

/// A storage that has this secret.
fn storage_config(secrets: &TempDir, secret: &str) -> Result<StorageConfig> {
    let mut storage = StorageConfig::new(address(23_000)?, "group1", 1);
    let file = secret_file(secrets, secret)?;
    writeln!(storage.lines, "{LINES}cluster_secret_file={}", file.display())?;
    Ok(storage)
}

fn secret_file(secrets: &TempDir, secret: &str) -> Result<PathBuf> {
    let path = secrets.path().join(secret.replace(' ', "-"));
    fs::write(&path, format!("{secret}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// Starts a storage that is not expected to become a member; with what it has said so far.
fn start(
    dir: &TempDir,
    tracker: SocketAddr,
    address: SocketAddr,
    lines: &str,
) -> Result<(Daemon, impl Fn() -> Result<String> + use<>)> {
    let base = dir.path().join(address.ip().to_string());
    fs::create_dir(&base)?;
    let conf = base.join("storage.conf");
    let text = format!(
        "group_name=group1\nbind_addr={}\nbase_path={}\ntracker_server={tracker}\nheart_beat_interval=1\n{lines}",
        address.ip(),
        base.display()
    );
    fs::write(&conf, text)?;
    let output: PathBuf = base.join("out");
    let daemon = Daemon::start(Command::new(fdfs_binary()?).arg("storage").arg("-c").arg(&conf), &output)?;
    let said = move || Ok(fs::read_to_string::<&Path>(&output)?);
    Ok((daemon, said))
}

/// Waits until a daemon has said this.
fn told(whom: &str, said: &impl Fn() -> Result<String>, words: &str) -> Result<()> {
    Deadline::after(LIMIT).wait_for(words, || {
        let said = said()?;
        ensure!(said.contains(words), "{whom}: {said}");
        anyhow::Ok(())
    })
}

/// A command of members from somebody else is refused, and the connection ends.
fn refused(server: SocketAddr, command: u8, body: &[u8]) -> Result<()> {
    let mut wire = Wire::connect(server)?;
    let answer = wire.call(command, body)?;
    ensure!(matches!(answer, Answer::Frame { status: EACCES, .. }), "{command}: {answer:?}");
    ensure!(wire.is_closed(true)?, "{command}: the connection stays");
    Ok(())
}

/// Uploads, again where a second member that has to have it is not there yet.
fn stored(storage: SocketAddr, content: &[u8]) -> Result<String> {
    Deadline::after(LIMIT).wait_for("upload", || upload(storage, content))
}

fn upload(storage: SocketAddr, content: &[u8]) -> Result<String> {
    let head = [&[255][..], &(content.len() as u64).to_be_bytes(), b"txt\0\0\0"].concat();
    match Wire::connect(storage)?.call(UPLOAD_FILE, &[&head, content].concat())? {
        Answer::Frame { status: 0, body, .. } => {
            Ok(String::from_utf8(body.get(16..).context("a short answer")?.to_vec())?)
        }
        other => bail!("upload: {other:?}"),
    }
}

fn download(storage: SocketAddr, name: &str) -> Result<Vec<u8>> {
    match Wire::connect(storage)?.call(DOWNLOAD_FILE, &[&[0; 16][..], &group(), name.as_bytes()].concat())? {
        Answer::Frame { status: 0, body, .. } => Ok(body),
        other => bail!("download of {name}: {other:?}"),
    }
}

fn content(number: usize) -> String {
    format!("content of file {number}")
}

fn group() -> [u8; 16] {
    *b"group1\0\0\0\0\0\0\0\0\0\0"
}

fn address(port: u16) -> Result<SocketAddr> {
    Ok((Addresses::next()?, port).into())
}

const SECRET: &str = "known to the members of this cluster";
const OTHER_SECRET: &str = "known to a storage of another one";
const LINES: &str = "subdir_count_per_path=4\nmetrics_listen=off\nhttp_listen=off\n";
const LIMIT: Duration = Duration::from_secs(30);

const UPLOAD_FILE: u8 = 11;
const DOWNLOAD_FILE: u8 = 14;
const SYNC_DELETE_FILE: u8 = 17;
const FETCH_ONE_PATH_BINLOG: u8 = 26;
const NOTIFY_NEXT_LEADER: u8 = 66;
const JOIN: u8 = 81;
const EACCES: u8 = 13;
