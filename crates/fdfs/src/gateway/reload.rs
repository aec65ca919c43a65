//! The configuration is read again while the gateway serves: by SIGHUP.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use tracing::{error, info, warn};

use super::GatewayConfig;
use super::front::FrontControl;

/// Takes a changed configuration over, as far as that can be done while the gateway serves.
pub(super) struct Reload {
    path: PathBuf,
    started: GatewayConfig,
    /// What the gateway started with.
    keys_at_start: Keys,
    /// What was taken over last.
    keys: Keys,
    front: FrontControl,
}

/// The keys of a configuration, as they are written in its document, and their values.
type Keys = BTreeMap<String, toml::Value>;

impl Reload {
    /// For a gateway that was started with `started`, which was read from this text of the file at `path`.
    ///
    /// # Errors
    ///
    /// The text is no TOML.
    pub(super) fn new(
        path: PathBuf,
        text: &str,
        started: GatewayConfig,
        front: FrontControl,
    ) -> anyhow::Result<Self> {
        let keys_at_start = keys_of(text)?;
        Ok(Self { path, started, keys: keys_at_start.clone(), keys_at_start, front })
    }

    /// Reads the file again. One that cannot be used leaves everything as it is.
    pub(super) fn run(&mut self) {
        let result = match self.take_over() {
            Ok(()) => "ok",
            Err(error) => {
                let error = format!("{error:#}");
                error!(path = %self.path.display(), %error, "the changed configuration is not used");
                "refused"
            }
        };
        metrics::counter!("fdfs_config_reloads_total", "result" => result).increment(1);
    }

    fn take_over(&mut self) -> anyhow::Result<()> {
        let text = GatewayConfig::text_of(&self.path)?;
        let config = GatewayConfig::parse(&text, &self.path)?;
        let keys = keys_of(&text)?;
        let native = config.front.native().context("front.http_conf")?;
        self.front.set(&config.front, native, &self.started.trusted_proxies);
        let changed = differences(&self.keys, &keys).filter(|key| is_live(key)).collect::<Vec<_>>().join(" ");
        let waiting = differences(&self.keys_at_start, &keys).filter(|key| !is_live(key));
        let waiting = waiting.collect::<Vec<_>>().join(" ");
        info!(path = %self.path.display(), changed, "the configuration was read again");
        if !waiting.is_empty() {
            warn!(keys = waiting, "these keys have changed and need a restart");
        }
        self.keys = keys;
        Ok(())
    }
}

/// Whether a change of a key is taken over without a restart.
fn is_live(key: &str) -> bool {
    key.strip_prefix("front.").is_some_and(|key| LIVE.contains(&key))
}

fn keys_of(text: &str) -> anyhow::Result<Keys> {
    let table: toml::Table = text.parse()?;
    let mut keys = Keys::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(table) => {
                keys.extend(table.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => drop(keys.insert(key, value)),
        }
    }
    Ok(keys)
}

/// Keys that are not the same in both.
fn differences<'a>(one: &'a Keys, other: &'a Keys) -> impl Iterator<Item = &'a str> {
    let changed = one.iter().filter(|(key, value)| other.get(*key) != Some(value));
    let new = other.keys().filter(|key| !one.contains_key(*key));
    changed.map(|(key, _)| key).chain(new).map(String::as_str)
}

/// Keys of `[front]` that are taken over without a restart.
const LIVE: [&str; 16] = [
    "prefixes",
    "default_group",
    "http_conf",
    "expires",
    "cache_valid",
    "cache_valid_slave",
    "cache_valid_not_found",
    "stale_if_error",
    "show_cache",
    "purge_from",
    "purge_token",
    "purge_peers",
    "cors",
    "client_connections",
    "client_requests",
    "client_burst",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_key_by_key() {
        let one = keys_of("trackers = ['a']\nregion = 'x'\n[front]\nexpires = 1\ncors = true").unwrap();
        let other = keys_of("trackers = ['b']\nregion = 'x'\n[front]\nexpires = 2\ndrain = 3").unwrap();
        let differing: Vec<&str> = differences(&one, &other).collect();
        assert_eq!(differing, ["front.cors", "front.expires", "trackers", "front.drain"]);
        assert!(is_live("front.expires") && !is_live("front.drain") && !is_live("expires"));
    }

    #[test]
    fn the_document_names_every_key_that_is_taken_over() {
        let document = include_str!("../../GATEWAY.md");
        let line = document.lines().find(|line| line.starts_with("SIGHUP has")).unwrap();
        for key in LIVE {
            assert!(line.contains(&format!("`{key}`")), "{key}");
        }
    }
}
