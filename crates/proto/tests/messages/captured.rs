//! Every message of conversations captured from the original decodes, and encodes to the same bytes.

use std::collections::BTreeSet;

use fdfs_proto::{Command, Status, fuzzing};

use crate::vectors::{exchanges, same};

/// Requests of storages whose body we refuse although the original does not, each for a reason.
const STRICTER_IN_CLUSTER_FILE: &[(&str, &str)] = &[
    (
        "10-probes-ids-mode/037-STORAGE_REPORT_IP_CHANGED",
        "no addresses; refused with 95 without a look at them",
    ),
    (
        "10-probes-ids-mode/068-STORAGE_REPORT_IP_CHANGED",
        "no addresses; refused with 95 without a look at them",
    ),
    ("20-errors-no-group/031-STORAGE_SYNC_REPORT", "an empty id; refused with 13 without a look at it"),
];

/// The same among the clients' requests.
const STRICTER_IN_CLIENT_FILE: &[(&str, &str)] = &[
    ("A/t/internal_sync_report/not_joined", "an empty body; refused with 13 without a look at it"),
    ("A/t/internal_change_status/not_joined", "an empty body; refused with 13 without a look at it"),
    ("A/t/internal_replica_chg/not_joined", "an empty body; refused with 13 without a look at it"),
    ("A/t/internal_report_trunk_fid/not_joined", "an empty body; refused with 13 without a look at it"),
    ("A/t/internal_report_trunk_free/not_joined", "an empty body; refused with 13 without a look at it"),
    ("A/s/download/dotdot", "a name that is a directory is refused before the disk is asked"),
    ("A/s/set_metadata/long_name_value", "the original cuts silently"),
    ("A/s/set_metadata/overwrite_garbage_row", "the original drops the row and keeps a stale tail"),
];

/// An answer with stale bytes behind a NUL, which we do not repeat.
const STALE: &str = "A/s/get_metadata/stale_tail";

fn bytewise(bytes: &[u8]) -> Vec<u8> {
    let mut sorted = bytes.to_vec();
    sorted.sort_unstable();
    sorted
}

struct Tally {
    /// Requests that decoded.
    requests: usize,
    /// Answers that decoded.
    answers: usize,
    /// Requests whose shape we and the original refuse.
    refused: usize,
}

fn check(file: &str, stricter: &[(&str, &str)]) -> Tally {
    let mut faults = Vec::new();
    let mut unused: BTreeSet<&str> = stricter.iter().map(|(name, _)| *name).collect();
    let mut tally = Tally { requests: 0, answers: 0, refused: 0 };
    for exchange in exchanges(file) {
        let name = &exchange.name;
        let Some((header, body)) = exchange.request() else { continue };
        let answer = exchange.answer();
        let status = answer.as_ref().map(|(header, _)| header.status);
        let is_stricter = unused.remove(name.as_str());
        if exchange.request_len.is_none() && header.length != body.len() as u64 {
            // A length beyond all limits: the server closed without reading on.
            assert!(answer.is_none(), "{name}: the capture is cut");
            tally.refused += 1;
            continue;
        }
        match fuzzing::request(&header, &body) {
            None => assert_eq!(status, Some(Status::EINVAL), "{name}: no decoder for {}", header.command),
            Some(Ok(decoded)) => {
                tally.requests += 1;
                // Metadata has its records in the order of their names.
                let is_sorted_now =
                    header.command == Command::SET_METADATA && bytewise(&decoded.body) == bytewise(&body);
                let head = &body[..decoded.body.len().min(body.len())];
                if !same(&decoded.body, head) && !is_sorted_now {
                    faults.push(format!(
                        "{name}: encodes to {}, not {}",
                        hex::encode(&decoded.body),
                        hex::encode(head)
                    ));
                }
                let length = decoded.body.len() as u64 + decoded.content_length;
                assert_eq!(length, header.length, "{name}: {}", decoded.debug);
                if is_stricter {
                    faults.push(format!("{name}: decodes after all: {}", decoded.debug));
                }
            }
            // The shape of the body is what the original refuses too, or a name that it does not know.
            Some(Err(error)) if status == Some(error.status_at_tracker()) => tally.refused += 1,
            Some(Err(_)) if matches!(status, None | Some(Status::EINVAL)) => tally.refused += 1,
            Some(Err(_)) if is_stricter => tally.refused += 1,
            Some(Err(error)) => {
                faults.push(format!("{name} ({status:?}, {}): {error}", exchange.note));
            }
        }
        let Some((header_of_answer, body)) = answer else { continue };
        assert_eq!(header_of_answer.command, Command::RESPONSE, "{name}");
        if header_of_answer.status != Status::OK || exchange.response_len.is_some() {
            continue;
        }
        match fuzzing::response(header.command, &body) {
            None => faults.push(format!("{name}: no decoder for the answer to {}", header.command)),
            Some(Ok(encoded)) => {
                tally.answers += 1;
                // The original fills some empty answers with the bytes of the request.
                let is_echo = encoded.is_empty() && body.len() as u64 == header.length;
                if !is_echo && name != STALE && !same(&encoded, &body) {
                    faults.push(format!(
                        "{name}: answer encodes to {}, not {}",
                        hex::encode(&encoded),
                        hex::encode(&body)
                    ));
                }
            }
            Some(Err(error)) => faults.push(format!("{name}: answer: {error}")),
        }
    }
    assert!(unused.is_empty(), "these are not in {file}: {unused:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    tally
}

#[test]
fn clients_and_their_servers_are_understood() {
    let tally = check("wire-client.json", STRICTER_IN_CLIENT_FILE);
    assert_eq!((tally.requests, tally.answers, tally.refused), (485, 362, 95));
}

#[test]
fn trackers_and_their_storages_are_understood() {
    let tally = check("wire-tracker-cluster.json", STRICTER_IN_CLUSTER_FILE);
    assert_eq!((tally.requests, tally.answers, tally.refused), (807, 623, 54));
}

#[test]
fn storages_and_their_peers_are_understood() {
    let tally = check("wire-storage-sync.json", &[]);
    assert_eq!((tally.requests, tally.answers, tally.refused), (133, 97, 6));
}
