//! The policy of a form: until when, and what its fields may be.

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Form;
use crate::error::{ErrorCode, S3Error};

/// What a form's author allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PostPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Equal { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length { least: u64, most: u64 },
}

impl PostPolicy {
    /// Reads the field `policy`.
    pub(crate) fn parse(encoded: &str) -> Result<Self, S3Error> {
        let encoded: String = encoded.split_ascii_whitespace().collect();
        let document = BASE64_STANDARD.decode(encoded).map_err(|_| invalid("Invalid Base64 encoding."))?;
        let document: Value = serde_json::from_slice(&document).map_err(|_| invalid("Invalid JSON."))?;
        let expiration = document.get("expiration").and_then(Value::as_str);
        let expiration = expiration.ok_or_else(|| invalid("Policy missing expiration."))?;
        let expiration = expiration.parse().map_err(|_| invalid("Invalid 'expiration' value."))?;
        let conditions = document.get("conditions").and_then(Value::as_array);
        let conditions = conditions.ok_or_else(|| invalid("Policy missing conditions."))?;
        let mut read = Vec::new();
        for condition in conditions {
            match condition {
                Value::Object(fields) => read.push(Condition::simple(fields)?),
                Value::Array(parts) => read.push(Condition::parse(parts)?),
                _ => return Err(invalid("Invalid condition.")),
            }
        }
        Ok(Self { expiration, conditions: read })
    }

    /// Refuses a form that is late, has a field that is not as it should, or one that nothing is said of.
    pub(crate) fn check(&self, form: &Form, bucket: &str, now: SystemTime) -> Result<(), S3Error> {
        if Timestamp::try_from(now).is_ok_and(|now| now > self.expiration) {
            return Err(denied("Policy expired."));
        }
        let value = |name: &str| if name == "bucket" { Some(bucket) } else { form.get(name) };
        for condition in &self.conditions {
            if !condition.holds(&value) {
                return Err(denied(&format!("Policy Condition failed: {condition}")));
            }
        }
        let names = |name: &str| {
            self.conditions.iter().any(|condition| matches!(condition, Condition::Equal { field, .. } | Condition::StartsWith { field, .. } if field == name))
        };
        let free = |name: &str| FREE.contains(&name) || name.starts_with("x-ignore-");
        match form.fields().find(|(name, _)| !free(name) && !names(name)) {
            Some((name, _)) => Err(denied(&format!("Extra input fields: {name}"))),
            None => Ok(()),
        }
    }

    /// The least and the most bytes that a file may have.
    pub(crate) fn lengths(&self) -> (u64, u64) {
        let ranges = self.conditions.iter().filter_map(|condition| match condition {
            Condition::Length { least, most } => Some((*least, *most)),
            _ => None,
        });
        ranges.fold((0, u64::MAX), |(least, most), range| (least.max(range.0), most.min(range.1)))
    }
}

impl Condition {
    /// `{"field": "value"}`, which stands for `["eq", "$field", "value"]`.
    fn simple(fields: &Map<String, Value>) -> Result<Self, S3Error> {
        let mut fields = fields.iter();
        let (Some((field, value)), None) = (fields.next(), fields.next()) else {
            return Err(invalid(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
            ));
        };
        let value = value.as_str().ok_or_else(|| invalid("Invalid condition value."))?;
        Ok(Self::Equal { field: field.to_ascii_lowercase(), value: value.to_owned() })
    }

    fn parse(parts: &[Value]) -> Result<Self, S3Error> {
        let [operator, first, second] = parts else { return Err(invalid("Invalid condition.")) };
        let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
        if operator == "content-length-range" {
            let number = |value: &Value| {
                let text = value.as_str().and_then(|text| text.parse().ok());
                value.as_u64().or(text).ok_or_else(|| invalid("Invalid content-length-range."))
            };
            return Ok(Self::Length { least: number(first)?, most: number(second)? });
        }
        let field = first.as_str().and_then(|field| field.strip_prefix('$'));
        let field =
            field.ok_or_else(|| invalid("Invalid condition: a field begins with $."))?.to_ascii_lowercase();
        let value = second.as_str().ok_or_else(|| invalid("Invalid condition value."))?.to_owned();
        match operator.as_str() {
            "eq" => Ok(Self::Equal { field, value }),
            "starts-with" => Ok(Self::StartsWith { field, prefix: value }),
            _ => Err(invalid("Invalid condition operator.")),
        }
    }

    fn holds<'a>(&self, value: &impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Equal { field, value: wanted } => value(field) == Some(wanted),
            Self::StartsWith { field, prefix } => value(field).unwrap_or_default().starts_with(prefix),
            // It is judged when the file comes.
            Self::Length { .. } => true,
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equal { field, value } => write!(f, "[\"eq\", \"${field}\", \"{value}\"]"),
            Self::StartsWith { field, prefix } => write!(f, "[\"starts-with\", \"${field}\", \"{prefix}\"]"),
            Self::Length { least, most } => write!(f, "[\"content-length-range\", {least}, {most}]"),
        }
    }
}

fn invalid(reason: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidPolicyDocument, format!("Invalid Policy: {reason}"))
}

fn denied(reason: &str) -> S3Error {
    S3Error::new(ErrorCode::AccessDenied, format!("Invalid according to Policy: {reason}"))
}

/// Fields that a policy need not name.
const FREE: [&str; 5] = ["awsaccesskeyid", "signature", "policy", "x-amz-signature", "file"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_policy_of_a_form_is_invalid() {
        let with = |conditions: &str| {
            format!(r#"{{"expiration":"2013-05-24T00:00:00Z","conditions":{conditions}}}"#)
        };
        let conditions = [
            r#""x""#,
            "null",
            "{}",
            r#"["x"]"#,
            "[null]",
            "[1]",
            "[[]]",
            "[{}]",
            r#"[{"bucket":"b","key":"k"}]"#,
            r#"[{"bucket":1}]"#,
            r#"[{"bucket":["b"]}]"#,
            r#"[["eq","key","x"]]"#,
            r#"[["eq","$key"]]"#,
            r#"[["eq","$key","x","y"]]"#,
            r#"[["eq","$key",1]]"#,
            r#"[["eq",1,"x"]]"#,
            r#"[["like","$key","x"]]"#,
            r#"[["","$key","x"]]"#,
            r#"[[1,"$key","x"]]"#,
            r#"[["starts-with","$key",null]]"#,
            r#"[["content-length-range",1]]"#,
            r#"[["content-length-range","a",1]]"#,
            r#"[["content-length-range",-1,1]]"#,
            r#"[["content-length-range",1,1.5]]"#,
            r#"[["content-length-range",1,"99999999999999999999"]]"#,
        ];
        let documents = [
            "",
            "nonsense",
            "1",
            "[]",
            "{}",
            r#"{"conditions":[]}"#,
            r#"{"expiration":1,"conditions":[]}"#,
            r#"{"expiration":"","conditions":[]}"#,
            r#"{"expiration":"soon","conditions":[]}"#,
            r#"{"expiration":"2013-05-24","conditions":[]}"#,
            r#"{"expiration":"2013-13-24T00:00:00Z","conditions":[]}"#,
            r#"{"expiration":"2013-05-24T00:00:00Z"}"#,
            r#"{"expiration":"2013-05-24T00:00:00Z","conditions":[]"#,
        ];
        for document in documents.iter().map(ToString::to_string).chain(conditions.map(with)) {
            let error = PostPolicy::parse(&BASE64_STANDARD.encode(&document)).map(drop).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidPolicyDocument, "{document}");
        }
        assert_eq!(PostPolicy::parse("!").unwrap_err().code(), ErrorCode::InvalidPolicyDocument);
        let policy = r#"{"expiration":"2013-05-24T00:00:00.000Z","conditions":[{"bucket":"b"},["content-length-range",1,"10"]]}"#;
        assert_eq!(PostPolicy::parse(&BASE64_STANDARD.encode(policy)).unwrap().lengths(), (1, 10));
    }
}
