//! The format of a store, and whether this program may use it.

use crate::engine::Read;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, StampRow};
use crate::transaction::Transaction;

/// The format that this program writes.
const FORMAT: u32 = 1;

/// Writes the stamp of a new store, or checks that of an old one; the store's own random number.
pub(crate) fn check_or_write(tx: &mut Transaction<'_, '_>) -> Result<Vec<u8>, NamespaceError> {
    let key = keys::stamp();
    let Some(stamp) = rows::load::<StampRow>(tx, &key)? else {
        if !tx.range(&[0], &[u8::MAX], 1)?.is_empty() {
            return Err(NamespaceError::Format(
                "the store holds rows but no stamp: it is no namespace".to_owned(),
            ));
        }
        let mut store = vec![0; 16];
        fastrand::fill(&mut store);
        let stamp = StampRow {
            format: FORMAT,
            min_reader: FORMAT,
            min_writer: FORMAT,
            store: store.clone(),
            epoch: 1,
        };
        tx.put(key, &stamp);
        return Ok(store);
    };
    if stamp.min_reader > FORMAT || stamp.min_writer > FORMAT {
        let needed = stamp.min_reader.max(stamp.min_writer);
        return Err(NamespaceError::Format(format!(
            "the namespace has format {}, which needs a program that knows format {needed}; this one knows {FORMAT}",
            stamp.format
        )));
    }
    Ok(stamp.store)
}
