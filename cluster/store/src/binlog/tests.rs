//! Tests of writing and reading the binlog on a real disk.

use std::{fs, thread};

use super::*;

fn create(timestamp: i64, name: &str) -> Record {
    Record::source(timestamp, Change::Create { name: name.into() })
}

fn names(binlog: &Binlog) -> Vec<String> {
    let mut reader = binlog.reader(Position::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(entry.record.unwrap().change.name().to_owned());
    }
    names
}

#[test]
fn a_line_is_in_the_file_when_append_returns() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    binlog.append(&format!("{}\n", create(7, "M00/00/00/abc")), false).unwrap();
    assert_eq!(fs::read(directory.path().join("binlog.000")).unwrap(), b"7 C M00/00/00/abc\n");
    assert_eq!(binlog.end(), Position { index: 0, offset: 18 });
}

#[test]
fn a_torn_last_record_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000");
    for (before, after) in [
        ("7 C M00/00/00/abc\n8 C M00/0", "7 C M00/00/00/abc\n"),
        ("7 C M00", ""),
        ("7 C M00/00/00/abc\n", "7 C M00/00/00/abc\n"),
    ] {
        fs::write(&path, before).unwrap();
        let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        assert_eq!(binlog.end().offset, after.len() as u64);
    }
    fs::write(&path, [b"1 C M00/00/00/abc\n".to_vec(), vec![b'x'; 10_000]].concat()).unwrap();
    Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), 18);
}

#[test]
fn lines_of_many_threads_all_arrive_whole() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let binlog = &binlog;
            scope.spawn(move || {
                for number in 0..200 {
                    let record = create(1, &format!("M00/00/00/t{thread}n{number}"));
                    binlog.append(&format!("{record}\n"), number % 50 == 0).unwrap();
                }
            });
        }
    });
    let mut names = names(&binlog);
    assert_eq!(names.len(), 1600);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1600);
}

#[test]
fn a_full_file_is_followed_by_the_next_and_the_reader_goes_over() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Binlog::open(directory.path(), 40).unwrap();
    let mut reader = binlog.reader(Position::default());
    assert_eq!(reader.next_entry().unwrap(), None);
    for number in 0..5 {
        binlog.append(&format!("{}\n", create(number, "M00/00/00/abc")), false).unwrap();
    }
    assert_eq!(
        fs::read_to_string(directory.path().join("binlog_index.dat")).unwrap(),
        "current_write=1\ncurrent_compress=0\n"
    );
    assert_eq!(fs::metadata(directory.path().join("binlog.000")).unwrap().len(), 54);
    let mut times = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        times.push(entry.record.unwrap().timestamp);
    }
    assert_eq!(times, [0, 1, 2, 3, 4]);
    assert_eq!(reader.position(), binlog.end());

    drop(binlog);
    let binlog = Binlog::open(directory.path(), 40).unwrap();
    assert_eq!(binlog.end(), Position { index: 1, offset: 36 });
}

#[test]
fn the_damaged_link_of_the_original_is_skipped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let text = crate::tests::vector("sync_binlog_with_damaged_l_record.replica.000");
    fs::write(directory.path().join("binlog.000"), &text).unwrap();
    let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    let mut reader = binlog.reader(Position::default());
    let mut count = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        entry.record.unwrap();
        count += 1;
    }
    assert_eq!(count, text.lines().count() - 1);
    assert_eq!(reader.skipped(), 1);
}

#[test]
fn another_damaged_line_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("binlog.000"), "1 C M00/00/00/abc\nrubbish\n").unwrap();
    let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    let mut reader = binlog.reader(Position { index: 0, offset: 18 });
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(entry.record, Err(RecordError::Fields));
    assert_eq!((entry.start.offset, entry.end.offset), (18, 26));
}

#[test]
fn a_finished_file_that_ends_inside_a_line_does_not_stop_the_reader() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("binlog.000"), "1 C M00/00/00/abc\n2 C M0").unwrap();
    fs::write(directory.path().join("binlog.001"), "3 C M00/00/00/def\n").unwrap();
    let binlog = Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap();
    assert_eq!(names(&binlog), ["M00/00/00/abc", "M00/00/00/def"]);
}

#[test]
fn compressed_files_are_read_like_others_and_a_missing_one_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Binlog::open(directory.path(), 40).unwrap();
    for number in 0..8 {
        binlog.append(&format!("{}\n", create(number, "M00/00/00/abc")), false).unwrap();
    }
    for index in [0, 1] {
        let path = file_path(directory.path(), index);
        let file = File::create(path.with_added_extension("gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&fs::read(&path).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(path).unwrap();
    }
    let times = |position| {
        let mut reader = binlog.reader(position);
        let next = move || reader.next_entry().unwrap().map(|entry| entry.record.unwrap().timestamp);
        std::iter::from_fn(next).collect::<Vec<_>>()
    };
    assert_eq!(times(Position::default()), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(times(Position { index: 0, offset: 36 }), [2, 3, 4, 5, 6, 7]);
    fs::remove_file(directory.path().join("binlog.001.gz")).unwrap();
    let mut reader = binlog.reader(Position { index: 1, offset: 0 });
    assert_eq!(reader.next_entry().unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_the_write() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Arc::new(Binlog::open(directory.path(), Binlog::ROTATE_AT).unwrap());
    let mut reader = binlog.reader(Position::default());
    let mut written = binlog.watch();
    assert_eq!(reader.next_entry().unwrap(), None);
    let writer = {
        let binlog = Arc::clone(&binlog);
        thread::spawn(move || binlog.append(&format!("{}\n", create(7, "M00/00/00/abc")), false))
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, written.changed()).await.unwrap().unwrap();
    assert_eq!(*written.borrow(), Position { index: 0, offset: 18 });
    assert_eq!(reader.next_entry().unwrap().unwrap().record.unwrap().timestamp, 7);
    writer.join().unwrap().unwrap();
}

#[test]
fn what_a_peer_has_not_read_is_measured_over_the_bounds_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let binlog = Binlog::open(directory.path(), 40).unwrap();
    for number in 0..5 {
        binlog.append(&format!("{}\n", create(number, "M00/00/00/abc")), false).unwrap();
    }
    assert_eq!(binlog.bytes_behind(Position::default()), 90);
    assert_eq!(binlog.bytes_behind(Position { index: 0, offset: 18 }), 72);
    assert_eq!(binlog.bytes_behind(binlog.end()), 0);
}
