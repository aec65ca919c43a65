//! What an old program is called with.

use std::fmt::Display;
use std::io::{self, Write as _};

/// The name and the arguments.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The name as it was called, with its path.
    pub program: String,
    /// What follows.
    pub rest: Vec<String>,
}

impl Arguments {
    /// Those of this process. Bytes that are no text are replaced: no file ID or address has any.
    pub fn of_process() -> Self {
        let mut all = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
        Self { program: all.next().unwrap_or_default(), rest: all.collect() }
    }

    /// The argument at this place; the first one is at 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.rest.get(index).map(String::as_str)
    }

    /// The first `N` arguments, if there are that many; else how to call the program is printed.
    pub fn first<const N: usize>(&self, usage: &str) -> Result<[&str; N], i32> {
        if self.rest.len() < N {
            say(format_args!("Usage: {} {usage}", self.program));
            return Err(1);
        }
        Ok(std::array::from_fn(|index| self.rest[index].as_str()))
    }
}

/// Prints a line on standard output. That nobody reads it is no reason to fail.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line on standard error.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
