//! Which bytes of a recorded answer differ from run to run, by command.

use std::ops::Range;

use crate::recording::Exchange;

/// Sets the bytes of `body` that vary in answers to `exchange` to one value, in the recording as in this
/// run, so that the rest can be compared.
pub(crate) fn blank_varying(exchange: &Exchange, body: &mut Vec<u8>) {
    if exchange.cmd == QUERY_FILE_INFO && !body.is_empty() {
        // Time of last change; an address is kept, it names the source.
        blank(body, 8..16);
        if exchange.varies_in("CRC32") || exchange.name.ends_with("trunk_link") {
            blank(body, 16..24);
        }
        if exchange.is_tool() {
            let end = body.len();
            blank(body, 24..end);
        }
    }
    if exchange.cmd == QUERY_STORE_GROUP_ONE && exchange.config == "B" {
        // Round robin over the store paths, not marked in the recording.
        let path = body.len().saturating_sub(1);
        blank(body, path..path + 1);
    }
    if exchange.varies.is_empty() {
        return;
    }
    let server = exchange.is_tool() || exchange.varies_in("which server");
    let store_path = exchange.is_tool() || exchange.varies_in("path index");
    match exchange.cmd {
        GET_STATUS => blank(body, 1..17),
        LIST_ONE_GROUP | LIST_ALL_GROUPS => blank_records(body, 0, GROUP_RECORD, |record| {
            // MB: total, free, reserved, free in trunk files; whose turn it is to be written to.
            blank(record, 17..49);
            blank(record, 81..89);
        }),
        LIST_STORAGES => {
            let wide = body.len().is_multiple_of(WIDE_STORAGE_RECORD);
            let (length, shift) = if wide { (WIDE_STORAGE_RECORD, 30) } else { (STORAGE_RECORD, 0) };
            blank_records(body, 0, length, |record| {
                // Join and start time, MB; current write path; connections and counters.
                for range in [58..98, 122..130, 138..486] {
                    blank(record, range.start + shift..range.end + shift);
                }
            });
        }
        TRACKER_STAT => blank_records(body, 1, 90, |record| {
            blank_after_nul(record, 0..52);
            blank(record, 54..66);
            blank_after_nul(record, 66..74);
            blank(record, 74..90);
        }),
        STORAGE_STAT => blank_records(body, 6, 106, |record| {
            blank_after_nul(record, 0..16);
            blank_after_nul(record, 16..68);
            blank(record, 70..82);
            blank_after_nul(record, 82..90);
            blank(record, 90..106);
        }),
        VOLUME_STAT => blank_records(body, 5, 59, |record| {
            blank_after_nul(record, 0..17);
            blank(record, 17..57);
        }),
        QUERY_STORE_ONE | QUERY_STORE_GROUP_ONE => {
            let (port, path) = (body.len().saturating_sub(9), body.len().saturating_sub(1));
            if server {
                let group = if exchange.config == "B" { 0 } else { GROUP_LEN };
                blank(body, group..port);
            }
            if store_path || server {
                blank(body, path..path + 1);
            }
        }
        QUERY_STORE_ALL | QUERY_STORE_GROUP_ALL => {
            let path = body.len().saturating_sub(1);
            blank(body, path..path + 1);
        }
        QUERY_FETCH_ONE | QUERY_UPDATE | QUERY_FETCH_ALL if server => {
            // How many servers have the file varies with its age.
            body.truncate(GROUP_LEN + SERVER_LEN);
            let port = body.len().saturating_sub(8);
            blank(body, GROUP_LEN..port);
        }
        GET_METADATA if exchange.varies_in("after the first NUL") => {
            let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
            body.truncate(end);
        }
        _ => {}
    }
}

/// Whether the answer to `command` is a new file's group and name.
pub(crate) fn answers_with_name(command: u8) -> bool {
    matches!(command, UPLOAD | UPLOAD_SLAVE | UPLOAD_APPENDER | REGENERATE | CREATE_LINK)
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    if let Some(bytes) = bytes.get_mut(range) {
        bytes.fill(0);
    }
}

/// Blanks what stands behind the end of a text: the original leaves bytes of earlier answers there.
fn blank_after_nul(record: &mut [u8], field: Range<usize>) {
    if let Some(field) = record.get_mut(field) {
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        field[end..].fill(0);
    }
}

fn blank_records(body: &mut [u8], head: usize, length: usize, blank: impl Fn(&mut [u8])) {
    if let Some(records) = body.get_mut(head..) {
        records.chunks_exact_mut(length).for_each(blank);
    }
}

/// Bytes of a group name field.
pub(crate) const GROUP_LEN: usize = 16;
/// Address and port of one server.
const SERVER_LEN: usize = 23;
const GROUP_RECORD: usize = 113;
const STORAGE_RECORD: usize = 487;
const WIDE_STORAGE_RECORD: usize = 517;

const GET_STATUS: u8 = 64;
const LIST_ONE_GROUP: u8 = 90;
const LIST_ALL_GROUPS: u8 = 91;
const LIST_STORAGES: u8 = 92;
const TRACKER_STAT: u8 = 96;
const STORAGE_STAT: u8 = 97;
const VOLUME_STAT: u8 = 98;
pub(crate) const QUERY_STORE_ONE: u8 = 101;
pub(crate) const QUERY_FETCH_ONE: u8 = 102;
pub(crate) const QUERY_UPDATE: u8 = 103;
const QUERY_STORE_GROUP_ONE: u8 = 104;
pub(crate) const QUERY_FETCH_ALL: u8 = 105;
pub(crate) const QUERY_STORE_ALL: u8 = 106;
const QUERY_STORE_GROUP_ALL: u8 = 107;
pub(crate) const UPLOAD: u8 = 11;
const UPLOAD_SLAVE: u8 = 21;
const UPLOAD_APPENDER: u8 = 23;
pub(crate) const CREATE_LINK: u8 = 20;
const REGENERATE: u8 = 38;
const QUERY_FILE_INFO: u8 = 22;
const GET_METADATA: u8 = 15;
