//! The `fdfs` binary: daemons, everything in one process, client tools.

#![expect(unreachable_pub, reason = "a program exports nothing; pub says what a module offers the others")]

mod access;
mod bench;
mod bucket;
mod cli;
mod daemon;
mod dedup;
mod gateway;
mod legacy;
mod mount;
mod namespace;
mod tools;
mod trunk;
mod up;

use std::process::ExitCode;

use self::legacy::OldProgram;

fn main() -> ExitCode {
    if mount::helper::is_called() {
        return mount::helper::run();
    }
    match OldProgram::called() {
        Some(program) => program.run(),
        None => cli::run(),
    }
}
