//! Harness, end-to-end tests with real clients, fault tests, benches.
