//! The tracker daemon.
//!
//! It listens, asks [`fdfs_rules`] what is to be done, does it, and answers. `COMPATIBILITY.md`
//! beside this crate lists what differs from the original.

mod answer;
mod carry_out;
mod core;
mod daemon;
mod disk;
mod following;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod requests;
mod service;
mod session;
mod sys_files;
mod ticks;
mod trunk_election;

pub use fdfs_conf::TrackerConfig as Config;

pub use crate::daemon::{StartError, Tracker};
pub(crate) use crate::requests::Requests;
