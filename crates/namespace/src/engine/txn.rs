//! A transaction's own view: the snapshot with its own writes laid over it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{EngineError, MAX_KEY, PAGE, Range, Read, Row};

/// What a transaction wants written: a value, or nothing for a deletion.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A running transaction: reads see its own writes, and nobody else does before the commit.
pub struct Txn<'a> {
    base: &'a dyn Read,
    writes: Writes,
    too_long: Option<usize>,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(base: &'a dyn Read) -> Self {
        Self { base, writes: Writes::new(), too_long: None }
    }

    /// Writes a row. A key over [`MAX_KEY`] makes the whole transaction fail.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        if key.is_empty() || key.len() > MAX_KEY {
            self.too_long = Some(key.len());
            return;
        }
        self.writes.insert(key, Some(value));
    }

    /// Removes a row; one that is not there stays away.
    pub fn delete(&mut self, key: &[u8]) {
        self.writes.insert(key.to_vec(), None);
    }

    /// Takes over what another transaction wrote on top of this one.
    pub(crate) fn absorb(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }

    pub(crate) fn into_writes(self) -> Result<Writes, EngineError> {
        match self.too_long {
            Some(length) => Err(EngineError::KeyTooLong(length)),
            None => Ok(self.writes),
        }
    }
}

impl Read for Txn<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        match self.writes.get(key) {
            Some(own) => Ok(own.clone()),
            None => self.base.get(key),
        }
    }

    fn expect(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<(), EngineError> {
        self.base.expect(keys, ranges)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        let limit = limit.min(PAGE);
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut own = self.writes.range::<[u8], _>(bounds).peekable();
        if own.peek().is_none() {
            return self.base.range(from, to, limit);
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut next = from.to_vec();
        loop {
            let page = self.base.range(&next, to, limit)?;
            let last_page = page.len() < limit;
            for (key, value) in page {
                while let Some((own_key, own_value)) = own.next_if(|(own_key, _)| **own_key < key) {
                    rows.extend(own_value.clone().map(|value| (own_key.clone(), value)));
                }
                match own.next_if(|(own_key, _)| **own_key == key) {
                    Some((_, own_value)) => rows.extend(own_value.clone().map(|value| (key.clone(), value))),
                    None => rows.push((key.clone(), value)),
                }
                next = key;
            }
            if last_page {
                rows.extend(
                    own.by_ref().filter_map(|(key, value)| value.clone().map(|value| (key.clone(), value))),
                );
            }
            if last_page || rows.len() >= limit {
                rows.truncate(limit);
                return Ok(rows);
            }
            next.push(0);
        }
    }
}
