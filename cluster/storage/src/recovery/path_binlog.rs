//! Reading the records of one store path from another member (`FETCH_ONE_PATH_BINLOG`, 26).

use std::sync::Arc;

use fdfs_net::{CallError, Lease, NetError, Pool};
use fdfs_proto::sync::PathBinlogRequest;
use fdfs_store::Record;
use fdfs_types::GroupName;
use thiserror::Error;

use super::members::Member;

/// The records of one store path of another member, as they come.
#[derive(Debug)]
pub(super) struct PathBinlog {
    lease: Lease,
    lines: Lines,
    ended: bool,
}

/// Why the records of a member end too early.
#[derive(Debug, Error)]
pub(super) enum PathBinlogError {
    /// The conversation failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The stream ended without telling that it was whole.
    #[error("the stream broke off after {0} bytes; the member's binlog may be damaged")]
    BrokenOff(u64),
    /// What came is no list of records.
    #[error("a line of more than {LONGEST_LINE} bytes")]
    NoLines,
}

impl PathBinlog {
    /// Asks a member. The pool's network timeout bounds how long it may look for the next record.
    pub(super) async fn ask(
        pool: &Arc<Pool>,
        member: &Member,
        group: GroupName,
        store_path: u8,
    ) -> Result<Self, PathBinlogError> {
        let mut lease = pool.lease_new(member.address).await?;
        lease.send_request(&PathBinlogRequest { group, store_path }).await?;
        lease.receive().await?;
        Ok(Self { lease, lines: Lines::default(), ended: false })
    }

    /// The next records; `None` at the end, when it was told that all have come. Damaged lines are left out.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Record>>, PathBinlogError> {
        while !self.ended {
            match self.lease.next_chunk().await {
                Ok(Some(chunk)) => {
                    let records = self.lines.push(chunk)?;
                    if !records.is_empty() {
                        return Ok(Some(records));
                    }
                }
                Ok(None) | Err(CallError::Net(NetError::Closed)) => {
                    self.ended = true;
                    self.lines.finish()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Cuts the stream into lines. The last eight bytes of the stream are the number of those before.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    taken: u64,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<Record>, PathBinlogError> {
        self.rest.extend_from_slice(chunk);
        // A line feed among the last eight bytes may belong to the number.
        let text = self.rest.len().saturating_sub(PathBinlogRequest::TRAILER_LEN);
        let Some(end) = self.rest[..text].iter().rposition(|byte| *byte == b'\n') else {
            return if text > LONGEST_LINE { Err(PathBinlogError::NoLines) } else { Ok(Vec::new()) };
        };
        let records =
            self.rest[..end].split(|byte| *byte == b'\n').filter_map(|line| Record::parse(line).ok());
        let records = records.collect();
        self.rest.drain(..=end);
        self.taken += end as u64 + 1;
        Ok(records)
    }

    fn finish(&self) -> Result<(), PathBinlogError> {
        let told = <[u8; PathBinlogRequest::TRAILER_LEN]>::try_from(&self.rest[..]).map(u64::from_be_bytes);
        if told.is_ok_and(|told| told == self.taken) {
            Ok(())
        } else {
            Err(PathBinlogError::BrokenOff(self.taken))
        }
    }
}

const LONGEST_LINE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"1795327181 C M00/00/00/fwAAAmsChM2AVFWtAAAABgD7PTA508.txt\n\
        broken line\n1795327180 c M00/00/00/fwAAAmsChM2AKOpBAAAABpnybIo161.txt\n";

    #[test]
    fn a_stream_in_any_pieces_is_the_same_records() {
        let stream = [TEXT, &(TEXT.len() as u64).to_be_bytes()].concat();
        for size in [1, 3, 8, 9, 1000] {
            let mut lines = Lines::default();
            let pieces = stream.chunks(size).map(|piece| lines.push(piece).expect("lines").len());
            assert_eq!(pieces.sum::<usize>(), 2, "{size}");
            lines.finish().expect("whole");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_taken_for_whole() {
        let stream = [TEXT, &(TEXT.len() as u64).to_be_bytes()].concat();
        for length in 0..stream.len() {
            let mut lines = Lines::default();
            lines.push(&stream[..length]).expect("lines");
            assert!(matches!(lines.finish(), Err(PathBinlogError::BrokenOff(_))), "{length}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        assert!(matches!(lines.push(&[b'x'; 5000]), Err(PathBinlogError::NoLines)));
    }
}
