//! Gateways and what they keep names in: several on one database, killed ones, operations on a namespace.

mod fault_points;
mod operations;
mod two_gateways;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use fdfs_tests::{Addresses, Cluster, ClusterConfig, Gateway, StorageConfig};

/// A tracker and a storage.
fn cluster() -> Result<Cluster> {
    let mut config = ClusterConfig::new(SocketAddr::new(Addresses::next()?.into(), 22122));
    let address = SocketAddr::new(Addresses::next()?.into(), 23000);
    let lines = "subdir_count_per_path=4".to_owned();
    config.storages.push(StorageConfig { lines, ..StorageConfig::new(address, "group1", 1) });
    Cluster::start(config)
}

/// Puts an object.
fn put(gateway: &Gateway, key: &str, content: &[u8]) -> Result<()> {
    let answer = gateway.put(&format!("/group1/{key}"), content)?;
    ensure!(answer.status == 200, "put {key}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// Reads an object; none where there is none.
fn get(gateway: &Gateway, key: &str) -> Result<Option<Vec<u8>>> {
    let answer = gateway.get(&format!("/group1/{key}"))?;
    match answer.status {
        200 => Ok(Some(answer.body)),
        404 => Ok(None),
        status => anyhow::bail!("get {key}: {status} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Keys that begin with a prefix, which needs no encoding in a URL.
fn list(gateway: &Gateway, prefix: &str) -> Result<Vec<String>> {
    let answer = gateway.get(&format!("/group1?list-type=2&prefix={prefix}"))?;
    ensure!(answer.status == 200, "list: {}", answer.status);
    let text = String::from_utf8(answer.body)?;
    let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    Ok(keys.map(|(key, _)| key.to_owned()).collect())
}

/// The files of a storage's data directory that clients uploaded.
fn files_on_disk(cluster: &Cluster) -> Result<Vec<String>> {
    fn walk(directory: &Path, found: &mut Vec<String>) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), found)?;
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            // Those of the storage's own have other names; metadata stand beside their file.
            if name.len() >= 27 && !name.ends_with("-m") && !name.starts_with('.') {
                found.push(name);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    let data = cluster.store_path(0, 0).join("data");
    for entry in fs::read_dir(&data)? {
        let entry = entry?;
        if entry.file_name().len() == 2 {
            walk(&entry.path(), &mut found)?;
        }
    }
    Ok(found)
}
