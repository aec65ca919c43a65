//! What every operation works with.

use crate::config::Config;

/// What every operation works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// How the server was started.
    pub(crate) config: Config,
}

impl Context {
    /// Puts it together.
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }
}
