//! What is known of the rows in one transaction, and what else its closures want to know.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::connection::{Begin, Connection, Fetched};
use super::failure::Failure;
use super::wait::wait;
use super::{COMMIT_DEADLINE, Pool};
use crate::engine::{EngineError, PAGE, Range, Read, Row};

/// Rows of one snapshot, each read once. Closures run against what is known; what is not is noted, or read at once.
pub(super) struct Facts<'a> {
    pool: &'a Pool,
    connection: &'a Connection,
    state: RefCell<State>,
}

struct State {
    begin: Begin,
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pages: BTreeMap<Range, Vec<Row>>,
    wanted_keys: BTreeSet<Vec<u8>>,
    wanted_ranges: BTreeSet<Range>,
    /// Note what is not known, instead of reading it at once.
    noting: bool,
    failed: Option<Failure>,
}

impl<'a> Facts<'a> {
    /// Nothing is known; the transaction begins with the first question.
    pub(super) fn new(pool: &'a Pool, connection: &'a Connection, begin: Begin) -> Self {
        let state = State {
            begin,
            values: BTreeMap::new(),
            pages: BTreeMap::new(),
            wanted_keys: BTreeSet::new(),
            wanted_ranges: BTreeSet::new(),
            noting: false,
            failed: None,
        };
        Self { pool, connection, state: RefCell::new(state) }
    }

    /// From now on what is not known is noted (and the closure told that it cannot go on), or read at once.
    pub(super) fn note(&self, noting: bool) {
        self.state.borrow_mut().noting = noting;
    }

    /// Reads all that was noted, in one round; false where nothing was.
    pub(super) fn fetch_noted(&self) -> Result<bool, Failure> {
        let mut state = self.state.borrow_mut();
        let keys: Vec<Vec<u8>> = std::mem::take(&mut state.wanted_keys).into_iter().collect();
        let ranges: Vec<Range> = std::mem::take(&mut state.wanted_ranges).into_iter().collect();
        if keys.is_empty() && ranges.is_empty() {
            return Ok(false);
        }
        self.fetch(&mut state, keys, ranges)?;
        Ok(true)
    }

    /// How the transaction still has to begin.
    pub(super) fn begin(&self) -> Begin {
        self.state.borrow().begin
    }

    /// What failed, if something did: then what closures made of it counts for nothing.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state.borrow().failed.clone()
    }

    fn fetch(&self, state: &mut State, keys: Vec<Vec<u8>>, ranges: Vec<Range>) -> Result<(), Failure> {
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        let begin = std::mem::replace(&mut state.begin, Begin::No);
        let fetch = self.connection.fetch(begin, &keys, &ranges);
        let fetched = wait(&self.pool.runtime, COMMIT_DEADLINE, fetch);
        let Fetched { values, pages } =
            fetched.inspect_err(|failure| state.failed = Some(failure.clone()))?;
        state.values.extend(keys.into_iter().zip(values));
        state.pages.extend(ranges.into_iter().zip(pages));
        Ok(())
    }

    fn want(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<(), EngineError> {
        let mut state = self.state.borrow_mut();
        let keys: Vec<Vec<u8>> =
            keys.iter().filter(|key| !state.values.contains_key(*key)).cloned().collect();
        let ranges: Vec<Range> = ranges
            .iter()
            .map(|(from, to, limit)| (from.clone(), to.clone(), (*limit).min(PAGE)))
            .filter(|range| !state.pages.contains_key(range))
            .collect();
        if keys.is_empty() && ranges.is_empty() {
            return Ok(());
        }
        if state.noting {
            state.wanted_keys.extend(keys);
            state.wanted_ranges.extend(ranges);
            return Err(EngineError::Unavailable("it is still to be read".to_owned()));
        }
        self.fetch(&mut state, keys, ranges).map_err(Failure::into_error)
    }
}

impl Read for Facts<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if let Some(known) = self.state.borrow().values.get(key) {
            return Ok(known.clone());
        }
        Ok(self.get_many(&[key.to_vec()])?.pop().flatten())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        self.want(keys, &[])?;
        let state = self.state.borrow();
        Ok(keys.iter().map(|key| state.values.get(key).cloned().flatten()).collect())
    }

    fn expect(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<(), EngineError> {
        self.want(keys, ranges)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let range = (from.to_vec(), to.to_vec(), limit.min(PAGE));
        self.want(&[], std::slice::from_ref(&range))?;
        Ok(self.state.borrow().pages.get(&range).cloned().unwrap_or_default())
    }
}
