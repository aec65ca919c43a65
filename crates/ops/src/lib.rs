//! Metrics, health and logs: the same in every daemon.
