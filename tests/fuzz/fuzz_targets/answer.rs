//! Any bytes as the answer to any request: an error, or an answer that is written and read as itself.
//!
//! The first byte chooses the command.

#![no_main]

use fdfs_proto::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [which, body @ ..] = input else { return };
    let command = fuzzing::COMMANDS[usize::from(*which) % fuzzing::COMMANDS.len()];
    drop(fuzzing::response(command, body));
});
