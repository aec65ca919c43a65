//! What trackers say of storages and of each other, read from the raw wire.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};

use crate::{Answer, Wire};

/// Asks a daemon whether it is there.
pub(crate) fn active_test(address: SocketAddr) -> Result<()> {
    match Wire::connect(address)?.call(ACTIVE_TEST, b"")? {
        Answer::Frame { status: 0, .. } => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// The status byte of a storage in a tracker's list of its group.
pub(crate) fn storage_status(tracker: SocketAddr, group: &str, ip: IpAddr) -> Result<u8> {
    let mut body = group.as_bytes().to_vec();
    body.resize(GROUP_LEN, 0);
    let Answer::Frame { status: 0, body, .. } = Wire::connect(tracker)?.call(LIST_STORAGES, &body)? else {
        bail!("the group is not listed");
    };
    let record = if body.len().is_multiple_of(RECORD_LEN) { RECORD_LEN } else { WIDE_RECORD_LEN };
    let ip = ip.to_string();
    for storage in body.chunks_exact(record) {
        let field = storage.get(IP_OFFSET..IP_OFFSET + ip.len() + 1).context("a short record")?;
        if field.strip_suffix(b"\0") == Some(ip.as_bytes()) {
            return Ok(storage[0]);
        }
    }
    bail!("the storage is not listed")
}

/// Whether a tracker leads.
pub(crate) fn leads(tracker: SocketAddr) -> Result<bool> {
    match Wire::connect(tracker)?.call(TRACKER_STATUS, b"")? {
        Answer::Frame { status: 0, body, .. } => {
            ensure!(body.len() == TRACKER_STATUS_LEN, "{} bytes of a tracker's status", body.len());
            Ok(body[0] == 1)
        }
        other => bail!("{other:?}"),
    }
}

const ACTIVE_TEST: u8 = 111;
const LIST_STORAGES: u8 = 92;
const TRACKER_STATUS: u8 = 64;
const TRACKER_STATUS_LEN: usize = 17;
const GROUP_LEN: usize = 16;
/// Length of a storage record with an IP field of 16 bytes, and with one of 46.
const RECORD_LEN: usize = 487;
const WIDE_RECORD_LEN: usize = 517;
/// Place of the IP text in a storage record.
const IP_OFFSET: usize = 18;
