//! `fdfs_test`: tries what a cluster can do.

mod existing;
mod storing;

use std::path::Path;

use super::arguments::{Arguments, say};
use super::session::Session;
use super::{VERSION, errno};

pub use self::storing::{Manner, describe, print_info};

/// Tries one operation.
pub fn run(arguments: &Arguments) -> i32 {
    banner();
    let program = &arguments.program;
    let (Some(config), Some(operation), Some(_)) = (arguments.get(0), arguments.get(1), arguments.get(2))
    else {
        return match (arguments.get(0), arguments.get(1).and_then(operands)) {
            (Some(_), Some(operands)) => operation_usage(arguments, operands),
            _ => {
                say(format_args!("Usage: {program} <config_file> <operation>"));
                say("\toperation: upload, download, getmeta, setmeta, delete and query_servers");
                1
            }
        };
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let done = match operation {
        "upload" => storing::upload(&session, arguments),
        "download" | "getmeta" | "setmeta" | "delete" | "query_servers" => {
            existing::with_file(&session, operation, arguments)
        }
        _ => {
            say(format_args!("invalid operation: {operation}"));
            Err(errno::EINVAL)
        }
    };
    done.map_or_else(|code| code, |()| 0)
}

/// The first lines of both test programs.
pub fn banner() {
    say(format_args!(
        "This is a client test program for FastDFS V{VERSION} and compatible clusters, of fdfs {}\n",
        env!("CARGO_PKG_VERSION")
    ));
}

fn operands(operation: &str) -> Option<&'static str> {
    match operation {
        "upload" => Some("<local_filename> [FILE | BUFF | CALLBACK] "),
        "download" | "getmeta" | "setmeta" | "delete" | "query_servers" => {
            Some("<group_name> <remote_filename>")
        }
        _ => None,
    }
}

fn operation_usage(arguments: &Arguments, operands: &str) -> i32 {
    let operation = arguments.get(1).unwrap_or_default();
    say(format_args!("Usage: {} <config_file> {operation} {operands}", arguments.program));
    errno::EINVAL
}

/// Prints a failure and answers its number.
pub fn report(what: &str, error: &anyhow::Error) -> i32 {
    errno::log(error);
    let code = errno::of(error);
    say(errno::failed(what, code));
    code
}
