//! Rows in memory: for tests, and for a cluster that is thrown away.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::{Engine, EngineError, Job, PAGE, Read, Row, run_job};

/// An engine that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemoryEngine {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Engine for MemoryEngine {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        job(&Snapshot(&self.rows.read()))
    }

    fn submit(&self, mut job: Box<dyn Job>) {
        let outcome = {
            let mut rows = self.rows.write();
            run_job(job.as_mut(), &Snapshot(&rows)).map(|writes| {
                for (key, value) in writes.into_iter().flatten() {
                    match value {
                        Some(value) => rows.insert(key, value),
                        None => rows.remove(&key),
                    };
                }
            })
        };
        job.finish(outcome);
    }

    fn reads_inline(&self) -> bool {
        true
    }
}

struct Snapshot<'a>(&'a BTreeMap<Vec<u8>, Vec<u8>>);

impl Read for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let rows = self.0.range::<[u8], _>(bounds).take(limit.min(PAGE));
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
