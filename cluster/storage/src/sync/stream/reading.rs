//! What of the binlog the peer gets.

use fdfs_store::{Change, Origin, Position, Record};
use tracing::warn;

use super::{
    End, Stream,
    job::{Job, Kind},
};

impl Stream<'_> {
    /// Reads records until enough wait for their turn.
    pub(super) fn read_ahead(&mut self) -> Result<(), End> {
        if self.queue.len() >= READ_AHEAD / 2 {
            return Ok(());
        }
        self.written.borrow_and_update();
        self.at_end = false;
        while self.queue.len() < READ_AHEAD {
            let Some(entry) = self.reader.next_entry().map_err(End::Binlog)? else {
                self.at_end = true;
                self.window.pass(self.reader.position());
                break;
            };
            self.keeper.scanned();
            let length = entry.end.offset.saturating_sub(entry.start.offset);
            self.record_length = (self.record_length * 63 + length * 64) / 64;
            match entry.record {
                Ok(record) if self.is_wanted(&record) => {
                    self.is_of_others = false;
                    let number = self.window.begin(entry.end);
                    self.queue.push_back(Job { kind: Kind::Record, number, record, tries: 0 });
                }
                Ok(_) => {
                    self.is_of_others = true;
                    self.window.pass(entry.end);
                }
                Err(error) => {
                    self.invalid(&error, entry.start)?;
                    self.window.pass(entry.end);
                }
            }
        }
        if self.window.unfinished() == 0 {
            self.keeper.advance(self.window.position());
        }
        Ok(())
    }

    /// Whether the peer gets a record from this storage.
    pub(super) fn is_wanted(&self, record: &Record) -> bool {
        let mark = self.keeper.mark();
        match (record.origin, &record.change) {
            (Origin::Source, _) => true,
            (_, Change::Append { .. } | Change::Modify { .. } | Change::Truncate { .. }) => false,
            (Origin::Replica, _) => {
                let until = i64::try_from(mark.until_timestamp).unwrap_or(i64::MAX);
                mark.need_sync_old && !mark.sync_old_done && record.timestamp <= until
            }
        }
    }

    pub(super) fn invalid(&self, error: &dyn std::fmt::Display, position: Position) -> Result<(), End> {
        if !self.peer.settings.skips_invalid {
            return Err(End::Invalid(position));
        }
        self.peer.gauges.invalid.increment(1);
        warn!(index = position.index, offset = position.offset, %error, "an invalid record is skipped");
        Ok(())
    }
}

/// Records that wait for their turn.
const READ_AHEAD: usize = 256;
