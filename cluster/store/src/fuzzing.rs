//! Decoders of what lies on the disk, for fuzzers: what is read is written and read again.

use std::{io, path::Path};

use fdfs_types::Metadata;

use crate::{
    BinlogIndex, BinlogReader, InitFlag, Mark, Position, Record, StorageStat, journal, owners,
    run_state::RunState, store::decode_leniently,
};

/// A line of the binlog.
pub fn record(line: &[u8]) {
    if let Ok(record) = Record::parse(line) {
        assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
    }
}

/// The binlog in `directory` from `start` to its end. The places of its lines never go back.
pub fn binlog(directory: &Path, start: Position) -> io::Result<()> {
    let mut reader = BinlogReader::new(directory, start);
    let mut before = start;
    while let Some(entry) = reader.next_entry()? {
        assert!(before <= entry.start && entry.start < entry.end, "{before:?}, then {entry:?}");
        before = entry.end;
    }
    assert!(before <= reader.position());
    Ok(())
}

/// A small file of state, as each of the kinds.
pub fn state_file(text: &str) {
    if let Ok(mark) = Mark::parse(text) {
        assert_eq!(Mark::parse(&mark.to_text()), Ok(mark));
    }
    if let Ok(flag) = InitFlag::parse(text) {
        assert_eq!(InitFlag::parse(&flag.to_text()), Ok(flag));
    }
    if let Some(index) = BinlogIndex::parse(text) {
        assert_eq!(BinlogIndex::parse(&index.to_text()), Some(index));
    }
    let stat = StorageStat::parse(text).to_text();
    assert_eq!(StorageStat::parse(&stat).to_text(), stat);
    let _ = RunState::parse(text);
}

/// A slot of the journal of unfinished changes, and the lines of the log of owners.
pub fn journal(bytes: &[u8]) {
    let _ = journal::parse_slot(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for line in text.split_inclusive('\n') {
        if let Some((adds, token, name)) = owners::parse_line(line) {
            let written = owners::line(if adds { '+' } else { '-' }, token, &name);
            assert_eq!(owners::parse_line(&written), Some((adds, token, name)));
        }
    }
}

/// The metadata beside a file, whatever a program has left there.
pub fn sidecar(bytes: &[u8]) {
    let metadata = decode_leniently(bytes);
    assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata));
}
