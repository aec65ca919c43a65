//! Tests of access-log lines.

use std::fs;
use std::net::Ipv4Addr;

use fdfs_conf::LogSettings;

use super::*;

fn line(action: AccessAction, file: AccessFile<'_>) -> AccessLine<'_> {
    AccessLine {
        client: Ipv4Addr::LOCALHOST.into(),
        action,
        file,
        status: 2,
        request_len: 38,
        response_len: 10,
    }
}

/// The columns behind the date of what `write` adds, the header among them.
fn written(precision: TimePrecision, write: impl FnOnce(&AccessLog)) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("logs/storage_access.log");
    let settings = AccessLogSettings { precision, file: LogSettings::default() };
    let log = AccessLog::open(&path, Some(&settings)).expect("a log");
    assert!(log.is_on());
    write(&log);
    drop(log);
    let text = fs::read_to_string(path).expect("a text");
    text.lines().map(|line| line["[2026-11-22 05:21:26".len()..].to_owned()).collect()
}

fn at(micros: i32) -> Begun {
    Begun(Some((Timestamp::new(1_800_000_000, micros * 1000).expect("a time"), Instant::now())))
}

/// A line without the measured time.
fn untimed(line: &str) -> String {
    let mut columns: Vec<_> = line.split(' ').collect();
    columns.remove(5).parse::<u64>().expect("a number");
    columns.join(" ")
}

#[test]
fn lines_have_the_columns_of_the_original_and_a_padded_fraction() {
    let name = "M00/00/00/fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA001.txt";
    let lines = written(TimePrecision::Micros, |log| {
        log.write(at(15_603), &line(AccessAction::Upload, AccessFile::Name(name)));
    });
    assert_eq!(lines[0], ".000000] client_ip action filename status time_used_us req_len resp_len");
    assert_eq!(untimed(&lines[1]), format!(".015603] 127.0.0.1 upload {name} 2 38 10"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn milliseconds_have_three_digits_and_their_own_header() {
    let lines = written(TimePrecision::Millis, |log| {
        log.write(at(15_603), &line(AccessAction::Status, AccessFile::Unknown));
    });
    assert_eq!(lines[0], ".000] client_ip action filename status time_used_ms req_len resp_len");
    assert_eq!(untimed(&lines[1]), ".015] 127.0.0.1 status - 2 38 10");
}

#[test]
fn metadata_and_renamed_files_are_marked_and_odd_names_stay_one_column() {
    let lines = written(TimePrecision::Micros, |log| {
        for (action, file) in [
            (AccessAction::SetMetadata, AccessFile::Name("a.txt")),
            (AccessAction::GetMetadata, AccessFile::Unknown),
            (AccessAction::Rename, AccessFile::Renamed("a", "b")),
            (AccessAction::Download, AccessFile::Name("a b\n[x")),
        ] {
            log.write(log.begin(), &line(action, file));
        }
    });
    let columns: Vec<_> = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    let names: Vec<_> = columns.iter().skip(1).map(|columns| columns[3]).collect();
    assert_eq!(names, ["a.txt-m", "-", "a=>b", "a?b?[x"]);
    assert_eq!(columns[1][2], "set_metadata");
}

#[test]
fn the_header_is_the_first_line_of_a_file_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("storage_access.log");
    for expected in [2, 3] {
        let log = AccessLog::open(&path, Some(&AccessLogSettings::default())).expect("a log");
        log.write(log.begin(), &line(AccessAction::Delete, AccessFile::Name("a")));
        log.flush();
        let text = fs::read_to_string(&path).expect("a text");
        assert_eq!(text.lines().count(), expected);
        assert_eq!(text.matches("client_ip").count(), 1);
    }
}

#[test]
fn a_log_that_is_off_does_not_even_look_at_the_clock() {
    let log = AccessLog::open("/nowhere".as_ref(), None).expect("none is needed");
    assert!(!log.is_on());
    let begun = log.begin();
    assert!(begun.0.is_none());
    log.write(begun, &line(AccessAction::Upload, AccessFile::Unknown));
    log.flush();
}
