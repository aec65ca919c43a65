//! Tests of log lines.

use std::fs;

use tracing::subscriber::with_default;
use tracing::{debug, error, info, info_span, warn};

use super::*;

/// What is in the log file after `work`, without the times.
fn lines(level: LogLevel, work: impl FnOnce()) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("logs/trackerd.log");
    let options = LogOptions { level, file: Some((path.clone(), LogSettings::default())), stderr: false };
    with_default(options.subscriber().expect("a log"), work);
    let text = fs::read_to_string(path).expect("a text");
    let lines = text.lines().map(|line| {
        let (stamp, rest) = line.split_at(22);
        let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "[9999-99-99 99:99:99] ");
        rest.to_owned()
    });
    lines.collect()
}

#[test]
fn an_event_is_a_line_with_level_message_fields_and_spans() {
    let lines = lines(LogLevel::Debug, || {
        info_span!("connection", peer = %"10.0.0.1:5").in_scope(|| {
            info_span!("request", cmd = 11, late = tracing::field::Empty).in_scope(|| {
                tracing::Span::current().record("late", true);
                warn!(status = 28, path = "a b", "upload refused");
            });
        });
        info!("started");
        debug!(empty = "");
    });
    assert_eq!(
        lines,
        [
            "WARNING - upload refused status=28 path=\"a b\" | request cmd=11 late=true | connection peer=10.0.0.1:5",
            "INFO - started",
            "DEBUG -  empty=\"\"",
        ]
    );
}

#[test]
fn a_peer_cannot_forge_a_line() {
    let evil = "x\n[2026-01-01 00:00:00] EMERG - y\x1b[2J";
    let lines = lines(LogLevel::Info, || info!(name = evil, "odd {evil}"));
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains('\x1b'));
}

#[test]
fn levels_below_the_chosen_one_are_left_out_and_the_originals_can_be_named() {
    let write = || {
        error!(severity = "crit", "disk gone");
        error!("a");
        warn!("b");
        info!(severity = "notice", "c");
        info!("d");
        debug!("e");
    };
    assert_eq!(lines(LogLevel::Crit, write), ["CRIT - disk gone"]);
    assert_eq!(lines(LogLevel::Error, write), ["CRIT - disk gone", "ERROR - a"]);
    let up_to_notice = ["CRIT - disk gone", "ERROR - a", "WARNING - b", "NOTICE - c"];
    assert_eq!(lines(LogLevel::Notice, write), up_to_notice);
    assert_eq!(lines(LogLevel::Info, write).len(), 5);
    assert_eq!(lines(LogLevel::Debug, write).len(), 6);
}

#[test]
fn other_libraries_are_heard_from_warnings_on() {
    let lines = lines(LogLevel::Debug, || {
        info!(target: "hyper::proto", "noise");
        warn!(target: "hyper::proto", "news");
        debug!(target: "fdfs_storage::upload", "ours");
    });
    assert_eq!(lines, ["WARNING - news", "DEBUG - ours"]);
}

#[test]
fn the_causes_of_an_error_are_named() {
    #[derive(Debug, Error)]
    #[error("no log")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("disk full"));
    let lines = lines(LogLevel::Info, || {
        error!(error = &error as &(dyn std::error::Error + 'static), "stopped");
    });
    assert_eq!(lines, ["ERROR - stopped error=no log: disk full"]);
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    let file = Some(("/proc/none/d.log".into(), LogSettings::default()));
    let error = LogOptions { file, ..LogOptions::default() }.install().expect_err("no such place");
    assert!(error.to_string().starts_with("cannot open the log file /proc/none/d.log: "), "{error}");
}
