//! A tracker on real sockets, with storages, trackers and clients that follow a script.

mod clients;
mod elections;
mod fake_tracker;
mod malformed;
mod own_network;
mod recorded;
mod replayed;
mod restarts;
mod secrets;
mod storages;
mod strangers;
mod support;
mod trackers;
mod trunk;
