//! The storage's side towards its trackers.

mod address;
mod advertised;
mod changelog;
mod identity;
mod reporter;
mod statistics;
mod trackers;

pub(crate) use self::{
    address::Tracker,
    advertised::is_local,
    changelog::Changelog,
    identity::{Chain, Identity, group, my_ips},
    reporter::{ReportSettings, Reporter},
    trackers::Trackers,
};
