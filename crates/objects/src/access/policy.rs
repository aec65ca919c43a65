//! Bucket policies: read once, judged often.

use serde_json::{Map, Value};
use thiserror::Error;

use super::action;
use super::condition::{Condition, value_of};
use super::pattern::Pattern;
use super::{Caller, Question};

/// A bucket's policy. A value of this type is valid: what it names is known, and on its own bucket.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Why a document is no policy, in the words of S3.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct PolicyError(pub(super) String);

#[derive(Clone, Debug)]
struct Statement {
    allows: bool,
    principals: Listed<Principal>,
    actions: Listed<Pattern>,
    resources: Listed<Pattern>,
    conditions: Vec<Condition>,
}

/// Everything that is listed, or everything else (`NotAction`, …).
#[derive(Clone, Debug)]
struct Listed<T> {
    items: Vec<T>,
    inverted: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Principal {
    Everybody,
    /// A user's name or access key id.
    User(String),
}

impl Policy {
    /// Reads the policy of `bucket`.
    pub fn parse(document: &[u8], bucket: &str) -> Result<Self, PolicyError> {
        if document.len() > MAX_POLICY {
            return Err(PolicyError(format!("Policies must not be larger than {MAX_POLICY} bytes")));
        }
        let text =
            std::str::from_utf8(document).ok().map(str::trim_start).filter(|text| text.starts_with('{'));
        let text = text.ok_or_else(|| {
            PolicyError("Policies must be valid JSON and the first byte must be '{'".to_owned())
        })?;
        let policy: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| PolicyError("This policy contains invalid Json".to_owned()))?;
        let with_variables = match policy.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            Some(_) => return Err(invalid("The policy must contain a valid version string")),
        };
        only(&policy, &["Version", "Id", "Statement"])?;
        let statements = match policy.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            Some(_) => return Err(invalid("Policy has invalid Statement")),
            None => Vec::new(),
        };
        if statements.is_empty() {
            return Err(invalid("Missing required field Statement"));
        }
        let statements = statements.into_iter().map(|statement| {
            let fields = statement.as_object().ok_or_else(|| invalid("Policy has invalid Statement"))?;
            Statement::parse(fields, bucket, with_variables)
        });
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Whether it lets anybody in who is not named.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            let everybody =
                statement.principals.inverted || statement.principals.items.contains(&Principal::Everybody);
            statement.allows && everybody && !statement.conditions.iter().any(Condition::is_narrow)
        })
    }

    pub(super) fn denies(&self, question: &Question<'_>) -> bool {
        self.statements.iter().any(|statement| !statement.allows && statement.fits(question))
    }

    pub(super) fn allows(&self, question: &Question<'_>) -> bool {
        self.statements.iter().any(|statement| statement.allows && statement.fits(question))
    }
}

impl Statement {
    fn parse(fields: &Map<String, Value>, bucket: &str, with_variables: bool) -> Result<Self, PolicyError> {
        only(fields, STATEMENT_FIELDS)?;
        let allows = match fields.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(other) => return Err(PolicyError(format!("Invalid effect: {other}"))),
            None => return Err(invalid("Missing required field Effect")),
        };
        let (principal, inverted) = either(fields, "Principal", "NotPrincipal")?;
        let principals = Listed { items: parse_principals(principal)?, inverted };

        let (listed, inverted) = either(fields, "Action", "NotAction")?;
        let names = strings(listed, "Policy has invalid action")?;
        names.iter().try_for_each(|name| check_action(name))?;
        let items = names.iter().map(|name| Pattern::parse(&name.to_ascii_lowercase(), false)).collect();
        let actions = Listed { items, inverted };

        let (listed, inverted_resources) = either(fields, "Resource", "NotResource")?;
        let arns = strings(listed, "Policy has invalid resource")?;
        arns.iter().try_for_each(|arn| check_resource(arn, bucket))?;
        if !inverted && !inverted_resources {
            names.iter().try_for_each(|name| check_applies(name, &arns))?;
        }
        let items = arns.iter().map(|arn| Pattern::parse(arn, with_variables)).collect();
        let resources = Listed { items, inverted: inverted_resources };

        let mut conditions = Vec::new();
        let operators = match fields.get("Condition") {
            None => None,
            Some(Value::Object(operators)) => Some(operators),
            Some(_) => return Err(invalid("Policy has invalid Condition")),
        };
        for (operator, keys) in operators.into_iter().flatten() {
            let keys = keys.as_object().ok_or_else(|| invalid("Policy has invalid Condition"))?;
            for (key, values) in keys {
                conditions.push(Condition::parse(operator, key, values, with_variables)?);
            }
        }
        Ok(Self { allows, principals, actions, resources, conditions })
    }

    fn fits(&self, question: &Question<'_>) -> bool {
        let action = question.action.to_ascii_lowercase();
        let resource = match question.key {
            Some(key) => format!("{ARN}{}/{key}", question.bucket),
            None => format!("{ARN}{}", question.bucket),
        };
        let variable = |name: &str| value_of(name, question);
        self.principals.has(|principal| principal.is(question.caller))
            && self.actions.has(|pattern| pattern.fits(&action, &|_| None))
            && self.resources.has(|pattern| pattern.fits(&resource, &variable))
            && self.conditions.iter().all(|condition| condition.holds(question))
    }
}

impl<T> Listed<T> {
    fn has(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.items.iter().any(fits) != self.inverted
    }
}

impl Principal {
    fn is(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Everybody, _) => true,
            (Self::User(name), Caller::User(user)) => *name == user.name || *name == user.access_key_id,
            (Self::User(_), Caller::Anonymous) => false,
        }
    }
}

/// How policies name a user.
pub(super) fn arn_of(user: &str) -> String {
    format!("{USER_ARN}{user}")
}

fn parse_principals(value: &Value) -> Result<Vec<Principal>, PolicyError> {
    let error = || invalid("Invalid principal in policy");
    let names = match value {
        Value::String(name) if name == "*" => return Ok(vec![Principal::Everybody]),
        Value::Object(kinds) if kinds.len() == 1 => kinds.get("AWS").ok_or_else(error)?,
        _ => return Err(error()),
    };
    let one = |name: &String| match name.strip_prefix(USER_ARN).or_else(|| name.strip_prefix(OWNER_USER_ARN))
    {
        Some(user) if !user.is_empty() && !user.contains(['*', '?']) => Ok(Principal::User(user.to_owned())),
        None if name == "*" => Ok(Principal::Everybody),
        _ => Err(error()),
    };
    strings(names, "Invalid principal in policy")?.iter().map(one).collect()
}

/// Refuses an action that S3 does not have: a `Deny` of a misspelt one would deny nothing.
fn check_action(name: &str) -> Result<(), PolicyError> {
    if name == "*" || actions_of(name).next().is_some() {
        return Ok(());
    }
    Err(invalid("Policy has invalid action"))
}

/// The known actions that a name or pattern fits.
fn actions_of(name: &str) -> impl Iterator<Item = &'static str> {
    let lower = name.to_ascii_lowercase();
    let pattern = lower.strip_prefix("s3:").map(|name| Pattern::parse(name, false));
    action::known().filter(move |known| {
        pattern.as_ref().is_some_and(|pattern| pattern.fits(&known.to_ascii_lowercase(), &|_| None))
    })
}

fn check_resource(arn: &str, bucket: &str) -> Result<(), PolicyError> {
    let of_bucket = arn.strip_prefix(ARN).is_some_and(|path| {
        let name = path.split('/').next().unwrap_or_default();
        Pattern::parse(name, false).fits(bucket, &|_| None)
    });
    if of_bucket || arn == "*" { Ok(()) } else { Err(invalid("Policy has invalid resource")) }
}

/// An action on objects needs a resource with a slash, one on the bucket a resource without.
fn check_applies(name: &str, arns: &[String]) -> Result<(), PolicyError> {
    let has = |on_object: bool| {
        arns.iter().any(|arn| match (on_object, arn.contains('/')) {
            (true, slash) => slash || arn.ends_with('*'),
            (false, slash) => !slash,
        })
    };
    let applies = name == "*" || actions_of(name).any(|known| has(action::is_on_object(known)));
    if applies { Ok(()) } else { Err(invalid("Action does not apply to any resource(s) in statement")) }
}

/// The one of two fields that stands in a statement, and whether it is the second.
fn either<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
    inverted: &str,
) -> Result<(&'a Value, bool), PolicyError> {
    match (fields.get(name), fields.get(inverted)) {
        (Some(value), None) => Ok((value, false)),
        (None, Some(value)) => Ok((value, true)),
        (None, None) => Err(PolicyError(format!("Missing required field {name}"))),
        (Some(_), Some(_)) => Err(PolicyError(format!("Both {name} and {inverted} stand in a statement"))),
    }
}

fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), PolicyError> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(PolicyError(format!("Unknown field {name}"))),
        None => Ok(()),
    }
}

fn strings(value: &Value, error: &'static str) -> Result<Vec<String>, PolicyError> {
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| invalid(error));
    match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn invalid(message: &str) -> PolicyError {
    PolicyError(message.to_owned())
}

const STATEMENT_FIELDS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
const ARN: &str = "arn:aws:s3:::";
const USER_ARN: &str = "arn:aws:iam:::user/";
const OWNER_USER_ARN: &str = "arn:aws:iam::fdfs:user/";
const MAX_POLICY: usize = 20 * 1024;
