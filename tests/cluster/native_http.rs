//! The tutorials' experiment with native HTTP: a file is lost at one storage after the other.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_client::UploadSpec;
use fdfs_tests::{Cluster, Deadline, wait_for_equal_replicas};
use fdfs_types::Extension;

use crate::fleet::{client_of, fleet};

#[test]
fn the_last_storage_that_has_a_file_serves_it_through_every_other() -> Result<()> {
    let cluster = Cluster::start(fleet(1, &[("group1", 3), ("group2", 1)])?)?;
    let content: Vec<u8> = (0..200_000_u32).map(|at| (at * 31 + at / 256) as u8).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let client = client_of(&cluster.config().trackers);
    let id = runtime.block_on(async {
        let spec = UploadSpec::new("jpg".parse::<Extension>()?).in_group("group1".parse()?);
        Ok::<_, anyhow::Error>(client.upload(spec, &content).await?.file_id)
    })?;
    wait_for_equal_replicas(&cluster, &[0, 1, 2], SYNC_LIMIT)?;
    let local = id.filename.local_path().to_owned();
    for keeper in [2, 1] {
        // Renamed at two of three, as the tutorial does it; the third has it.
        let away = |index: usize| {
            let path = cluster.store_path(index, 0).join("data").join(&local);
            (path.clone(), path.with_extension("away"))
        };
        for index in (0..3).filter(|index| *index != keeper) {
            let (here, away) = away(index);
            std::fs::rename(here, away)?;
        }
        for storage in &cluster.config().storages {
            let ip = storage.address.ip();
            // A storage hears of the others by its beats.
            let served = || {
                let (status, body) = get(ip, &id.to_string())?;
                ensure!(status == 200 && body == content, "{ip} answers {status}");
                Ok(())
            };
            Deadline::after(SYNC_LIMIT)
                .wait_for("file", served)
                .with_context(|| format!("kept by storage {keeper}"))?;
        }
        for index in (0..3).filter(|index| *index != keeper) {
            let (here, away) = away(index);
            std::fs::rename(away, here)?;
        }
    }
    let missing = id.to_string().replace(".jpg", ".png");
    for storage in &cluster.config().storages {
        let (status, _) = get(storage.address.ip(), &missing)?;
        ensure!(status == 404, "{} answers {status} for a file that nobody has", storage.address);
    }
    Ok(())
}

/// Status and body of a file over HTTP.
pub(crate) fn get(ip: IpAddr, path: &str) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect((ip, HTTP_PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, answer[end + 4..].to_vec()))
}

const HTTP_PORT: u16 = 8888;
const SYNC_LIMIT: Duration = Duration::from_secs(60);
