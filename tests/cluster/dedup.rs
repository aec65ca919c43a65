//! Equal uploads kept once, and slaves that are links, in a group whose members are killed at random.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use fastrand::Rng;
use fdfs_client::{ByteRange, UploadKind, UploadSpec};
use fdfs_tests::{
    Cluster, ClusterConfig, Deadline, FileState, Files, Gateway, Mounting, fdfs_binary, http_get,
    wait_for_equal_replicas,
};
use fdfs_types::{Extension, FileId};

use crate::fleet::{client_of, fleet};
use crate::load::{Load, name_of_target};
use crate::native_http::get;

fn group_of(members: usize) -> Result<ClusterConfig> {
    let mut config = fleet(1, &[("group1", members)])?;
    config.tracker_lines.push_str("store_slave_file_use_link=1\n");
    for storage in &mut config.storages {
        storage.lines.push_str("check_file_duplicate=1\nkey_namespace=FastDFS\n");
    }
    Ok(config)
}

#[test]
fn a_group_that_keeps_equal_uploads_once_is_equal_after_kills_at_random() -> Result<()> {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut cluster = Cluster::start(group_of(2)?)?;
    let load = Load::start_with(client_of(&cluster.config().trackers), 3, rng.fork(), Some(8));
    for _ in 0..25 {
        load.wait_for_more(rng.usize(1..25), LIMIT)?;
        cluster.crash_storage(rng.usize(..2))?;
    }
    let record = load.stop()?;
    for index in 0..2 {
        cluster.wait_until_active(index)?;
    }
    let files = Deadline::after(LIMIT).wait_for("links and contents that belong together", || {
        let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        contents_and_links_agree(&files)?;
        anyhow::Ok(files)
    })?;
    record.agrees_with("group1", &files)?;
    let links = files.values().filter(|file| matches!(file, FileState::Link(_))).count();
    ensure!(links > 50, "{links} links of {} files", files.len());
    for index in 0..2 {
        cluster.kill_storage(index)?;
        let check = dedup(&cluster, index, "check")?;
        ensure!(check.contains("not in the index 0\nnot on the disk 0\n"), "{check}");
        ensure!(check.contains("links without their content 0\n"), "{check}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_uploads_of_a_hundred_contents_take_the_space_of_a_hundred() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    let members = [0, 1].map(|index| cluster.config().storages[index].address);
    let content = |kind: usize| vec![kind as u8; 5000 + kind];
    let mut files = Vec::new();
    for batch in 0..100 {
        let uploads = (0..100).map(|kind| {
            let client = client.clone();
            async move {
                // Half of the contents are made at each member, and half of the uploads of each content go to each.
                let storage = Some(members[(kind + batch) % 2]);
                let spec = UploadSpec { storage, ..UploadSpec::new(Extension::none()) };
                anyhow::Ok(client.upload(spec, &content(kind)).await?.file_id)
            }
        });
        let uploaded = futures_util::future::try_join_all(uploads).await?;
        if batch == 0 {
            // Equal uploads find what has come to their member. Both know each other by then, as they have sent each other theirs.
            wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        }
        if batch % 20 == 0 {
            for (kind, file) in uploaded.iter().enumerate().step_by(9) {
                ensure!(client.read(file, ByteRange::ALL, 1 << 20).await? == content(kind));
            }
        }
        files.push(uploaded);
    }
    let regular =
        |files: &Files| files.values().filter(|file| matches!(file, FileState::Regular { .. })).count();
    // The other member has links and contents of its own, as many.
    let there = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!((there.len(), regular(&there)) == (10_100, 100), "{} files, {}", there.len(), regular(&there));
    // The indexes go while their storages are down, and are made anew.
    for index in 0..2 {
        cluster.kill_storage(index)?;
        dedup(&cluster, index, "rebuild")?;
        cluster.start_storage(index)?;
        cluster.wait_until_active(index)?;
    }
    let last = files.pop().unwrap_or_default();
    let delete = |files: Vec<FileId>| {
        let client = client.clone();
        async move {
            for part in files.chunks(64) {
                futures_util::future::try_join_all(part.iter().map(|file| client.delete(file))).await?;
            }
            anyhow::Ok(())
        }
    };
    delete(files.concat()).await?;
    for (kind, file) in last.iter().enumerate() {
        ensure!(client.read(file, ByteRange::ALL, 1 << 20).await? == content(kind));
    }
    let left = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!((left.len(), regular(&left)) == (200, 100), "{} files, {}", left.len(), regular(&left));
    delete(last).await?;
    Deadline::after(LIMIT).wait_for("the end of the contents", || {
        let left = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        ensure!(left.is_empty(), "{} files", left.len());
        anyhow::Ok(())
    })
}

#[tokio::test]
async fn a_slave_that_is_a_link_reaches_the_other_members() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    let master = client.upload(UploadSpec::new(jpg()?), b"master").await?.file_id;
    wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    let kind = UploadKind::Slave { master: master.clone(), prefix: "_small".parse()? };
    let slave = client.upload(UploadSpec::new(jpg()?).of_kind(kind), b"slave").await?.file_id;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!(matches!(files.get(slave.filename.as_str()), Some(FileState::Link(_))), "{files:?}");
    contents_and_links_agree(&files)?;
    // Each member alone has it, also from a disk that was filled anew.
    cluster.kill_storage(1)?;
    fs::remove_dir_all(cluster.store_path(1, 0).join("data"))?;
    cluster.start_storage(1)?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)? == files);
    client.delete(&slave).await?;
    client.delete(&master).await?;
    Deadline::after(LIMIT).wait_for("the end of the contents", || {
        let left = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        ensure!(left.is_empty(), "{left:?}");
        anyhow::Ok(())
    })
}

#[tokio::test]
async fn files_that_are_links_are_read_at_every_member_and_over_http() -> Result<()> {
    let cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster.config().trackers);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(client.upload(UploadSpec::new(jpg()?), b"equal").await?.file_id);
    }
    let kind = UploadKind::Slave { master: ids[0].clone(), prefix: "_small".parse()? };
    let slave = client.upload(UploadSpec::new(jpg()?).of_kind(kind), b"slave").await?.file_id;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    let slaves = [(&slave, b"slave")];
    let wanted = ids.iter().map(|id| (id, b"equal")).chain(slaves);
    for (id, content) in wanted {
        ensure!(matches!(files.get(id.filename.as_str()), Some(FileState::Link(_))), "{id} is no link");
        ensure!(client.read(id, ByteRange::ALL, 1 << 20).await? == content[..], "{id}");
        for storage in &cluster.config().storages {
            let (ip, path) = (storage.address.ip(), id.to_string());
            let (status, body) = tokio::task::spawn_blocking(move || get(ip, &path)).await??;
            ensure!(status == 200 && body == content[..], "{ip} answers {status} for {id}");
        }
    }
    Ok(())
}

#[test]
fn objects_whose_files_are_links_are_read_through_s3_the_front_and_a_mount() -> Result<()> {
    let cluster = Cluster::start(group_of(2)?)?;
    let gateway = Gateway::start(&cluster)?;
    let dir = tempfile::Builder::new().prefix("fdfs-links-").tempdir()?;
    let tracker = cluster.config().tracker().to_string();
    let namespace = format!("namespace={}", gateway.namespace());
    let mut mount = Mounting::start_on(dir.path(), &tracker, "mnt", &[&namespace])?;
    for (size, name) in [(2_000, "small"), (3 << 20, "large")] {
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8 ^ name.as_bytes()[0]).collect();
        // Two from S3, and one from the mount.
        let keys = ["one", "two", "three"].map(|number| format!("group1/{name}/{number}"));
        for key in &keys[..2] {
            ensure!(gateway.put(&format!("/{key}"), &content)?.status == 200, "put {key}");
        }
        fs::write(mount.path(&keys[2]), &content)?;
        let ids = keys.iter().map(|key| {
            let id = || {
                let mut value = [0; 256];
                let length = rustix::fs::getxattr(mount.path(key), "user.fdfs.file_id", &mut value)?;
                anyhow::Ok(String::from_utf8(value[..length].to_vec())?)
            };
            Deadline::after(LIMIT).wait_for("file ID", id)
        });
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        for (key, id) in keys.iter().zip(&ids) {
            let raw = id.parse::<FileId>()?.filename;
            ensure!(matches!(files.get(raw.as_str()), Some(FileState::Link(_))), "{key}: {id} is no link");
            for path in [key, id] {
                let whole = gateway.get(&format!("/{path}"))?;
                ensure!((whole.status, &whole.body) == (200, &content), "S3: {} for {path}", whole.status);
                let part = gateway.s3(&format!("/{path}"), &["--range", "1000-1499"])?;
                let wanted = &content[1000..1500];
                ensure!(part.status == 206 && part.body == wanted, "S3: {} for {path}", part.status);
                ensure!(fs::read(mount.path(path))? == content, "the mount: {path}");
                ensure!(fs::metadata(mount.path(path))?.is_file(), "the mount shows a link at {path}");
            }
            let front = http_get(&format!("{}/{id}", gateway.front_base()))?;
            ensure!((front.status, &front.body) == (200, &content), "the front: {} for {id}", front.status);
            for storage in &cluster.config().storages {
                let (status, body) = get(storage.address.ip(), id)?;
                ensure!(status == 200 && body == content, "{}: {status} for {id}", storage.address);
            }
        }
    }
    mount.stop()
}

#[tokio::test]
async fn what_a_member_has_made_that_is_away_or_was_removed_is_stored_and_freed_by_the_others() -> Result<()>
{
    let mut cluster = Cluster::start(group_of(3)?)?;
    let client = client_of(&cluster.config().trackers);
    let members = [0, 1, 2].map(|index| cluster.config().storages[index].address);
    let upload_to = |index: usize, content: &'static [u8]| {
        let (client, storage) = (client.clone(), Some(members[index]));
        async move {
            let spec = UploadSpec { storage, ..UploadSpec::new(Extension::none()) };
            anyhow::Ok(client.upload(spec, content).await?.file_id)
        }
    };
    let contents = |files: &Files| files.keys().filter(|name| name.ends_with("content")).count();
    let mut links = vec![upload_to(2, b"equal").await?];
    // All know each other once each has sent something to the others.
    let others = [upload_to(0, b"zero").await?, upload_to(1, b"one").await?];
    wait_for_equal_replicas(&cluster, &[0, 1, 2], LIMIT)?;
    for other in &others {
        client.delete(other).await?;
    }
    Deadline::after(LIMIT).wait_for("one content", || {
        let files = wait_for_equal_replicas(&cluster, &[0, 1, 2], LIMIT)?;
        ensure!(files.len() == 2, "{files:?}");
        anyhow::Ok(())
    })?;
    links.push(upload_to(0, b"equal").await?);
    let files = wait_for_equal_replicas(&cluster, &[0, 1, 2], LIMIT)?;
    ensure!((files.len(), contents(&files)) == (3, 1), "{files:?}");
    // Its maker is away: the next is a content of another member, whose link the third gets.
    cluster.stop_storage(2)?;
    links.push(upload_to(0, b"equal").await?);
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!((files.len(), contents(&files)) == (5, 2), "{files:?}");
    links.push(upload_to(1, b"equal").await?);
    let files = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
    ensure!((files.len(), contents(&files)) == (6, 2), "{files:?}");
    // It is removed for good as soon as the tracker has noticed its silence.
    let (group, id) = ("group1".parse()?, members[2].ip().to_string().parse()?);
    let deadline = Deadline::after(LIMIT);
    while let Err(error) = client.delete_storage(group, id).await {
        ensure!(!deadline.passed(), "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for link in &links {
        ensure!(client.read(link, ByteRange::ALL, 1 << 20).await? == b"equal"[..], "{link}");
        client.delete(link).await?;
    }
    Deadline::after(LIMIT).wait_for("the end of the contents", || {
        let left = wait_for_equal_replicas(&cluster, &[0, 1], LIMIT)?;
        ensure!(left.is_empty(), "{left:?}");
        anyhow::Ok(())
    })
}

fn jpg() -> Result<Extension> {
    Ok("jpg".parse()?)
}

/// Every link has its content, and every content a link.
fn contents_and_links_agree(files: &Files) -> Result<()> {
    let mut linked = BTreeSet::new();
    for (name, state) in files {
        if let FileState::Link(target) = state {
            let content = name_of_target(target)?;
            ensure!(files.contains_key(&content), "{name} leads to {content}, which is not there");
            linked.insert(content);
        }
    }
    let lone = files.keys().find(|name| name.ends_with("content") && !linked.contains(*name));
    ensure!(lone.is_none(), "nothing leads to {lone:?}");
    Ok(())
}

/// Runs `fdfs dedup` for a storage that does not run; what it prints.
fn dedup(cluster: &Cluster, index: usize, operation: &str) -> Result<String> {
    let config = cluster.dir().join(format!("storage{index}.conf"));
    let output = Command::new(fdfs_binary()?).args(["dedup", operation, "-c"]).arg(config).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

const LIMIT: Duration = Duration::from_secs(120);
