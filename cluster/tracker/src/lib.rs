//! The tracker daemon.
