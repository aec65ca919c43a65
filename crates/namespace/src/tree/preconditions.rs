//! Conditions on what stands under a name, judged in the transaction that changes it.

use crate::attributes::{Attributes, ETag};
use crate::error::NamespaceError;
use crate::rows::InodeRow;

/// What must hold for a write or a delete to happen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preconditions {
    /// `If-Match`: the name exists with one of these ETags.
    pub if_match: Option<ETagMatch>,
    /// `If-None-Match`: the name does not exist, or not with one of these.
    pub if_none_match: Option<ETagMatch>,
    /// `If-Modified-Since`: the content is younger than this second since 1970. Counts where `if_none_match` says nothing.
    pub modified_since: Option<u64>,
    /// `If-Unmodified-Since`: the content is not younger. Counts where `if_match` says nothing.
    pub unmodified_since: Option<u64>,
    /// The content is of exactly this second. A name that is not there has no time to differ in.
    pub modified_at: Option<u64>,
    /// The content has exactly this size, likewise.
    pub size: Option<u64>,
}

/// The ETags of a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ETagMatch {
    /// `*`: whatever it is.
    Any,
    /// One of these.
    OneOf(Vec<ETag>),
}

impl ETagMatch {
    /// True if `etag` is one of them.
    pub fn matches(&self, etag: Option<ETag>) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etag.is_some_and(|etag| etags.contains(&etag)),
        }
    }
}

impl Preconditions {
    /// The name must not exist yet.
    pub fn absent() -> Self {
        Self { if_none_match: Some(ETagMatch::Any), ..Self::default() }
    }

    /// The content must be the one of this ETag; nothing is asked where there is none.
    pub fn same(etag: Option<ETag>) -> Self {
        Self { if_match: etag.map(|etag| ETagMatch::OneOf(vec![etag])), ..Self::default() }
    }

    /// Checks them against what stands under the name. `NotFound` where something must be there and nothing is.
    pub fn check(&self, existing: Option<&Attributes>) -> Result<(), NamespaceError> {
        let Some(existing) = existing else {
            return if self.if_match.is_some() { Err(NamespaceError::NotFound) } else { Ok(()) };
        };
        // Conditions know whole seconds.
        let (etag, second) = (existing.etag, existing.content_time / 1_000);
        let is_current = match &self.if_match {
            Some(wanted) => wanted.matches(etag),
            None => self.unmodified_since.is_none_or(|since| second <= since),
        };
        let is_other = match &self.if_none_match {
            Some(refused) => !refused.matches(etag),
            None => self.modified_since.is_none_or(|since| second > since),
        };
        let is_same = self.modified_at.is_none_or(|wanted| wanted == second)
            && self.size.is_none_or(|wanted| wanted == existing.size);
        if is_current && is_other && is_same { Ok(()) } else { Err(NamespaceError::PreconditionFailed) }
    }

    /// Checks them against an inode.
    pub(crate) fn check_row(&self, existing: Option<&InodeRow>) -> Result<(), NamespaceError> {
        self.check(existing.map(|row| Attributes::of_inode(0, row)).transpose()?.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_is_judged_and_etags_before_times() {
        let etag = |byte| ETag { digest: [byte; 16], parts: None };
        let existing =
            Attributes { etag: Some(etag(1)), content_time: 5_900, size: 7, ..Attributes::default() };
        let one_of = |byte| Some(ETagMatch::OneOf(vec![etag(byte)]));
        let none = Preconditions::default;
        for (conditions, holds) in [
            (none(), true),
            (Preconditions { if_match: Some(ETagMatch::Any), ..none() }, true),
            (Preconditions { if_match: one_of(1), ..none() }, true),
            (Preconditions { if_match: one_of(2), ..none() }, false),
            (Preconditions { if_none_match: one_of(2), ..none() }, true),
            (Preconditions { if_none_match: one_of(1), ..none() }, false),
            (Preconditions { modified_since: Some(4), ..none() }, true),
            (Preconditions { modified_since: Some(5), ..none() }, false),
            (Preconditions { unmodified_since: Some(5), ..none() }, true),
            (Preconditions { unmodified_since: Some(4), ..none() }, false),
            (Preconditions { if_match: one_of(1), unmodified_since: Some(4), ..none() }, true),
            (Preconditions { if_none_match: one_of(2), modified_since: Some(5), ..none() }, true),
            (Preconditions { modified_at: Some(5), size: Some(7), ..none() }, true),
            (Preconditions { modified_at: Some(6), ..none() }, false),
            (Preconditions { size: Some(8), ..none() }, false),
        ] {
            let checked = conditions.check(Some(&existing));
            assert_eq!(checked.is_ok(), holds, "{conditions:?}");
        }
        let absent = |conditions: Preconditions| conditions.check(None);
        assert!(matches!(
            absent(Preconditions { if_match: one_of(1), ..none() }),
            Err(NamespaceError::NotFound)
        ));
        assert!(absent(Preconditions { size: Some(7), unmodified_since: Some(1), ..none() }).is_ok());
    }
}
