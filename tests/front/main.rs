//! The front for native paths before real clusters: what replaces nginx, its cache and its balancing.

#[path = "../cluster/fleet.rs"]
mod fleet;

mod browser;
mod caching;
mod encrypted;
mod failures;
mod growth;
mod lagging;
mod limits;
mod log;
mod named;
mod purging;
mod reloaded;
mod restarted;
mod stage;
mod vip;
