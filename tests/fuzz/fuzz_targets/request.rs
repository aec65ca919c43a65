//! Any bytes as the body of any request: an error, or a request that is written and read as itself.
//!
//! The first byte chooses the command, the second is the header's status.

#![no_main]

use fdfs_proto::{Header, Status, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [which, flags, body @ ..] = input else { return };
    let command = fuzzing::COMMANDS[usize::from(*which) % fuzzing::COMMANDS.len()];
    let header = Header { status: Status(*flags), ..Header::request(command, body.len() as u64) };
    drop(fuzzing::request(&header, body));
});
