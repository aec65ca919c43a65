//! Two gateways on one database.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fdfs_namespace::testing::PostgresServer;
use fdfs_tests::{Cluster, Deadline, Gateway};

use super::{cluster, files_on_disk, get, list, put};

fn both(cluster: &Cluster, url: &str) -> Result<[Gateway; 2]> {
    let start = || Gateway::start_on(cluster, Some(url), "free_after = 0", &[]);
    Ok([start()?, start()?])
}

#[test]
fn what_one_gateway_answers_the_other_reads_and_lists_at_once() -> Result<()> {
    let Some(server) = PostgresServer::own() else { return Ok(()) };
    let cluster = cluster()?;
    let url = server.new_store();
    let gateways = both(&cluster, &url)?;
    let mut keys = Vec::new();
    for number in 0..24_usize {
        let (writer, reader) = (&gateways[number % 2], &gateways[(number + 1) % 2]);
        let (key, gone) = (format!("dir/{number:02}"), format!("gone/{number}"));
        put(writer, &key, format!("by {number}").as_bytes())?;
        ensure!(get(reader, &key)?.as_deref() == Some(format!("by {number}").as_bytes()), "{key}");
        keys.push(key.clone());
        ensure!(list(reader, "dir")? == keys, "{number}");
        // What was written by one is replaced and deleted by the other.
        put(reader, &key, b"again")?;
        ensure!(get(writer, &key)?.as_deref() == Some(b"again".as_slice()), "{key}");
        put(writer, &gone, b"x")?;
        ensure!(reader.s3(&format!("/group1/{gone}"), &["--request", "DELETE"])?.status == 204);
        ensure!(get(writer, &gone)?.is_none() && list(writer, "gone")?.is_empty(), "{gone}");
    }
    // Both are killed, and the database as well.
    drop(gateways);
    server.kill();
    server.restart();
    let gateways = both(&cluster, &url)?;
    for gateway in &gateways {
        ensure!(list(gateway, "")? == keys);
        for key in &keys {
            ensure!(get(gateway, key)?.as_deref() == Some(b"again".as_slice()), "{key}");
        }
    }
    put(&gateways[0], "after", b"the kill")?;
    ensure!(get(&gateways[1], "after")?.is_some());
    // Replaced and deleted content goes, once both have told that they do not read it.
    Deadline::after(Duration::from_secs(120)).wait_for("end of the replaced files", || {
        let files = files_on_disk(&cluster).map_err(|error| error.to_string())?.len();
        if files == keys.len() + 1 { Ok(()) } else { Err(format!("{files} files")) }
    })
}

#[test]
fn a_gateway_outlives_its_database() -> Result<()> {
    let Some(server) = PostgresServer::own() else { return Ok(()) };
    let cluster = cluster()?;
    let gateway = Gateway::start_on(&cluster, Some(&server.new_store()), "", &[])?;
    put(&gateway, "key", b"content")?;
    server.kill();
    let answer = gateway.get("/group1/key")?;
    ensure!(answer.status == 503, "{}", answer.status);
    Deadline::after(Duration::from_secs(60)).wait_for("health that tells of it", || {
        let health = gateway.health().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&health.body).into_owned();
        if health.status == 503 && text.contains("database") { Ok(()) } else { Err(text) }
    })?;
    server.restart();
    let found = get(&gateway, "key").context("after the database is back")?;
    ensure!(found.as_deref() == Some(b"content".as_slice()));
    put(&gateway, "key", b"other content")
}
