//! The rules of a bucket: read, written, and judged by a time that is an argument.

use fdfs_objects::ExtendedAttributes;

use crate::error::{ErrorCode, S3Error};
use crate::tagging;
use crate::time;
use crate::xml::{Element, XmlWriter};

/// The rules of a bucket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lifecycle {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Rule {
    id: String,
    enabled: bool,
    filter: Filter,
    /// The prefix stands in the rule, as it did before there were filters.
    old_form: bool,
    expiration: Option<Expiration>,
    noncurrent: Option<Noncurrent>,
    abort_days: Option<u64>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Filter {
    prefix: String,
    tags: ExtendedAttributes,
    larger: Option<u64>,
    smaller: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expiration {
    /// So many days after it was put.
    Days(u64),
    /// From this time on (ms).
    Date(u64),
    /// Delete markers that nothing is behind.
    Markers,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Noncurrent {
    days: u64,
    /// So many newer ones stay whatever their age.
    keep: u64,
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) size: u64,
    /// None where they are not known yet.
    pub(crate) tags: Option<&'a ExtendedAttributes>,
}

impl Lifecycle {
    /// Reads a `LifecycleConfiguration`.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, S3Error> {
        let configuration = Element::parse(document, "LifecycleConfiguration")?;
        let mut rules: Vec<Rule> = Vec::new();
        for rule in configuration.all("Rule") {
            let rule = Rule::parse(rule)?;
            if rules.iter().any(|other| other.id == rule.id) {
                let message = "Rule ID must be unique. Found same ID for more than one rule";
                return Err(S3Error::new(ErrorCode::InvalidArgument, message));
            }
            rules.push(rule);
        }
        if rules.is_empty() || rules.len() > MAX_RULES {
            return Err(ErrorCode::MalformedXML.into());
        }
        Ok(Self { rules })
    }

    /// The document that says the same.
    pub(crate) fn to_xml(&self) -> String {
        XmlWriter::s3_document("LifecycleConfiguration", |xml| {
            for rule in &self.rules {
                xml.element("Rule", |xml| rule.write(xml));
            }
        })
    }

    /// True where a rule that could matter now asks for tags.
    pub(crate) fn asks_for_tags(&self) -> bool {
        self.active().any(|rule| !rule.filter.tags.is_empty())
    }

    /// When the current version of an object expires, and by which rule: the first that does so.
    pub(crate) fn expires(&self, subject: Subject<'_>, content_time: u64) -> Option<(u64, &str)> {
        let rules = self.active().filter(|rule| rule.filter.takes(subject));
        let times = rules.filter_map(|rule| match rule.expiration? {
            Expiration::Days(days) => Some((midnight_after(content_time, days), rule.id.as_str())),
            Expiration::Date(date) => Some((date, rule.id.as_str())),
            Expiration::Markers => None,
        });
        times.min_by_key(|(time, _)| *time)
    }

    /// True where a version goes that became noncurrent at `since`, with `newer` noncurrent ones newer than it.
    pub(crate) fn drops_noncurrent(&self, subject: Subject<'_>, since: u64, newer: u64, now: u64) -> bool {
        self.active()
            .filter(|rule| rule.filter.takes(subject))
            .filter_map(|rule| rule.noncurrent)
            .any(|noncurrent| newer >= noncurrent.keep && midnight_after(since, noncurrent.days) <= now)
    }

    /// True where a delete marker goes that is the only version of its key.
    pub(crate) fn drops_marker(&self, key: &[u8], since: u64, now: u64) -> bool {
        let rules = self.active().filter(|rule| rule.filter.takes_key(key) && rule.filter.is_of_keys());
        rules.filter_map(|rule| rule.expiration).any(|expiration| match expiration {
            Expiration::Markers => true,
            Expiration::Days(days) => midnight_after(since, days) <= now,
            Expiration::Date(date) => date <= now,
        })
    }

    /// True where an upload goes that began at `since`.
    pub(crate) fn drops_upload(&self, key: &[u8], since: u64, now: u64) -> bool {
        let rules = self.active().filter(|rule| rule.filter.takes_key(key));
        rules.filter_map(|rule| rule.abort_days).any(|days| midnight_after(since, days) <= now)
    }

    fn active(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.enabled)
    }
}

impl Rule {
    fn parse(rule: &Element) -> Result<Self, S3Error> {
        if rule.child("Transition").is_some() || rule.child("NoncurrentVersionTransition").is_some() {
            return Err(S3Error::new(
                ErrorCode::NotImplemented,
                "There is one storage class: nothing moves to others",
            ));
        }
        let enabled = match rule.text_of("Status").map(str::trim) {
            Some("Enabled") => true,
            Some("Disabled") => false,
            _ => return Err(ErrorCode::MalformedXML.into()),
        };
        let id = match rule.text_of("ID").filter(|id| !id.is_empty()) {
            Some(id) if id.chars().count() > MAX_ID => {
                return Err(S3Error::new(
                    ErrorCode::InvalidArgument,
                    "ID length should not exceed allowed limit of 255",
                ));
            }
            Some(id) => id.to_owned(),
            None => format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
        };
        let (filter, old_form) = match (rule.child("Filter"), rule.text_of("Prefix")) {
            (Some(filter), None) => (Filter::parse(filter)?, false),
            (None, Some(prefix)) => (Filter { prefix: prefix.to_owned(), ..Filter::default() }, true),
            _ => return Err(ErrorCode::MalformedXML.into()),
        };
        let rule = Self {
            id,
            enabled,
            filter,
            old_form,
            expiration: rule.child("Expiration").map(Expiration::parse).transpose()?,
            noncurrent: rule.child("NoncurrentVersionExpiration").map(Noncurrent::parse).transpose()?,
            abort_days: rule
                .child("AbortIncompleteMultipartUpload")
                .map(|abort| days(abort, "DaysAfterInitiation", "AbortIncompleteMultipartUpload"))
                .transpose()?,
        };
        let invalid = |message: &'static str| Err(S3Error::new(ErrorCode::InvalidRequest, message));
        if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_days.is_none() {
            return invalid("At least one action needs to be specified in a rule");
        }
        if rule.abort_days.is_some() && !rule.filter.is_of_keys() {
            return invalid("AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes");
        }
        if rule.expiration == Some(Expiration::Markers) && !rule.filter.tags.is_empty() {
            return invalid("ExpiredObjectDeleteMarker cannot be specified with Tags");
        }
        Ok(rule)
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.text("ID", &self.id);
        if self.old_form {
            xml.text("Prefix", &self.filter.prefix);
        } else {
            xml.element("Filter", |xml| self.filter.write(xml));
        }
        xml.text("Status", if self.enabled { "Enabled" } else { "Disabled" });
        match self.expiration {
            Some(Expiration::Days(days)) => xml.element("Expiration", |xml| xml.value("Days", days)),
            Some(Expiration::Date(date)) => {
                xml.element("Expiration", |xml| xml.text("Date", &time::iso8601(time::of_millis(date))));
            }
            Some(Expiration::Markers) => {
                xml.element("Expiration", |xml| xml.value("ExpiredObjectDeleteMarker", true));
            }
            None => {}
        }
        if let Some(Noncurrent { days, keep }) = self.noncurrent {
            xml.element("NoncurrentVersionExpiration", |xml| {
                if keep > 0 {
                    xml.value("NewerNoncurrentVersions", keep);
                }
                xml.value("NoncurrentDays", days);
            });
        }
        if let Some(days) = self.abort_days {
            xml.element("AbortIncompleteMultipartUpload", |xml| xml.value("DaysAfterInitiation", days));
        }
    }
}

impl Filter {
    fn parse(filter: &Element) -> Result<Self, S3Error> {
        let and = filter.child("And").unwrap_or(filter);
        let size = |name: &str| {
            let size = and.text_of(name).map(|text| text.trim().parse::<u64>());
            size.transpose().map_err(|_| S3Error::from(ErrorCode::MalformedXML))
        };
        let filter = Self {
            prefix: and.text_of("Prefix").unwrap_or_default().to_owned(),
            tags: tagging::of_elements(and.all("Tag"), tagging::MAX_BUCKET_TAGS)?,
            larger: size("ObjectSizeGreaterThan")?,
            smaller: size("ObjectSizeLessThan")?,
        };
        if let (Some(larger), Some(smaller)) = (filter.larger, filter.smaller)
            && larger >= smaller
        {
            let message = "ObjectSizeLessThan must be greater than ObjectSizeGreaterThan";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        Ok(filter)
    }

    fn write(&self, xml: &mut XmlWriter) {
        let parts = usize::from(!self.prefix.is_empty())
            + self.tags.len()
            + usize::from(self.larger.is_some())
            + usize::from(self.smaller.is_some());
        let write = |xml: &mut XmlWriter| {
            if !self.prefix.is_empty() || parts == 0 {
                xml.text("Prefix", &self.prefix);
            }
            tagging::write_tags(xml, &self.tags);
            self.larger.iter().for_each(|size| xml.value("ObjectSizeGreaterThan", size));
            self.smaller.iter().for_each(|size| xml.value("ObjectSizeLessThan", size));
        };
        if parts > 1 { xml.element("And", write) } else { write(xml) }
    }

    fn takes_key(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix.as_bytes())
    }

    /// True where nothing but the key decides.
    fn is_of_keys(&self) -> bool {
        self.tags.is_empty() && self.larger.is_none() && self.smaller.is_none()
    }

    /// Whether it takes an object; where its tags are not known, whether it could.
    fn takes(&self, subject: Subject<'_>) -> bool {
        let has_tags =
            |tags: &ExtendedAttributes| self.tags.iter().all(|(name, value)| tags.get(name) == Some(value));
        self.takes_key(subject.key)
            && self.larger.is_none_or(|larger| subject.size > larger)
            && self.smaller.is_none_or(|smaller| subject.size < smaller)
            && subject.tags.is_none_or(has_tags)
    }
}

impl Expiration {
    fn parse(expiration: &Element) -> Result<Self, S3Error> {
        let date = expiration.text_of("Date").map(str::trim);
        let marker = expiration.text_of("ExpiredObjectDeleteMarker").map(str::trim);
        match (expiration.child("Days"), date, marker) {
            (Some(_), None, None) => Ok(Self::Days(days(expiration, "Days", "Expiration")?)),
            (None, Some(date), None) => {
                let date = time::parse_iso8601(date).ok_or(ErrorCode::MalformedXML)?;
                if date % DAY == 0 {
                    return Ok(Self::Date(date));
                }
                Err(S3Error::new(ErrorCode::InvalidArgument, "'Date' must be at midnight GMT"))
            }
            (None, None, Some("true")) => Ok(Self::Markers),
            _ => Err(ErrorCode::MalformedXML.into()),
        }
    }
}

impl Noncurrent {
    fn parse(noncurrent: &Element) -> Result<Self, S3Error> {
        let days = days(noncurrent, "NoncurrentDays", "NoncurrentVersionExpiration")?;
        let keep = noncurrent.text_of("NewerNoncurrentVersions").map(|text| text.trim().parse::<u64>());
        let keep = keep.transpose().map_err(|_| ErrorCode::MalformedXML)?;
        if keep.is_some_and(|keep| !(1..=100).contains(&keep)) {
            let message =
                "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100";
            return Err(S3Error::new(ErrorCode::InvalidArgument, message));
        }
        Ok(Self { days, keep: keep.unwrap_or_default() })
    }
}

fn days(element: &Element, name: &'static str, action: &'static str) -> Result<u64, S3Error> {
    let text = element.text_of(name).ok_or(ErrorCode::MalformedXML)?;
    let days = text.trim().parse::<i64>().map_err(|_| ErrorCode::MalformedXML)?;
    u64::try_from(days).ok().filter(|days| (1..=MAX_DAYS).contains(days)).ok_or_else(|| {
        S3Error::new(
            ErrorCode::InvalidArgument,
            format!("'{name}' for {action} action must be a positive integer"),
        )
    })
}

/// The midnight, as S3 rounds, from which on something is so many days old (ms).
fn midnight_after(since: u64, days: u64) -> u64 {
    since.saturating_add(days.saturating_mul(DAY)).div_ceil(DAY).saturating_mul(DAY)
}

/// A day in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;
const MAX_DAYS: u64 = i32::MAX as u64;
const MAX_RULES: usize = 1_000;
const MAX_ID: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rule: &str) -> Result<Lifecycle, ErrorCode> {
        let document = format!("<LifecycleConfiguration><Rule>{rule}</Rule></LifecycleConfiguration>");
        Lifecycle::parse(document.as_bytes()).map_err(|error| error.code())
    }

    fn subject(key: &str) -> Subject<'_> {
        Subject { key: key.as_bytes(), size: 100, tags: None }
    }

    const NOON: u64 = 20_000 * DAY + DAY / 2;

    #[test]
    fn an_object_expires_at_the_midnight_after_its_days() {
        let rules = parse(
            "<ID>logs</ID><Status>Enabled</Status><Filter><Prefix>log/</Prefix></Filter><Expiration><Days>1</Days></Expiration>",
        );
        let rules = rules.unwrap();
        assert_eq!(rules.expires(subject("log/a"), NOON), Some((20_002 * DAY, "logs")));
        assert_eq!(rules.expires(subject("log/a"), 20_000 * DAY), Some((20_001 * DAY, "logs")));
        assert_eq!(rules.expires(subject("other"), NOON), None);
        assert_eq!(Lifecycle::parse(rules.to_xml().as_bytes()).unwrap(), rules);
    }

    #[test]
    fn filters_by_tags_and_sizes_take_what_has_all_of_them() {
        let rules = parse(
            "<Status>Enabled</Status><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
             <ObjectSizeGreaterThan>10</ObjectSizeGreaterThan><ObjectSizeLessThan>200</ObjectSizeLessThan></And></Filter>\
             <Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>",
        );
        let rules = rules.unwrap();
        assert_eq!(Lifecycle::parse(rules.to_xml().as_bytes()).unwrap(), rules);
        let tagged =
            ExtendedAttributes::from([(b"k".to_vec(), b"v".to_vec()), (b"x".to_vec(), b"y".to_vec())]);
        let (with, without) = (Some(&tagged), ExtendedAttributes::new());
        assert!(rules.expires(Subject { tags: with, ..subject("a") }, 0).is_some());
        assert!(rules.expires(Subject { tags: Some(&without), ..subject("a") }, 0).is_none());
        assert!(rules.expires(Subject { tags: with, size: 10, ..subject("a") }, 0).is_none());
        assert!(rules.expires(Subject { tags: with, size: 200, ..subject("a") }, 0).is_none());
        assert!(rules.asks_for_tags());
    }

    #[test]
    fn noncurrent_versions_markers_and_uploads_go_by_their_own_rules() {
        let rules = parse(
            "<Status>Enabled</Status><Prefix>a</Prefix><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
             <NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>\
             <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
        );
        let rules = rules.unwrap();
        assert_eq!(Lifecycle::parse(rules.to_xml().as_bytes()).unwrap(), rules);
        assert!(rules.drops_noncurrent(subject("a"), NOON, 2, 20_004 * DAY));
        assert!(!rules.drops_noncurrent(subject("a"), NOON, 1, 20_004 * DAY));
        assert!(!rules.drops_noncurrent(subject("a"), NOON, 2, 20_004 * DAY - 1));
        assert!(rules.drops_marker(b"a", NOON, NOON) && !rules.drops_marker(b"b", NOON, NOON));
        assert!(
            rules.drops_upload(b"a", NOON, 20_002 * DAY) && !rules.drops_upload(b"a", NOON, 20_002 * DAY - 1)
        );
        assert_eq!(rules.expires(subject("a"), NOON), None);
    }

    #[test]
    fn a_disabled_rule_deletes_nothing() {
        let rules =
            parse("<Status>Disabled</Status><Prefix/><Expiration><Days>1</Days></Expiration>").unwrap();
        assert_eq!(rules.expires(subject("a"), 0), None);
        assert!(!rules.drops_marker(b"a", 0, u64::MAX / 2));
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, MalformedXML, NotImplemented};
        for (rule, code) in [
            ("<Status>Enabled</Status><Prefix/>", InvalidRequest),
            ("<Status>On</Status><Prefix/><Expiration><Days>1</Days></Expiration>", MalformedXML),
            ("<Status>Enabled</Status><Expiration><Days>1</Days></Expiration>", MalformedXML),
            ("<Status>Enabled</Status><Prefix/><Expiration><Days>0</Days></Expiration>", InvalidArgument),
            ("<Status>Enabled</Status><Prefix/><Expiration><Days>x</Days></Expiration>", MalformedXML),
            (
                "<Status>Enabled</Status><Prefix/><Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>",
                InvalidArgument,
            ),
            (
                "<Status>Enabled</Status><Prefix/><Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>",
                MalformedXML,
            ),
            (
                "<Status>Enabled</Status><Prefix/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>",
                NotImplemented,
            ),
            (
                "<Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>\
                 <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
                InvalidRequest,
            ),
        ] {
            assert_eq!(parse(rule), Err(code), "{rule}");
        }
        let twice =
            "<Rule><ID>a</ID><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule>"
                .repeat(2);
        let document = format!("<LifecycleConfiguration>{twice}</LifecycleConfiguration>");
        assert_eq!(Lifecycle::parse(document.as_bytes()).unwrap_err().code(), InvalidArgument);
    }
}
