//! What of an answer is another in every run: times, free space, numbers of connections.

use std::ops::Range;

use fdfs_proto::{Command, Header};

/// An answer without what varies.
pub(super) fn without_varying(command: Command, answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let end = answer.len();
    if end == Header::LEN {
        return answer;
    }
    match command {
        // Until when the source has to send.
        Command::SYNC_DEST_REQ | Command::SYNC_SRC_REQ | Command::SYNC_DEST_QUERY => {
            blank(&mut answer, end - 8..end);
        }
        // How long it runs, in steps of five minutes, and how long it did not.
        Command::TRACKER_GET_STATUS => blank(&mut answer, Header::LEN + 1..end),
        Command::CHANGELOG_REQ => answer = without_times_of_lines(&answer),
        Command::GET_ONE_SYS_FILE => answer = without_times_of_file(&answer),
        Command::PARAMETER_REQ => answer = without_age_of_files(&answer),
        Command::LIST_ONE_GROUP | Command::LIST_ALL_GROUPS => blank_records(&mut answer, 0, 113, |record| {
            // MB that are free, and whose turn it is to be written to.
            blank(record, 25..33);
            blank(record, 81..89);
        }),
        Command::LIST_STORAGES => {
            let wide = (end - Header::LEN).is_multiple_of(517);
            let (length, shift) = if wide { (517, 30) } else { (487, 0) };
            blank_records(&mut answer, 0, length, |record| {
                // MB that are free, the path that is written to next, connections and counters.
                for range in [82..90, 122..130, 138..486] {
                    blank(record, range.start + shift..range.end + shift);
                }
            });
        }
        Command::TRACKER_CLUSTER_STAT => blank_records(&mut answer, 1, 90, |record| {
            blank_behind_text(record, 0..52);
            // Connections; when it started and was heard last.
            blank(record, 54..66);
            blank(record, 74..90);
        }),
        Command::STORAGE_CLUSTER_STAT => blank_records(&mut answer, 6, 106, |record| {
            blank_behind_text(record, 0..16);
            blank_behind_text(record, 16..68);
            blank(record, 70..82);
            blank_behind_text(record, 82..90);
            blank(record, 98..106);
        }),
        Command::STORAGE_VOLUME_STAT => blank_records(&mut answer, 5, 59, |record| {
            blank_behind_text(record, 0..17);
            // MB that are free and available.
            blank(record, 25..33);
            blank(record, 41..49);
        }),
        _ => {}
    }
    answer
}

/// Lines of the changelog without the times in front.
fn without_times_of_lines(answer: &[u8]) -> Vec<u8> {
    let (mut kept, mut is_time) = (answer[..Header::LEN].to_vec(), true);
    for byte in &answer[Header::LEN..] {
        is_time = match byte {
            b' ' => false,
            b'\n' => true,
            _ => is_time,
        };
        if !is_time || *byte == b'\n' {
            kept.push(*byte);
        }
    }
    kept
}

/// A data file without times and free space. Its length, in front, varies with them.
fn without_times_of_file(answer: &[u8]) -> Vec<u8> {
    let mut kept = answer[8..Header::LEN].to_vec();
    let text = String::from_utf8_lossy(answer.get(Header::LEN + 8..).unwrap_or_default());
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default();
        let line = match key.trim_start() {
            "last_heart_beat_time" | "sync_until_timestamp" | "free_mb" => key,
            // A line of the changelog.
            _ if line.starts_with(|first: char| first.is_ascii_digit()) => {
                line.split_once(' ').map_or(line, |two| two.1)
            }
            _ => line,
        };
        kept.extend_from_slice(line.as_bytes());
        kept.push(b'\n');
    }
    kept
}

/// Parameters without the age from which a file is taken to be everywhere: the replay adds its own distance.
fn without_age_of_files(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(&answer[Header::LEN..]);
    let lines = text.lines().map(|line| match line.split_once('=') {
        Some((key @ "storage_sync_file_max_delay", _)) => key,
        _ => line,
    });
    let kept: Vec<_> = lines.collect();
    [&answer[8..Header::LEN], kept.join("\n").as_bytes()].concat()
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    bytes[range].fill(0);
}

/// Blanks what stands behind the end of a text: the original leaves bytes of earlier answers there.
fn blank_behind_text(record: &mut [u8], field: Range<usize>) {
    let field = &mut record[field];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field[end..].fill(0);
}

fn blank_records(answer: &mut [u8], head: usize, length: usize, blank: impl Fn(&mut [u8])) {
    answer[Header::LEN + head..].chunks_exact_mut(length).for_each(blank);
}
