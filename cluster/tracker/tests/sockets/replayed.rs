//! The life of recorded clusters, repeated with our tracker in the place of one of theirs.
//!
//! Every request that reached the tracker is sent again, from the same address and in the same order; other trackers, and the
//! storages that a leader asks, are played by what they answered in the recording. Nothing waits as long as it did there:
//! where an answer depends on time, the replay waits for what has to have happened. What happened between two scenarios was
//! not recorded; a script says it in events. Answers are compared byte by byte, but for what [`varying`] leaves out and for
//! the differences that a script gives reasons for.
//!
//! Scenarios 20 to 22 are in `recorded`. Left out are 03 to 05 at 127.0.0.3, which was killed and came back with what it had
//! saved minutes before: `elections::the_survivor_of_two_leads_in_time_and_goes_on_when_the_other_returns`.

mod addresses;
mod files;
mod leaders;
mod moving;
mod played;
mod script;
mod storages;
mod talk;
mod trunk_servers;
mod two_trackers;
mod varying;
