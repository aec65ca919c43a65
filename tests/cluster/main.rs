//! Groups of several storages and several trackers: replication, membership, leaders, faults.

mod dedup;
mod faults;
mod fleet;
mod kills;
mod load;
mod native_http;
mod trunk;
mod tutorial;
