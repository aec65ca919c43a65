//! Lending open files to readers on this machine: gateways and mounts then read them where they lie.
//!
//! What is lent is what would be sent to a stranger: neither files that can change, nor those of a trunk file, nor private ones.
//! A reader that is refused asks over TCP.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use fdfs_net::{Lender, Loan};
use fdfs_proto::{
    Command, Header, Status,
    ours::{LendFileRequest, LendFileResponse},
};
use fdfs_store::Counter;
use fdfs_types::FileKind;
use tracing::{info, warn};

use crate::{
    error::Refusal,
    shared::Shared,
    traffic::{Action, Answered},
};

/// Lends beside every address by which this storage is known.
pub(crate) fn start(shared: &Arc<Shared>, port: u16) -> Vec<Lender> {
    let addresses = shared.identity.ips.iter().map(|ip| SocketAddr::new(*ip, port));
    let start = |address| {
        let shared = Arc::clone(shared);
        Lender::start(address, move |request| answer(&shared, request))
            .inspect(|_| info!(%address, "files are lent to readers on this machine"))
            .inspect_err(|error| warn!(%address, %error, "files are not lent to readers on this machine"))
            .ok()
    };
    addresses.filter_map(start).collect()
}

/// Opens a file for a reader, and counts it as one that was sent.
fn answer(shared: &Shared, request: &LendFileRequest) -> Result<Loan, Status> {
    let begun = shared.traffic.begin();
    let opened = open(shared, request);
    let status = opened.as_ref().err().map_or(Status::OK, Refusal::status);
    // Who is refused asks again over TCP, and is counted there.
    if let Ok(loan) = &opened {
        let name = request.file_id.filename.as_str();
        shared.store.stat().add(Counter::TotalFileReadCount, 1);
        shared.store.stat().add(Counter::SuccessFileReadCount, 1);
        shared.traffic.count(
            shared.store.stat(),
            &Answered {
                peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                action: Action::of(Command::LEND_FILE),
                filename: shared.traffic.wants_names().then_some(name),
                renamed: None,
                status,
                begun,
                received: (Header::LEN + name.len()) as u64,
                sent: (Header::LEN + LendFileResponse::LEN) as u64,
                content: request.length.min(loan.place.size),
            },
        );
    }
    opened.map_err(|_| status)
}

fn open(shared: &Shared, request: &LendFileRequest) -> Result<Loan, Refusal> {
    let file_id = &request.file_id;
    if file_id.group != shared.group() {
        return Err(Refusal::OtherGroup(file_id.group));
    }
    if file_id.filename.is_private() {
        return Err(Refusal::Private);
    }
    if !matches!(file_id.filename.kind(), Ok(FileKind::Normal)) {
        return Err(Refusal::NotLent);
    }
    let open = shared.store.open_file(&file_id.filename)?;
    if open.crc32.is_some() {
        return Err(Refusal::NotLent);
    }
    Ok(Loan { file: open.file, place: LendFileResponse { start: open.start, size: open.size } })
}
