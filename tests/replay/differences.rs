//! Where we answer otherwise than the original on purpose: `differences.json`.

use std::collections::BTreeMap;
use std::env;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What we answer instead, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    /// Why this is better.
    pub(crate) reason: String,
    /// Our status; none if we close instead of answering.
    pub(crate) status: Option<u8>,
    /// Whether we close afterwards, if this is what differs.
    pub(crate) closes: Option<bool>,
    /// Our body, with recorded names where names stand; left out where it is not fixed.
    body_hex: Option<String>,
}

/// The table, by name of the exchange.
#[derive(Debug)]
pub(crate) struct Differences(BTreeMap<String, Difference>);

impl Differences {
    /// Reads the table; empty with `FDFS_REPLAY_DIFFERENCES=none`, which is for a replay against the
    /// original itself.
    pub(crate) fn load() -> Result<Self> {
        if env::var_os("FDFS_REPLAY_DIFFERENCES").is_some_and(|value| value == "none") {
            return Ok(Self(BTreeMap::new()));
        }
        let table: BTreeMap<String, Difference> =
            serde_json::from_str(include_str!("differences.json")).context("differences.json")?;
        for (name, difference) in &table {
            ensure!(!difference.reason.trim().is_empty(), "{name} differs without a reason");
        }
        Ok(Self(table))
    }

    /// What is said of an exchange.
    pub(crate) fn get(&self, exchange: &str) -> Option<&Difference> {
        self.0.get(exchange)
    }

    /// The names in the table.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Difference {
    /// The body we answer with, if it is fixed.
    pub(crate) fn body(&self) -> Result<Option<Vec<u8>>> {
        self.body_hex.as_deref().map(hex::decode).transpose().context("body_hex")
    }
}
