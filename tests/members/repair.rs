//! `fdfs repair`: what could not be sent is told, tried again and gone.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use fdfs_client::UploadSpec;
use fdfs_tests::{BrokenFile, Cluster, Deadline, fdfs_binary, wait_for_equal_replicas};

use crate::{REPLICATION, client_of, fill, group_of};

fn repair(cluster: &Cluster, arguments: &[&str]) -> Result<(Output, String)> {
    let tracker = cluster.config().tracker().to_string();
    let output =
        Command::new(fdfs_binary()?).args(["repair", "--json", "-t", &tracker]).args(arguments).output()?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output, text))
}

#[tokio::test]
async fn a_change_that_could_not_be_sent_is_told_tried_again_and_gone() -> Result<()> {
    let mut config = group_of(2)?;
    for storage in &mut config.storages {
        storage.lines.push_str("scrub_rate=0\n");
    }
    let mut cluster = Cluster::start(config)?;
    let client = client_of(&cluster);
    cluster.stop_storage(1)?;
    let spec = UploadSpec::new("bin".parse()?).in_group("group1".parse()?);
    let bad = client.upload(spec, &vec![7; BrokenFile::SIZE]).await?.file_id;
    let store_path = cluster.store_path(0, usize::from(bad.filename.store_path())).join("data");
    let path = store_path.join(bad.filename.local_path());
    let Some(broken) = BrokenFile::over(&path)? else { return Ok(()) };
    cluster.start_storage(1)?;
    // What is behind it comes.
    let good = fill(&client, 10).await?;
    let name = bad.filename.as_str();
    Deadline::after(REPLICATION).wait_for("a dead letter", || {
        let (output, text) = repair(&cluster, &["--dry-run"])?;
        ensure!(!output.status.success() && text.contains(name) && text.contains(r#""left":1"#), "{text}");
        anyhow::Ok(())
    })?;
    // As long as its disk does not give it out it stays, and is told.
    let (output, text) = repair(&cluster, &["--wait", "20"])?;
    ensure!(!output.status.success() && text.contains(name) && text.contains(r#""left":1"#), "{text}");

    drop(broken);
    let (output, text) = repair(&cluster, &["--wait", "60"])?;
    ensure!(output.status.success() && text.contains(r#""before":1,"changes":[]"#), "{text}");
    let (output, text) = repair(&cluster, &["--dry-run"])?;
    ensure!(output.status.success() && text.is_empty(), "{text}");
    let files = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let found = files.get(name).context("the change that had failed")?;
    ensure!(matches!(found, fdfs_tests::FileState::Regular { size: 4096, .. }), "{found:?}");
    ensure!(good.iter().all(|file| files.contains_key(file.filename.as_str())));
    Ok(())
}
