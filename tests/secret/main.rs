//! Clusters whose members share a secret: members, clients without it, strangers, and members with another one.

mod private_buckets;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{
    Addresses, Answer, Cluster, ClusterConfig, Daemon, Deadline, Gateway, StorageConfig, Wire, fdfs_binary,
    http_get, wait_for_equal_replicas,
};
use fdfs_types::RemoteFilename;
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

#[test]
fn files_of_a_private_bucket_are_read_by_name_and_not_by_id() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 1)?;
    let mut storage = storage_config(&secrets, SECRET)?;
    let http = SocketAddr::new(storage.address.ip(), 8_888);
    storage.lines = storage.lines.replace("http_listen=off", &format!("http_listen={http}"));
    config.storages.push(storage);
    let cluster = Cluster::start(config)?;
    let storage = cluster.config().storages[0].address;
    let secret = format!("cluster_secret_file = '{}'", secret_file(&secrets, SECRET)?.display());
    let gateway = Gateway::start_with(&cluster, None, &secret)?;
    let created = gateway.s3("/hidden", &["-X", "PUT", "-H", "x-fdfs-native-read: off"])?;
    ensure!(created.status == 200, "{created:?}");
    for (key, content) in [("/hidden/a.txt", &b"precious"[..]), ("/group1/b.txt", b"public")] {
        ensure!(gateway.put(key, content)?.status == 200, "{key}");
        let read = gateway.get(key)?;
        ensure!((read.status, &read.body[..]) == (200, content), "{key}: {read:?}");
    }
    let copied = gateway.s3("/hidden/c.txt", &["-X", "PUT", "-H", "x-amz-copy-source: /group1/b.txt"])?;
    ensure!(copied.status == 200, "{copied:?}");
    ensure!(gateway.get("/hidden/c.txt")?.body == b"public");
    let head = gateway.s3("/hidden/a.txt", &["-D", "-", "-o", "/dev/null"])?;
    let head = String::from_utf8_lossy(&head.body).to_ascii_lowercase();
    ensure!(!head.contains("x-fdfs-file-id"), "{head}");

    let names = stored_names(&cluster)?;
    let (private, public): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| name.parse::<RemoteFilename>().is_ok_and(|name| name.is_private()));
    ensure!((private.len(), public.len()) == (2, 1), "{names:?}");
    for name in &private {
        strangers_get_nothing(storage, name)?;
        for url in [format!("http://{http}/group1/{name}"), format!("{}/group1/{name}", gateway.front_base())]
        {
            ensure!(http_get(&url)?.status == 403, "{url}");
        }
        ensure!(gateway.get(&format!("/group1/{name}"))?.status == 403, "{name} by its raw path");
    }
    for name in &public {
        ensure!(download(storage, name)? == b"public");
        ensure!(http_get(&format!("http://{http}/group1/{name}"))?.body == b"public");
    }

    // A gateway without the secret reads what it may, and is told why it may no more.
    let other = Gateway::start(&cluster)?;
    let refused = other.s3("/more", &["-X", "PUT", "-H", "x-fdfs-native-read: off"])?;
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    ensure!(refused.status == 400 && text.contains("cluster_secret_file"), "{refused:?}");
    Ok(())
}

#[test]
fn strangers_get_nothing_of_a_private_file() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 1)?;
    config.storages.push(storage_config(&secrets, SECRET)?);
    let cluster = Cluster::start(config)?;
    let storage = cluster.config().storages[0].address;
    // Anybody may make one, as anybody may upload; whoever made it does not read it either.
    let name = upload_private(storage, b"precious")?;
    strangers_get_nothing(storage, &name)?;
    let (delete, metadata) = (12, 15);
    for command in [delete, metadata] {
        denied(storage, command, &[&group()[..], name.as_bytes()].concat())?;
    }
    let set = [
        &(name.len() as u64).to_be_bytes()[..],
        &3_u64.to_be_bytes(),
        b"O",
        &group(),
        name.as_bytes(),
        b"a\x02b",
    ];
    denied(storage, 13, &set.concat())?;
    let slave = [
        &(name.len() as u64).to_be_bytes()[..],
        &1_u64.to_be_bytes(),
        &[b'p'; 16],
        b"txt\0\0\0",
        name.as_bytes(),
        b"x",
    ];
    denied(storage, 21, &slave.concat())?;
    let join = [
        &group()[..],
        b"txt\0\0\0",
        &[0; 16],
        &[0],
        &1_u32.to_be_bytes(),
        &[name.len() as u8],
        name.as_bytes(),
    ];
    denied(storage, 203, &join.concat())?;
    ensure!(stored_names(&cluster)? == [name], "nothing came of it");
    Ok(())
}

#[test]
fn a_private_file_stays_private_at_every_member_and_after_a_rebuild() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let mut config = cluster_config(&secrets, 1)?;
    for _ in 0..2 {
        config.storages.push(storage_config(&secrets, SECRET)?);
    }
    let mut cluster = Cluster::start(config)?;
    let storages: Vec<SocketAddr> = cluster.config().storages.iter().map(|storage| storage.address).collect();
    let secret = format!("cluster_secret_file = '{}'", secret_file(&secrets, SECRET)?.display());
    let gateway = Gateway::start_with(&cluster, None, &secret)?;
    ensure!(gateway.s3("/hidden", &["-X", "PUT", "-H", "x-fdfs-native-read: off"])?.status == 200);
    ensure!(gateway.put("/hidden/a.txt", b"precious")?.status == 200);
    wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    cluster.kill_storage(1)?;
    fs::remove_dir_all(cluster.store_path(1, 0))?;
    cluster.start_storage(1)?;
    wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    let names = stored_names(&cluster)?;
    ensure!(names.len() == 1, "{names:?}");
    for storage in &storages {
        strangers_get_nothing(*storage, &names[0])?;
    }
    for index in [0, 1] {
        cluster.kill_storage(index)?;
        Deadline::after(LIMIT).wait_for("the other member's copy", || {
            let read = gateway.get("/hidden/a.txt")?;
            ensure!((read.status, &read.body[..]) == (200, &b"precious"[..]), "{read:?}");
            anyhow::Ok(())
        })?;
        cluster.start_storage(index)?;
        cluster.wait_until_active(index)?;
    }
    Ok(())
}

/// Reads by ID, and what tells of the file, are refused.
fn strangers_get_nothing(storage: SocketAddr, name: &str) -> Result<()> {
    denied(storage, DOWNLOAD_FILE, &[&[0; 16][..], &group(), name.as_bytes()].concat())?;
    denied(storage, 22, &[&group()[..], name.as_bytes()].concat())
}

fn denied(storage: SocketAddr, command: u8, body: &[u8]) -> Result<()> {
    let answer = Wire::connect(storage)?.call(command, body)?;
    ensure!(matches!(answer, Answer::Frame { status: EACCES, .. }), "{command}: {answer:?}");
    Ok(())
}

/// A framed upload of a private file.
fn upload_private(storage: SocketAddr, content: &[u8]) -> Result<String> {
    let head = [&[255][..], &[255; 8], b"txt\0\0\0", &[0; 16], &[128]].concat();
    let mut header = [&(head.len() as u64).to_be_bytes()[..], &[201, 0]].concat();
    header.extend(head);
    header.extend((content.len() as u32).to_be_bytes());
    header.extend(content);
    header.extend([0; 4]);
    header.extend((content.len() as u64).to_be_bytes());
    header.extend(crc32fast::hash(content).to_be_bytes());
    let mut wire = Wire::connect(storage)?;
    wire.send(&header)?;
    match wire.read_answer()? {
        Answer::Frame { status: 0, body, .. } => {
            Ok(String::from_utf8(body.get(16..).context("a short answer")?.to_vec())?)
        }
        other => bail!("private upload: {other:?}"),
    }
}

/// The names of all files of the first storage.
fn stored_names(cluster: &Cluster) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let data = cluster.store_path(0, 0).join("data");
    for high in fs::read_dir(&data)?.flatten().filter(|entry| entry.file_name().len() == 2) {
        for low in fs::read_dir(high.path())?.flatten() {
            for file in fs::read_dir(low.path())?.flatten() {
                let path = file.path();
                let local = path.strip_prefix(&data)?.to_str().context("UTF-8")?;
                if !local.ends_with("-m") {
                    names.push(format!("M00/{local}"));
                }
            }
        }
    }
    names.sort();
    Ok(names)
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
