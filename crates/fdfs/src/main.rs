//! The `fdfs` binary: daemons, everything in one process, client tools.

mod bench;
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
