//! Cross-origin requests: the rules of a bucket, and what browsers are answered.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::respond;
use crate::service::Response;
use crate::xml::{Element, XmlWriter};

/// The rules of a bucket, in the order in which they are tried.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CorsRules(Vec<CorsRule>);

/// Which origins may send what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct CorsRule {
    id: Option<String>,
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    max_age: Option<u32>,
}

impl CorsRules {
    /// Reads a `CORSConfiguration`.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, S3Error> {
        let configuration = Element::parse(document, "CORSConfiguration")?;
        let rules: Vec<_> = configuration.all("CORSRule").map(CorsRule::parse).collect::<Result<_, _>>()?;
        if rules.is_empty() || rules.len() > MAX_RULES {
            return Err(ErrorCode::MalformedXML.into());
        }
        Ok(Self(rules))
    }

    /// The document that says the same.
    pub(crate) fn to_xml(&self) -> String {
        XmlWriter::s3_document("CORSConfiguration", |xml| {
            for rule in &self.0 {
                xml.element("CORSRule", |xml| rule.write(xml));
            }
        })
    }

    fn find(&self, origin: &str, method: &str, headers: &[String]) -> Option<(&CorsRule, &str)> {
        self.0.iter().find_map(|rule| rule.allows(origin, method, headers).map(|allowed| (rule, allowed)))
    }
}

impl CorsRule {
    fn parse(rule: &Element) -> Result<Self, S3Error> {
        let texts = |name: &str| rule.texts(name).map(|text| text.trim().to_owned()).collect::<Vec<_>>();
        let max_age = rule.text_of("MaxAgeSeconds").map(|text| text.trim().parse());
        let rule = Self {
            id: rule.text_of("ID").map(str::to_owned),
            origins: texts("AllowedOrigin"),
            methods: texts("AllowedMethod"),
            headers: texts("AllowedHeader"),
            exposed: texts("ExposeHeader"),
            max_age: max_age.transpose().map_err(|_| ErrorCode::MalformedXML)?,
        };
        if rule.origins.is_empty() || rule.methods.is_empty() {
            return Err(ErrorCode::MalformedXML.into());
        }
        if let Some(method) = rule.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(S3Error::new(
                ErrorCode::InvalidRequest,
                format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}"),
            ));
        }
        let several = |pattern: &&String| pattern.matches('*').count() > 1;
        if let Some(origin) = rule.origins.iter().find(several) {
            let message = format!("AllowedOrigin \"{origin}\" can not have more than one wildcard.");
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        if let Some(header) = rule.headers.iter().find(several) {
            let message = format!("AllowedHeader \"{header}\" can not have more than one wildcard.");
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        if let Some(header) =
            rule.exposed.iter().find(|header| HeaderName::from_bytes(header.as_bytes()).is_err())
        {
            let message = format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            );
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        Ok(rule)
    }

    fn write(&self, xml: &mut XmlWriter) {
        self.id.iter().for_each(|id| xml.text("ID", id));
        self.origins.iter().for_each(|origin| xml.text("AllowedOrigin", origin));
        self.methods.iter().for_each(|method| xml.text("AllowedMethod", method));
        self.headers.iter().for_each(|header| xml.text("AllowedHeader", header));
        self.exposed.iter().for_each(|header| xml.text("ExposeHeader", header));
        self.max_age.iter().for_each(|age| xml.value("MaxAgeSeconds", age));
    }

    /// The pattern that takes the origin, where the rule takes method and headers, too.
    fn allows(&self, origin: &str, method: &str, headers: &[String]) -> Option<&str> {
        let pattern = self.origins.iter().find(|pattern| fits(pattern, origin))?;
        let takes = |header: &String| {
            self.headers
                .iter()
                .any(|pattern| fits(&pattern.to_ascii_lowercase(), &header.to_ascii_lowercase()))
        };
        (self.methods.iter().any(|allowed| allowed == method) && headers.iter().all(takes)).then_some(pattern)
    }

    fn write_headers(&self, answer: &mut HeaderMap, pattern: &str, origin: &str) {
        if pattern == "*" {
            respond::set(answer, "access-control-allow-origin", "*");
        } else {
            respond::set(answer, "access-control-allow-origin", origin);
            respond::set(answer, "access-control-allow-credentials", "true");
        }
        respond::set(answer, "access-control-allow-methods", &self.methods.join(", "));
        if !self.exposed.is_empty() {
            respond::set(answer, "access-control-expose-headers", &self.exposed.join(", "));
        }
        if let Some(age) = self.max_age {
            respond::set(answer, "access-control-max-age", &age.to_string());
        }
        respond::set(answer, "vary", VARY);
    }
}

/// Answers a browser that asks whether it may send a request: nobody signs such a question.
pub(crate) async fn preflight(
    cx: &Context,
    bucket: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, S3Error> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let origin = text("origin").ok_or_else(|| {
        S3Error::new(ErrorCode::BadRequest, "Insufficient information. Origin request header needed.")
    })?;
    let method = text("access-control-request-method").unwrap_or("null");
    if !METHODS.contains(&method) {
        return Err(S3Error::new(
            ErrorCode::BadRequest,
            format!("Invalid Access-Control-Request-Method: {method}"),
        ));
    }
    let wanted = text("access-control-request-headers").unwrap_or_default();
    let wanted: Vec<String> = wanted
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let refused = |message| {
        S3Error::new(ErrorCode::AccessForbidden, message)
            .detail("Method", method)
            .detail("ResourceType", "OBJECT")
    };
    let rules = match bucket {
        Some(bucket) => rules_of(cx, bucket).await?,
        None => None,
    };
    let rules = rules.ok_or_else(|| refused("CORSResponse: CORS is not enabled for this bucket."))?;
    let (rule, pattern) = rules.find(origin, method, &wanted).ok_or_else(|| refused(NOT_ALLOWED))?;
    let mut response = respond::empty(StatusCode::OK);
    rule.write_headers(response.headers_mut(), pattern, origin);
    if !wanted.is_empty() {
        respond::set(response.headers_mut(), "access-control-allow-headers", &wanted.join(", "));
    }
    Ok(response)
}

/// Tells a browser whether a page of another origin may see this answer.
pub(crate) async fn decorate(
    cx: &Context,
    bucket: &str,
    method: &Method,
    asked: &HeaderMap,
    answer: &mut HeaderMap,
) {
    let Some(origin) = asked.get("origin").and_then(|origin| origin.to_str().ok()) else { return };
    // Without a bucket or its rules there is nothing to add; the answer itself says what is wrong.
    let Ok(Some(rules)) = rules_of(cx, bucket).await else { return };
    match rules.find(origin, method.as_str(), &[]) {
        Some((rule, pattern)) => rule.write_headers(answer, pattern, origin),
        None => drop(answer.insert("vary", HeaderValue::from_static(VARY))),
    }
}

async fn rules_of(cx: &Context, bucket: &str) -> Result<Option<CorsRules>, S3Error> {
    let bucket = cx.bucket(bucket).await?;
    let settings = cx.objects.bucket_settings(&bucket).await?;
    settings.get("cors").map(|document| CorsRules::parse(document)).transpose()
}

/// Whether a pattern with at most one `*` takes the text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];
const MAX_RULES: usize = 100;
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of \
     Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by \
     the resource's CORS spec.";

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<CORSConfiguration><CORSRule><ID>one</ID><AllowedOrigin>https://*.example.com</AllowedOrigin>\
        <AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
        <MaxAgeSeconds>60</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin>\
        <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";

    #[test]
    fn the_first_rule_that_takes_origin_method_and_headers_counts() {
        let rules = CorsRules::parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(CorsRules::parse(rules.to_xml().as_bytes()).unwrap(), rules);
        let found = |origin, method, headers: &[&str]| {
            let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
            rules.find(origin, method, &headers).map(|(_, pattern)| pattern.to_owned())
        };
        assert_eq!(found("https://a.example.com", "PUT", &["x-amz-date"]).unwrap(), "https://*.example.com");
        assert_eq!(found("https://a.example.com", "PUT", &["content-type"]), None);
        assert_eq!(found("https://example.com", "PUT", &[]), None);
        assert_eq!(found("https://a.example.com", "GET", &[]).unwrap(), "*");
        assert_eq!(found("https://a.example.com", "DELETE", &[]), None);
        assert!(!fits("ab*ba", "aba"), "the two ends of a pattern share no letter");
    }

    #[test]
    fn rules_that_nobody_could_mean_are_refused() {
        for (from, to, code) in [
            ("PUT", "PATCH", ErrorCode::InvalidRequest),
            ("https://*.", "https://*.*.", ErrorCode::InvalidRequest),
            ("x-amz-*", "x-*-*", ErrorCode::InvalidRequest),
            ("<ExposeHeader>ETag", "<ExposeHeader>x y", ErrorCode::InvalidRequest),
            ("60", "soon", ErrorCode::MalformedXML),
            ("<AllowedOrigin>*</AllowedOrigin>", "", ErrorCode::MalformedXML),
        ] {
            let error = CorsRules::parse(DOCUMENT.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{to}");
        }
        assert!(CorsRules::parse(b"<CORSConfiguration/>").is_err());
    }
}
