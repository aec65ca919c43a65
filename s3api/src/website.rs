//! Website configuration of a bucket: which documents are shown, and where to visitors are sent.

use crate::error::{ErrorCode, S3Error};
use crate::xml::{Element, XmlWriter};

/// How a bucket is shown as a website.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Website {
    /// Everybody is sent elsewhere.
    redirect_all: Option<(String, Option<String>)>,
    /// The name of the document that stands for a directory.
    pub(crate) index: String,
    /// The key of the document that is shown with errors.
    pub(crate) error: Option<String>,
    rules: Vec<RoutingRule>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct RoutingRule {
    prefix: Option<String>,
    status: Option<u16>,
    host: Option<String>,
    protocol: Option<String>,
    code: Option<u16>,
    replace_prefix: Option<String>,
    replace_key: Option<String>,
}

/// Where a visitor is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    pub(crate) location: String,
}

impl Website {
    /// Reads a `WebsiteConfiguration`.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, S3Error> {
        let configuration = Element::parse(document, "WebsiteConfiguration")?;
        let invalid = |message| S3Error::new(ErrorCode::InvalidArgument, message);
        if let Some(all) = configuration.child("RedirectAllRequestsTo") {
            if ["IndexDocument", "ErrorDocument", "RoutingRules"]
                .iter()
                .any(|name| configuration.child(name).is_some())
            {
                let message =
                    "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
                return Err(S3Error::new(ErrorCode::InvalidRequest, message));
            }
            let host = text(all, "HostName").ok_or(ErrorCode::MalformedXML)?;
            return Ok(Self { redirect_all: Some((host, protocol(all)?)), ..Self::default() });
        }
        let index = configuration.child("IndexDocument").ok_or_else(|| {
            invalid("A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty")
        })?;
        let index = text(index, "Suffix").unwrap_or_default();
        if index.is_empty() || index.contains('/') {
            return Err(invalid("The IndexDocument Suffix is not well formed"));
        }
        let error = match configuration.child("ErrorDocument") {
            None => None,
            Some(error) => {
                let key = text(error, "Key").filter(|key| !key.is_empty());
                Some(key.ok_or_else(|| invalid("The ErrorDocument Key is not well formed"))?)
            }
        };
        let rules = configuration
            .child("RoutingRules")
            .map(|rules| rules.all("RoutingRule").map(RoutingRule::parse).collect::<Result<Vec<_>, _>>());
        let rules = rules.transpose()?.unwrap_or_default();
        if rules.len() > MAX_RULES {
            return Err(S3Error::new(
                ErrorCode::InvalidRequest,
                "Number of routing rules must not exceed allowed limit of 50 rules.",
            ));
        }
        Ok(Self { redirect_all: None, index, error, rules })
    }

    /// The document that says the same.
    pub(crate) fn to_xml(&self) -> String {
        XmlWriter::s3_document("WebsiteConfiguration", |xml| {
            if let Some((host, protocol)) = &self.redirect_all {
                return xml.element("RedirectAllRequestsTo", |xml| {
                    xml.text("HostName", host);
                    protocol.iter().for_each(|protocol| xml.text("Protocol", protocol));
                });
            }
            xml.element("IndexDocument", |xml| xml.text("Suffix", &self.index));
            if let Some(key) = &self.error {
                xml.element("ErrorDocument", |xml| xml.text("Key", key));
            }
            if !self.rules.is_empty() {
                xml.element("RoutingRules", |xml| {
                    for rule in &self.rules {
                        xml.element("RoutingRule", |xml| rule.write(xml));
                    }
                });
            }
        })
    }

    /// Where a visitor of `key` is sent before anything is looked up.
    pub(crate) fn redirect(&self, key: &str, scheme: &str, host: &str) -> Option<Redirect> {
        if let Some((target, protocol)) = &self.redirect_all {
            let scheme = protocol.as_deref().unwrap_or(scheme);
            let location = format!("{scheme}://{target}/{}", crate::uri::encode_path(key.as_bytes()));
            return Some(Redirect { status: 301, location });
        }
        let rule = self.rules.iter().find(|rule| rule.status.is_none() && rule.takes(key))?;
        Some(rule.redirect(key, scheme, host))
    }

    /// Where a visitor of `key` is sent for whom there would be this error.
    pub(crate) fn redirect_of_error(
        &self,
        key: &str,
        status: u16,
        scheme: &str,
        host: &str,
    ) -> Option<Redirect> {
        let rule = self.rules.iter().find(|rule| rule.status == Some(status) && rule.takes(key))?;
        Some(rule.redirect(key, scheme, host))
    }
}

impl RoutingRule {
    fn parse(rule: &Element) -> Result<Self, S3Error> {
        let redirect = rule.child("Redirect").ok_or(ErrorCode::MalformedXML)?;
        let condition = rule.child("Condition");
        let of_condition = |name| condition.and_then(|condition| text(condition, name));
        let rule = Self {
            prefix: of_condition("KeyPrefixEquals"),
            status: number(of_condition("HttpErrorCodeReturnedEquals"), 400..600)?,
            host: text(redirect, "HostName"),
            protocol: protocol(redirect)?,
            code: number(text(redirect, "HttpRedirectCode"), 301..400)?,
            replace_prefix: text(redirect, "ReplaceKeyPrefixWith"),
            replace_key: text(redirect, "ReplaceKeyWith"),
        };
        if condition.is_some() && rule.prefix.is_none() && rule.status.is_none() {
            let message = "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        if rule.replace_prefix.is_some() && rule.replace_key.is_some() {
            let message = "You can only define ReplaceKeyPrefix or ReplaceKey but not both.";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        Ok(rule)
    }

    fn write(&self, xml: &mut XmlWriter) {
        if self.prefix.is_some() || self.status.is_some() {
            xml.element("Condition", |xml| {
                self.status.iter().for_each(|status| xml.value("HttpErrorCodeReturnedEquals", status));
                self.prefix.iter().for_each(|prefix| xml.text("KeyPrefixEquals", prefix));
            });
        }
        xml.element("Redirect", |xml| {
            self.host.iter().for_each(|host| xml.text("HostName", host));
            self.code.iter().for_each(|code| xml.value("HttpRedirectCode", code));
            self.protocol.iter().for_each(|protocol| xml.text("Protocol", protocol));
            self.replace_prefix.iter().for_each(|with| xml.text("ReplaceKeyPrefixWith", with));
            self.replace_key.iter().for_each(|with| xml.text("ReplaceKeyWith", with));
        });
    }

    fn takes(&self, key: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
    }

    fn redirect(&self, key: &str, scheme: &str, host: &str) -> Redirect {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let key = match (&self.replace_key, &self.replace_prefix) {
            (Some(with), _) => with.clone(),
            (None, Some(with)) => format!("{with}{}", key.strip_prefix(prefix).unwrap_or(key)),
            (None, None) => key.to_owned(),
        };
        let scheme = self.protocol.as_deref().unwrap_or(scheme);
        let host = self.host.as_deref().unwrap_or(host);
        let location = format!("{scheme}://{host}/{}", crate::uri::encode_path(key.as_bytes()));
        Redirect { status: self.code.unwrap_or(301), location }
    }
}

fn text(element: &Element, name: &str) -> Option<String> {
    element.text_of(name).map(|text| text.trim().to_owned())
}

fn protocol(element: &Element) -> Result<Option<String>, S3Error> {
    match text(element, "Protocol") {
        Some(protocol) if protocol != "http" && protocol != "https" => {
            let message = "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.";
            Err(S3Error::new(ErrorCode::InvalidRequest, message))
        }
        protocol => Ok(protocol),
    }
}

fn number(text: Option<String>, allowed: std::ops::Range<u16>) -> Result<Option<u16>, S3Error> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.map(Some).ok_or_else(|| {
        S3Error::new(ErrorCode::InvalidRequest, "The provided HTTP redirect code or error code is not valid.")
    })
}

const MAX_RULES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
        <ErrorDocument><Key>error.html</Key></ErrorDocument><RoutingRules>\
        <RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition>\
        <Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect></RoutingRule>\
        <RoutingRule><Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>\
        <Redirect><HostName>example.com</HostName><Protocol>https</Protocol><HttpRedirectCode>302</HttpRedirectCode>\
        <ReplaceKeyWith>gone</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>";

    #[test]
    fn routing_rules_send_visitors_on() {
        let website = Website::parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(Website::parse(website.to_xml().as_bytes()).unwrap(), website);
        let to = |redirect: Option<Redirect>| redirect.map(|redirect| (redirect.status, redirect.location));
        assert_eq!(
            to(website.redirect("old/a b", "http", "h")).unwrap(),
            (301, "http://h/new/a%20b".to_owned())
        );
        assert_eq!(website.redirect("other", "http", "h"), None);
        let gone = website.redirect_of_error("x", 404, "http", "h");
        assert_eq!(to(gone).unwrap(), (302, "https://example.com/gone".to_owned()));
        assert_eq!(website.redirect_of_error("x", 403, "http", "h"), None);

        let all = "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>example.com</HostName></RedirectAllRequestsTo></WebsiteConfiguration>";
        let website = Website::parse(all.as_bytes()).unwrap();
        assert_eq!(Website::parse(website.to_xml().as_bytes()).unwrap(), website);
        assert_eq!(
            to(website.redirect("a", "https", "h")).unwrap(),
            (301, "https://example.com/a".to_owned())
        );
    }

    #[test]
    fn a_website_without_a_usable_index_or_redirect_is_refused() {
        for (from, to, code) in [
            ("index.html", "a/b", ErrorCode::InvalidArgument),
            ("index.html", "", ErrorCode::InvalidArgument),
            ("error.html", "", ErrorCode::InvalidArgument),
            ("https", "ftp", ErrorCode::InvalidRequest),
            ("302", "200", ErrorCode::InvalidRequest),
            ("<KeyPrefixEquals>old/</KeyPrefixEquals>", "", ErrorCode::InvalidRequest),
            (
                "<IndexDocument>",
                "<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo><IndexDocument>",
                ErrorCode::InvalidRequest,
            ),
        ] {
            let error = Website::parse(DOCUMENT.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{to}");
        }
        assert!(Website::parse(b"<WebsiteConfiguration/>").is_err());
    }
}
