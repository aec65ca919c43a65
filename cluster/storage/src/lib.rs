//! The storage daemon.
