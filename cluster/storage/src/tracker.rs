//! The storage's side towards its trackers.

mod address;
mod changelog;
mod identity;
mod reporter;
mod statistics;
mod trackers;

pub(crate) use self::{
    address::Tracker,
    changelog::Changelog,
    identity::{Chain, Identity, group, my_ips},
    reporter::{ReportSettings, Reporter},
    trackers::Trackers,
};
