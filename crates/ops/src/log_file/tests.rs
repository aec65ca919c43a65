//! Tests on a real disk, with a clock of their own.

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    log: Arc<LogFile>,
}

impl Fixture {
    fn new(settings: &LogSettings, immediate: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("logs/d.log");
        let log = LogFile::open_at(&path, settings, immediate, None, TimeZone::UTC);
        Self { directory, log: log.expect("a log") }
    }

    fn line(&self, at: Timestamp, text: &str) {
        self.log.append(at, |_, buffer| buffer.extend_from_slice(text.as_bytes()));
    }

    /// Every file of the log with its content, by name.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.directory.path().join("logs")).expect("a list");
        let mut files: Vec<_> = entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let name = entry.file_name().into_string().expect("text");
                (name, fs::read_to_string(entry.path()).expect("text"))
            })
            .collect();
        files.sort();
        files
    }
}

fn file(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn after(now: Timestamp, hours: i64) -> Timestamp {
    now + Span::new().hours(hours)
}

#[test]
fn lines_wait_for_the_interval_or_not_at_all() {
    let now = Timestamp::now();
    let log = Fixture::new(&LogSettings::default(), false);
    log.line(now, "a\n");
    log.log.flush();
    log.line(now, "b\n");
    assert_eq!(log.files(), [file("d.log", "a\n")]);
    log.log.tick(now + Span::new().seconds(5));
    assert_eq!(log.files(), [file("d.log", "a\nb\n")]);

    let log = Fixture::new(&LogSettings::default(), true);
    log.line(now, "a\n");
    assert_eq!(log.files(), [file("d.log", "a\n")]);
    let settings = LogSettings { flush_interval: Duration::ZERO, ..LogSettings::default() };
    let log = Fixture::new(&settings, false);
    log.line(now, "a\n");
    assert_eq!(log.files(), [file("d.log", "a\n")]);
}

#[test]
fn waiting_lines_are_bounded_and_written_at_the_end() {
    let log = Fixture::new(&LogSettings::default(), false);
    let line = "x".repeat(1000);
    for _ in 0..100 {
        log.line(Timestamp::now(), &line);
    }
    assert!(log.files()[0].1.len() >= 34_000, "what is above 64 KiB does not wait");
    let Fixture { directory, log } = log;
    drop(log);
    let length = fs::metadata(directory.path().join("logs/d.log")).expect("a file").len();
    assert_eq!(length, 100_000);
}

#[test]
fn every_day_has_its_file_named_after_the_day_that_ended() {
    let now = Timestamp::now();
    let log = Fixture::new(&LogSettings::default(), true);
    let day = |now: Timestamp| TimeZone::UTC.to_datetime(now).strftime("d.log.%Y%m%d").to_string();
    log.line(now, "today\n");
    log.log.tick(now);
    assert_eq!(log.files(), [file("d.log", "today\n")]);
    log.log.tick(after(now, 24));
    log.line(after(now, 24), "tomorrow\n");
    log.log.tick(after(now, 24));
    let rotated = file(&day(now), "today\n");
    assert_eq!(log.files(), [file("d.log", "tomorrow\n"), rotated.clone()]);
    log.log.tick(after(now, 48));
    let next = file(&day(after(now, 24)), "tomorrow\n");
    assert_eq!(log.files(), [file("d.log", ""), rotated, next]);
}

#[test]
fn a_day_without_lines_has_no_file() {
    let log = Fixture::new(&LogSettings::default(), true);
    log.log.tick(after(Timestamp::now(), 24));
    assert_eq!(log.files(), [file("d.log", "")]);
}

#[test]
fn an_existing_file_of_the_day_is_not_replaced() {
    let now = Timestamp::now();
    let log = Fixture::new(&LogSettings::default(), true);
    log.line(now, "second\n");
    let day = TimeZone::UTC.to_datetime(now).strftime("d.log.%Y%m%d").to_string();
    fs::write(log.directory.path().join("logs").join(&day), "first\n").expect("a file");
    log.log.tick(after(now, 24));
    let files = log.files();
    assert_eq!(files.len(), 3);
    assert_eq!(files[1], file(&day, "first\n"));
    assert!(files[2].0.starts_with(&day[..6]) && files[2].1 == "second\n", "{files:?}");
}

#[test]
fn lines_of_an_earlier_day_are_rotated_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("d.log");
    fs::write(&path, "old\n").expect("a file");
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 86_400);
    File::options().write(true).open(&path).expect("open").set_modified(two_days_ago).expect("set");
    let log = LogFile::open_at(&path, &LogSettings::default(), true, None, TimeZone::UTC).expect("a log");
    log.tick(Timestamp::now());
    assert_eq!(fs::read_to_string(&path).expect("a new file"), "");
}

#[test]
fn a_size_ends_a_file_and_names_it_after_the_moment() {
    let settings = LogSettings { rotate_on_size: Some(10), rotate_at: None, ..LogSettings::default() };
    let log = Fixture::new(&settings, false);
    let at: Timestamp = "2026-11-22T10:15:02Z".parse().expect("a time");
    log.line(at, "12345678\n");
    log.line(at, "90\n");
    log.line(at, "next\n");
    log.log.flush();
    let expected = [file("d.log", "next\n"), file("d.log.20261122_101502", "12345678\n90\n")];
    assert_eq!(log.files(), expected);
}

#[test]
fn a_hangup_starts_a_new_file_and_leaves_one_that_was_moved() {
    let log = Fixture::new(&LogSettings::default(), true);
    log.line(Timestamp::now(), "a\n");
    log.log.rotate();
    log.line(Timestamp::now(), "b\n");
    let files = log.files();
    assert_eq!((files.len(), &*files[1].1), (2, "a\n"));
    assert_eq!(files[0], file("d.log", "b\n"));

    let path = log.directory.path().join("logs/d.log");
    fs::rename(&path, log.directory.path().join("moved")).expect("moved away");
    log.log.rotate();
    log.line(Timestamp::now(), "c\n");
    assert_eq!(log.files()[0], file("d.log", "c\n"));
    assert_eq!(log.files().len(), 2);
}

#[test]
fn the_next_time_of_day_is_found_over_a_change_of_clocks() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let at: TimeOfDay = "02:30".parse().expect("a time");
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    // 02:30 does not exist on that Sunday; the clock goes from 02:00 to 03:00.
    assert_eq!(next(at, time("2026-03-28T12:00:00Z"), &berlin), time("2026-03-29T01:30:00Z"));
    assert_eq!(next(at, time("2026-03-29T02:00:00Z"), &berlin), time("2026-03-30T00:30:00Z"));
}

#[test]
fn old_files_are_looked_at_once_a_day() {
    let now = Timestamp::now();
    let log = Fixture::new(&LogSettings::default(), true);
    assert!(log.log.tick(now).is_some());
    assert!(log.log.tick(now).is_none());
    assert!(log.log.tick(after(now, 24)).is_some());
}

#[test]
fn the_thread_for_logs_writes_what_waits_and_lets_go_of_dropped_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("d.log");
    let log = LogFile::open(&path, &LogSettings::default(), false).expect("a log");
    log.append(Timestamp::now(), |_, buffer| buffer.extend_from_slice(b"a\n"));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(&path).expect("a text").is_empty() {
        assert!(std::time::Instant::now() < deadline, "not written");
        std::thread::sleep(Duration::from_millis(20));
    }
    let watched = Arc::downgrade(&log);
    drop(log);
    while watched.strong_count() > 0 {
        assert!(std::time::Instant::now() < deadline, "still held");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_disk_that_takes_nothing_loses_lines_and_stops_nobody() {
    let full = File::options().write(true).open("/dev/full").expect("a full device");
    let log = Fixture::new(&LogSettings::default(), true);
    let file = std::mem::replace(&mut log.log.state.lock().file, full);
    log.line(Timestamp::now(), "lost\n");
    log.log.state.lock().file = file;
    log.line(Timestamp::now(), "kept\n");
    assert_eq!(log.files()[0].1, "kept\n");
}
