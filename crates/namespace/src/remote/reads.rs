//! What one run of a transaction reads, and whether it is still so.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::caller::Caller;
use super::{MAX_READS, digest, wire};
use crate::engine::{EngineError, PAGE, Range, Read, Row, Writes};

/// Rows read over the network, each once: what was read before is answered from memory, so a run sees no row change.
pub(super) struct Reads<'a> {
    caller: &'a Caller,
    seen: RefCell<Seen>,
}

/// What is known of the store: read in this run, or told after a conflict.
#[derive(Default)]
pub(super) struct Known {
    values: BTreeMap<Vec<u8>, Fact<Option<Vec<u8>>>>,
    ranges: BTreeMap<RangeKey, Fact<wire::RangeReply>>,
}

/// From, to, limit.
type RangeKey = (Vec<u8>, Vec<u8>, u32);

/// One thing known, and whether this run has used it.
struct Fact<T> {
    what: T,
    used: bool,
}

/// How a run ends.
pub(super) enum Settled {
    /// What was read is so, and what was written is committed.
    Committed,
    /// Something has changed; this is known now, of one snapshot.
    Conflict(Known),
}

#[derive(Default)]
struct Seen {
    known: Known,
    calls: usize,
    from_told: bool,
    reads: usize,
    bytes: usize,
    failed: Option<EngineError>,
}

impl<'a> Reads<'a> {
    /// Reads through `caller` what is not known yet.
    pub(super) fn new(caller: &'a Caller, known: Known) -> Self {
        Self { caller, seen: RefCell::new(Seen { known, ..Seen::default() }) }
    }

    /// Bytes that were read over the network.
    pub(super) fn bytes(&self) -> usize {
        self.seen.borrow().bytes
    }

    /// Compares what was read with what is there, and writes. What was read in one call, and writes nothing, needs no comparison.
    pub(super) fn settle(self, writes: Writes) -> Result<Settled, EngineError> {
        let Self { caller, seen } = self;
        let Seen { known, calls, from_told, failed, .. } = seen.into_inner();
        if let Some(error) = failed {
            return Err(error);
        }
        let one_snapshot = calls == 0 || (calls == 1 && !from_told);
        if writes.is_empty() && one_snapshot {
            return Ok(Settled::Committed);
        }
        let (keys, ranges) = (known.used_values(), known.used_ranges());
        let writes = writes.into_iter().map(|(key, value)| wire::Write { key, value }).collect();
        let request = wire::CommitRequest { keys, ranges, writes };
        let asked = (request.keys.clone(), request.ranges.clone());
        let reply = caller.commit(request)?;
        match reply.outcome() {
            wire::commit_reply::Outcome::Committed => Ok(Settled::Committed),
            wire::commit_reply::Outcome::Conflict => Ok(Settled::Conflict(Known::told(asked, reply))),
            wire::commit_reply::Outcome::NoSpace => Err(EngineError::NoSpace),
            wire::commit_reply::Outcome::Unknown => {
                Err(EngineError::Store("the namespace service gave an answer of a later version".to_owned()))
            }
        }
    }

    /// Reads what of the keys is not known yet.
    fn fetch_values(&self, seen: &mut Seen, keys: &[Vec<u8>]) -> Result<(), EngineError> {
        let missing: Vec<Vec<u8>> =
            keys.iter().filter(|key| !seen.known.values.contains_key(*key)).cloned().collect();
        let mut rest = &missing[..];
        while !rest.is_empty() {
            let asked = rest[..rest.len().min(PAGE)].to_vec();
            let values = seen.note(self.caller.get(asked))?.values;
            let (answered, left) = rest.split_at(values.len().min(rest.len()));
            if answered.is_empty() {
                return Err(no_answer());
            }
            for (key, value) in answered.iter().zip(values) {
                seen.bytes += key.len() + value.value.as_ref().map_or(0, Vec::len);
                seen.known.values.insert(key.clone(), Fact { what: value.value, used: true });
            }
            rest = left;
        }
        Ok(())
    }

    /// Reads what of the ranges is not known yet.
    fn fetch_ranges(&self, seen: &mut Seen, ranges: &[RangeKey]) -> Result<(), EngineError> {
        let missing: Vec<&RangeKey> =
            ranges.iter().filter(|range| !seen.known.ranges.contains_key(*range)).collect();
        let mut rest = &missing[..];
        while !rest.is_empty() {
            let asked = rest[..rest.len().min(PAGE)].iter().map(|range| range_request(range)).collect();
            let pages = seen.note(self.caller.range(asked))?.ranges;
            let (answered, left) = rest.split_at(pages.len().min(rest.len()));
            if answered.is_empty() {
                return Err(no_answer());
            }
            for (range, page) in answered.iter().zip(pages) {
                seen.bytes += page.rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
                seen.known.ranges.insert((*range).clone(), Fact { what: page, used: true });
            }
            rest = left;
        }
        Ok(())
    }

    fn page(&self, range: RangeKey) -> Result<wire::RangeReply, EngineError> {
        let seen = &mut *self.seen.borrow_mut();
        seen.count()?;
        self.fetch_ranges(seen, std::slice::from_ref(&range))?;
        let Some(known) = seen.known.ranges.get_mut(&range) else { return Err(no_answer()) };
        seen.from_told |= !known.used;
        known.used = true;
        Ok(known.what.clone())
    }
}

impl Read for Reads<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.get_many(&[key.to_vec()])?.pop().flatten())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let seen = &mut *self.seen.borrow_mut();
        self.fetch_values(seen, keys)?;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            seen.count()?;
            let Some(known) = seen.known.values.get_mut(key) else { return Err(no_answer()) };
            seen.from_told |= !known.used;
            known.used = true;
            values.push(known.what.clone());
        }
        Ok(values)
    }

    fn expect(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<(), EngineError> {
        let seen = &mut *self.seen.borrow_mut();
        self.fetch_values(seen, keys)?;
        let ranges: Vec<RangeKey> =
            ranges.iter().map(|(from, to, limit)| (from.clone(), to.clone(), limit_of(*limit))).collect();
        self.fetch_ranges(seen, &ranges)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        let limit = limit.min(PAGE);
        let (mut rows, mut from): (Vec<Row>, _) = (Vec::new(), from.to_vec());
        while from.as_slice() < to && rows.len() < limit {
            let page = self.page((from.clone(), to.to_vec(), limit_of(limit - rows.len())))?;
            rows.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
            match rows.last() {
                Some((last, _)) if page.cut => from = [last.as_slice(), &[0]].concat(),
                _ => break,
            }
        }
        Ok(rows)
    }
}

impl Seen {
    /// Counts a call, and keeps its failure: what was made of it counts for nothing.
    fn note<T>(&mut self, called: Result<T, EngineError>) -> Result<T, EngineError> {
        self.calls += 1;
        called.inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// What is read one by one may not fit together; a closure that goes round in it must come to an end.
    fn count(&mut self) -> Result<(), EngineError> {
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(EngineError::Store(format!("a transaction reads more than {MAX_READS} rows")));
        }
        Ok(())
    }
}

impl Known {
    /// What the service told after a conflict.
    fn told(asked: (Vec<wire::ReadKey>, Vec<wire::ReadRange>), reply: wire::CommitReply) -> Self {
        let mut known = Self::default();
        if asked.0.len() != reply.values.len() || asked.1.len() != reply.ranges.len() {
            return known;
        }
        for (key, value) in asked.0.into_iter().zip(reply.values) {
            known.values.insert(key.key, Fact { what: value.value, used: false });
        }
        for (asked, page) in asked.1.into_iter().zip(reply.ranges) {
            let range = asked.range.unwrap_or_default();
            known.ranges.insert((range.from, range.to, range.limit), Fact { what: page, used: false });
        }
        known
    }

    fn used_values(&self) -> Vec<wire::ReadKey> {
        let used = self.values.iter().filter(|(_, known)| known.used);
        used.map(|(key, known)| wire::ReadKey {
            key: key.clone(),
            digest: known.what.as_deref().map(digest::of_value),
        })
        .collect()
    }

    fn used_ranges(&self) -> Vec<wire::ReadRange> {
        let used = self.ranges.iter().filter(|(_, known)| known.used);
        used.map(|(range, known)| wire::ReadRange {
            range: Some(range_request(range)),
            digest: digest::of_page(&known.what),
        })
        .collect()
    }
}

fn range_request((from, to, limit): &RangeKey) -> wire::RangeRequest {
    wire::RangeRequest { from: from.clone(), to: to.clone(), limit: *limit }
}

/// A page at most, whatever is asked.
fn limit_of(limit: usize) -> u32 {
    u32::try_from(limit.min(PAGE)).unwrap_or(u32::MAX)
}

fn no_answer() -> EngineError {
    EngineError::Store("the namespace service left a question without an answer".to_owned())
}
