//! The disk of the names fills up, and has space again.

use anyhow::{Result, ensure};
use fdfs_tests::{Cluster, Deadline, Gateway, SmallDisk};

use crate::{GRACE, cluster_of};

#[test]
fn a_full_namespace_refuses_writes_loses_nothing_and_goes_on_when_there_is_space() -> Result<()> {
    let Some(disk) = SmallDisk::mount(8)? else { return Ok(()) };
    let cluster: Cluster = cluster_of(1, "", "")?;
    let gateway = Gateway::start_with(&cluster, Some(&disk.path().join("names")), "")?;
    let mut acknowledged = Vec::new();
    ensure!(put(&gateway, 0, &mut acknowledged)? == 200);
    disk.fill()?;
    let mut refusal = 0;
    // Pages that were freed before are used up first.
    for number in 1..MOST {
        refusal = put(&gateway, number, &mut acknowledged)?;
        if refusal != 200 {
            break;
        }
    }
    ensure!(refusal == 507, "a full namespace is 507 and not {refusal}");
    let refused = gateway.put("/group1/refused", b"no")?;
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    ensure!(refused.status == 507 && text.contains("<Code>InsufficientStorage</Code>"), "{text}");
    ensure!(gateway.get("/group1/refused")?.status == 404, "what was refused is not there");
    Deadline::after(GRACE).wait_for("degraded line in /healthz", || {
        let health = gateway.health()?;
        let text = String::from_utf8(health.body)?;
        ensure!(health.status == 200 && text.contains("degraded: no space left for names"), "{text}");
        anyhow::Ok(())
    })?;
    all_are_there(&gateway, &acknowledged)?;

    disk.free()?;
    for number in MOST..MOST + 20 {
        let status = put(&gateway, number, &mut acknowledged)?;
        ensure!(status == 200, "PUT {number} after space was freed: {status}");
    }
    all_are_there(&gateway, &acknowledged)?;
    Deadline::after(GRACE).wait_for("ok in /healthz", || {
        let health = gateway.health()?;
        let text = String::from_utf8(health.body)?;
        ensure!(health.status == 200 && text.contains(r#""namespace":"ok""#), "{text}");
        anyhow::Ok(())
    })
}

/// Puts an object, and notes it where that was acknowledged.
fn put(gateway: &Gateway, number: usize, acknowledged: &mut Vec<usize>) -> Result<u16> {
    let status = gateway.put(&format!("/group1/key{number}"), format!("content {number}").as_bytes())?.status;
    if status == 200 {
        acknowledged.push(number);
    }
    Ok(status)
}

fn all_are_there(gateway: &Gateway, acknowledged: &[usize]) -> Result<()> {
    for number in acknowledged {
        let read = gateway.get(&format!("/group1/key{number}"))?;
        ensure!(read.status == 200, "key{number}: {}", read.status);
        ensure!(read.body == format!("content {number}").into_bytes(), "key{number} has other bytes");
    }
    Ok(())
}

const MOST: usize = 400;
