//! `fdfs_regenerate_filename`.

use std::path::Path;

use super::arguments::{Arguments, complain, say};
use super::download::file_id;
use super::errno;
use super::session::Session;

/// Turns an appender file into a normal one, and prints its new ID.
pub fn run(arguments: &Arguments) -> i32 {
    let (Some(config), Some(id)) = (arguments.get(0), arguments.get(1)) else {
        complain("Turns an appender file into a normal file, which cannot be changed any more.");
        complain(format_args!("Usage: {} <config_file> <appender_file_id>", arguments.program));
        return 1;
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let done = file_id(id).and_then(|id| Ok(session.runtime.block_on(session.client.regenerate(&id))?));
    match done {
        Ok(id) => {
            say(id);
            0
        }
        Err(error) => {
            let code = errno::of(&error);
            errno::log(&error);
            complain(errno::failed(format_args!("regenerate file {id}"), code));
            code
        }
    }
}
