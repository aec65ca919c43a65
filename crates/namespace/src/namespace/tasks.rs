//! Work that one process does for all.

use std::time::Duration;

use super::Namespace;
use crate::error::NamespaceError;
use crate::tasks;

impl Namespace {
    /// Takes or keeps a task for this long; false while another session has it.
    pub async fn take_task(&self, name: &'static str, duration: Duration) -> Result<bool, NamespaceError> {
        self.write(move |tx| tasks::take(tx, name, duration)).await
    }

    /// Gives a task back.
    pub async fn give_back_task(&self, name: &'static str) -> Result<(), NamespaceError> {
        self.write(move |tx| tasks::give_back(tx, name)).await
    }
}
