//! `fdfs namespace`, while a gateway serves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use fdfs_namespace::testing::PostgresServer;
use fdfs_tests::{Gateway, fdfs_binary};

use super::fault_points::{begin, complete, send_part};
use super::{cluster, get, list, put};

fn namespace(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(fdfs_binary()?).arg("namespace").args(arguments).output()?)
}

/// What it prints, if it succeeds.
fn succeeds(arguments: &[&str]) -> Result<String> {
    let output = namespace(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {} {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("path is UTF-8")
}

#[test]
fn names_are_backed_up_restored_copied_and_checked_while_a_gateway_serves() -> Result<()> {
    let cluster = cluster()?;
    let dir = tempfile::tempdir()?;
    let gateway = Gateway::start(&cluster)?;
    let keys: Vec<String> = (0..20).map(|number| format!("{}/{number:02}", number % 3)).collect();
    for key in &keys {
        put(&gateway, key, key.as_bytes())?;
    }
    let mut listed = keys.clone();
    listed.sort();
    let config = gateway.config();
    let config = text(&config)?;

    // The gateway has the store for itself, so its service is asked.
    let backup = dir.path().join("backup");
    let told = succeeds(&["backup", "-c", config, text(&backup)?])?;
    ensure!(told.contains("rows in"), "{told}");
    ensure!(!namespace(&["backup", "-c", config, text(&backup)?])?.status.success(), "it overwrote a backup");
    let told = succeeds(&["fsck", "-c", config])?;
    ensure!(told.contains("20 files looked for, 0 findings repaired, 0 left"), "{told}");
    put(&gateway, "later", b"than the backup")?;
    let mut copied = listed.clone();
    copied.push("later".to_owned());

    let restored = format!("lmdb://{}", dir.path().join("restored").display());
    succeeds(&["restore", text(&backup)?, "--to", &restored])?;
    let error = namespace(&["restore", text(&backup)?, "--to", &restored])?;
    ensure!(String::from_utf8_lossy(&error.stderr).contains("not empty"), "{error:?}");
    let mut stores = vec![(restored, listed)];
    let server = PostgresServer::own();
    if let Some(server) = &server {
        let url = server.new_store();
        succeeds(&["copy", "-c", config, "--to", &url])?;
        stores.push((url, copied));
    }
    for (store, listed) in &stores {
        let other = Gateway::start_on(&cluster, Some(store), "", &[])?;
        ensure!(list(&other, "")? == *listed, "{store}");
        for key in &keys {
            ensure!(get(&other, key)?.as_deref() == Some(key.as_bytes()), "{store}: {key}");
        }
        succeeds(&["fsck", "-c", text(&other.config())?])?;
    }

    // A file that is gone at its storage is told of, with its name.
    let data = cluster.store_path(0, 0).join("data");
    let mut gone = None;
    for directory in walk(&data)? {
        let is_it = fs::read(&directory).is_ok_and(|content| content == b"1/01");
        if is_it {
            fs::remove_file(&directory)?;
            gone = Some(directory);
        }
    }
    ensure!(gone.is_some(), "no file of that content");
    let output = namespace(&["fsck", "-c", config, "--json"])?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        !output.status.success() && told.contains("group1/1/01") && told.contains("is at no storage"),
        "{told}"
    );
    Ok(())
}

fn walk(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => found.extend(walk(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}

#[test]
fn a_part_whose_file_is_lost_is_told_forgotten_and_sent_again() -> Result<()> {
    let cluster = cluster()?;
    let gateway = Gateway::start(&cluster)?;
    put(&gateway, "other", b"content")?;
    let upload_id = begin(&gateway)?;
    let parts = [vec![b'1'; 5 << 20], vec![b'2'; 100_000]];
    let tags = parts.iter().zip(1..).map(|(part, number)| send_part(&gateway, &upload_id, number, part));
    let tags: Vec<String> = tags.collect::<Result<_>>()?;
    let config = gateway.config();
    let config = text(&config)?;
    succeeds(&["fsck", "-c", config])?;

    // Its second part is gone at the storage.
    for file in walk(&cluster.store_path(0, 0).join("data"))? {
        if fs::metadata(&file)?.len() == parts[1].len() as u64 {
            fs::remove_file(&file)?;
        }
    }
    for _ in 0..2 {
        let output = namespace(&["fsck", "-c", config])?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let finding = format!("group1/key, upload {upload_id}, part 2: its content ");
        ensure!(!output.status.success() && told.contains(&finding), "{told}");
        ensure!(
            told.contains("--repair repairs it") && told.contains("0 findings repaired, 1 left"),
            "{told}"
        );
    }
    let told = succeeds(&["fsck", "-c", config, "--repair"])?;
    ensure!(told.contains("1 findings repaired, 0 left"), "{told}");
    let refused = complete(&gateway, &upload_id, &tags)?;
    ensure!(refused.0 == 400 && refused.1.contains("InvalidPart"), "{refused:?}");
    send_part(&gateway, &upload_id, 2, &parts[1])?;
    let answer = complete(&gateway, &upload_id, &tags)?;
    ensure!(answer.0 == 200, "{answer:?}");
    ensure!(get(&gateway, "key")? == Some(parts.concat()), "the object");
    succeeds(&["fsck", "-c", config]).map(drop)
}
