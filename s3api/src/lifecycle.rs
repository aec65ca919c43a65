//! Lifecycle rules: what is deleted when it has become old enough.

mod rules;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fdfs_objects::ObjectInfo;
use parking_lot::Mutex;

use crate::context::Context;
use crate::respond;
use crate::time;
use crate::uri;

pub(crate) use rules::{Lifecycle, Subject};
pub(crate) use worker::run;
pub use worker::{LifecycleError, LifecycleReport, apply_lifecycle};

/// The rules of buckets as they were read last, by the bucket's root: a document is read once.
#[derive(Debug, Default)]
pub(crate) struct Lifecycles(Mutex<HashMap<u64, (Bytes, Arc<Lifecycle>)>>);

impl Lifecycles {
    fn read(&self, root: u64, document: &Bytes) -> Option<Arc<Lifecycle>> {
        let is_same = |known: &Bytes| known.as_ptr() == document.as_ptr() && known.len() == document.len();
        if let Some((_, rules)) = self.0.lock().get(&root).filter(|(known, _)| is_same(known)) {
            return Some(Arc::clone(rules));
        }
        let rules = Arc::new(Lifecycle::parse(document).ok()?);
        let mut known = self.0.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(root, (document.clone(), Arc::clone(&rules)));
        Some(rules)
    }
}

/// Says when an object expires, where a rule says that.
pub(crate) async fn write_expiration(
    headers: &mut http::HeaderMap,
    cx: &Context,
    key: &str,
    info: &ObjectInfo,
) {
    let root = info.attributes.bucket;
    let Ok(settings) = cx.objects.settings_of_root(root).await else { return };
    let Some(rules) = settings.get(NAME).and_then(|document| cx.lifecycles.read(root, document)) else {
        return;
    };
    let subject = Subject { key: key.as_bytes(), size: info.size(), tags: Some(&info.tags) };
    if let Some((expires, rule)) = rules.expires(subject, info.attributes.content_time) {
        let (date, rule) = (time::http_date(time::of_millis(expires)), uri::encode(rule.as_bytes()));
        respond::set(headers, "x-amz-expiration", &format!("expiry-date=\"{date}\", rule-id=\"{rule}\""));
    }
}

/// The setting's name.
const NAME: &str = "lifecycle";
/// Buckets whose rules are kept at once.
const MAX_KNOWN: usize = 1_000;
