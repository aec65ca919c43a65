//! Conditions of a statement: an operator, a key of the request, and values.

use std::borrow::Cow;
use std::time::SystemTime;

use fdfs_types::Network;
use jiff::Timestamp;
use serde_json::Value;

use super::pattern::Pattern;
use super::policy::PolicyError;
use super::{Caller, Question};

/// One condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    key: String,
    test: Test,
    /// Holds where the test does not.
    negated: bool,
    if_exists: bool,
    /// `ForAllValues`: holds where the request has no such value.
    for_all: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Text { patterns: Vec<Pattern>, ignore_case: bool },
    Number { ordering: Compare, values: Vec<f64> },
    Date { ordering: Compare, values: Vec<Timestamp> },
    Bool(Vec<bool>),
    Address(Vec<Network>),
    Absent(bool),
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Reads one operator with one key.
    pub(super) fn parse(
        operator: &str,
        key: &str,
        values: &Value,
        with_variables: bool,
    ) -> Result<Self, PolicyError> {
        let key = key.to_ascii_lowercase();
        if !KEYS.contains(&key.as_str()) {
            return Err(PolicyError(format!("Policy has an invalid condition key: {key}")));
        }
        let texts = texts(values)?;
        let (operator, for_all) = match operator.split_once(':') {
            Some(("ForAllValues", operator)) => (operator, true),
            Some(("ForAnyValue", operator)) => (operator, false),
            _ => (operator, false),
        };
        let (operator, if_exists) = match operator.strip_suffix("IfExists") {
            Some(operator) => (operator, true),
            None => (operator, false),
        };
        let (test, negated) = Test::parse(operator, &texts, with_variables)?;
        Ok(Self { key, test, negated, if_exists, for_all })
    }

    /// Whether it holds for this request.
    pub(super) fn holds(&self, question: &Question<'_>) -> bool {
        let value = value_of(&self.key, question);
        if let Test::Absent(absent) = self.test {
            return value.is_none() == absent;
        }
        match value {
            Some(value) => self.test.passes(&value, question) != self.negated,
            None => self.negated || self.if_exists || self.for_all,
        }
    }

    /// Whether it admits only callers or addresses that are named one by one.
    pub(super) fn is_narrow(&self) -> bool {
        if self.negated || self.if_exists || self.for_all {
            return false;
        }
        match (&self.test, self.key.as_str()) {
            (Test::Address(networks), "aws:sourceip") => networks.iter().all(|network| network.prefix() > 0),
            (Test::Text { patterns, .. }, "aws:userid" | "aws:username" | "aws:principalarn") => {
                patterns.iter().all(Pattern::is_fixed)
            }
            _ => false,
        }
    }
}

impl Test {
    fn parse(operator: &str, texts: &[String], with_variables: bool) -> Result<(Self, bool), PolicyError> {
        let text = |exact: bool, ignore_case| -> Result<Self, PolicyError> {
            let parse = if exact { Pattern::exact } else { Pattern::parse };
            let folded = |text: &String| if ignore_case { text.to_lowercase() } else { text.clone() };
            let patterns: Vec<_> = texts.iter().map(|text| parse(&folded(text), with_variables)).collect();
            let unknown = |name: &&str| !KEYS.contains(name);
            if let Some(name) = patterns.iter().flat_map(Pattern::variables).find(unknown) {
                return Err(PolicyError(format!("Policy has an invalid variable: ${{{name}}}")));
            }
            Ok(Self::Text { patterns, ignore_case })
        };
        let number = |ordering| Ok(Self::Number { ordering, values: all(texts, |text| text.parse().ok())? });
        let date = |ordering| Ok(Self::Date { ordering, values: all(texts, parse_date)? });
        use Compare as C;
        Ok(match operator {
            "StringEquals" => (text(true, false)?, false),
            "StringNotEquals" => (text(true, false)?, true),
            "StringEqualsIgnoreCase" => (text(true, true)?, false),
            "StringNotEqualsIgnoreCase" => (text(true, true)?, true),
            "StringLike" | "ArnLike" | "ArnEquals" => (text(false, false)?, false),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (text(false, false)?, true),
            "NumericEquals" => (number(C::Equal)?, false),
            "NumericNotEquals" => (number(C::Equal)?, true),
            "NumericLessThan" => (number(C::Less)?, false),
            "NumericLessThanEquals" => (number(C::LessOrEqual)?, false),
            "NumericGreaterThan" => (number(C::Greater)?, false),
            "NumericGreaterThanEquals" => (number(C::GreaterOrEqual)?, false),
            "DateEquals" => (date(C::Equal)?, false),
            "DateNotEquals" => (date(C::Equal)?, true),
            "DateLessThan" => (date(C::Less)?, false),
            "DateLessThanEquals" => (date(C::LessOrEqual)?, false),
            "DateGreaterThan" => (date(C::Greater)?, false),
            "DateGreaterThanEquals" => (date(C::GreaterOrEqual)?, false),
            "Bool" => (Self::Bool(all(texts, parse_bool)?), false),
            "IpAddress" => (Self::Address(all(texts, |text| text.parse().ok())?), false),
            "NotIpAddress" => (Self::Address(all(texts, |text| text.parse().ok())?), true),
            "Null" => (Self::Absent(all(texts, parse_bool)?.first().copied().unwrap_or_default()), false),
            _ => return Err(PolicyError(format!("Invalid Condition type : {operator}"))),
        })
    }

    fn passes(&self, value: &str, question: &Question<'_>) -> bool {
        match self {
            Self::Text { patterns, ignore_case } => {
                let value = if *ignore_case { Cow::from(value.to_lowercase()) } else { value.into() };
                let variable = |name: &str| value_of(name, question);
                patterns.iter().any(|pattern| pattern.fits(&value, &variable))
            }
            Self::Number { ordering, values } => {
                let number = value.parse::<f64>();
                number.is_ok_and(|number| values.iter().any(|value| ordering.holds(&number, value)))
            }
            Self::Date { ordering, values } => {
                parse_date(value).is_some_and(|date| values.iter().any(|value| ordering.holds(&date, value)))
            }
            Self::Bool(values) => parse_bool(value).is_some_and(|value| values.contains(&value)),
            Self::Address(networks) => {
                value.parse().is_ok_and(|address| networks.iter().any(|network| network.contains(address)))
            }
            Self::Absent(_) => false,
        }
    }
}

impl Compare {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// What a request says under a condition key (in lower case).
pub(super) fn value_of<'a>(key: &str, question: &Question<'a>) -> Option<Cow<'a, str>> {
    let circumstances = question.circumstances;
    let user = match question.caller {
        Caller::User(user) => Some(user),
        Caller::Anonymous => None,
    };
    match key {
        "aws:sourceip" => circumstances.source_ip.map(|ip| ip.to_canonical().to_string().into()),
        "aws:securetransport" => Some(if circumstances.secure { "true" } else { "false" }.into()),
        "aws:currenttime" => Some(timestamp(circumstances.time).to_string().into()),
        "aws:epochtime" => Some(timestamp(circumstances.time).as_second().to_string().into()),
        "aws:username" => user.map(|user| user.name.as_str().into()),
        "aws:userid" => user.map(|user| user.access_key_id.as_str().into()),
        "aws:principalarn" => user.map(|user| super::policy::arn_of(&user.name).into()),
        "aws:principaltype" => Some(if user.is_some() { "User" } else { "Anonymous" }.into()),
        key => circumstances.values.get(key).map(|value| value.as_str().into()),
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn all<T>(texts: &[String], parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, PolicyError> {
    let one = |text: &String| {
        parse(text.trim()).ok_or_else(|| PolicyError(format!("Invalid value in a condition: {text}")))
    };
    texts.iter().map(one).collect()
}

/// A moment in ISO 8601, a day, or seconds since 1970.
fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    let day: jiff::civil::Date = text.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// One value or a list of them, as texts.
fn texts(value: &Value) -> Result<Vec<String>, PolicyError> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        _ => Err(PolicyError("Invalid value in a condition".to_owned())),
    };
    match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// Keys that a condition may ask for. A policy with another one is refused, since what is not known cannot be judged.
const KEYS: &[&str] = &[
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalarn",
    "aws:principaltype",
    "aws:referer",
    "aws:securetransport",
    "aws:sourceip",
    "aws:useragent",
    "aws:userid",
    "aws:username",
    "s3:authtype",
    "s3:delimiter",
    "s3:if-match",
    "s3:if-none-match",
    "s3:max-keys",
    "s3:prefix",
    "s3:signatureversion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-storage-class",
];
