//! Tag sets: of buckets and of objects.

use std::collections::BTreeSet;

use fdfs_objects::ExtendedAttributes;
use http::HeaderMap;

use crate::error::{ErrorCode, S3Error};
use crate::uri::Query;
use crate::xml::{Element, XmlWriter};

/// Reads a `Tagging` document of at most `max` tags.
pub(crate) fn parse(body: &[u8], max: usize) -> Result<ExtendedAttributes, S3Error> {
    let tagging = Element::parse(body, "Tagging")?;
    let set = tagging.child("TagSet").ok_or(ErrorCode::MalformedXML)?;
    of_elements(set.all("Tag"), max)
}

/// Reads `Tag` elements.
pub(crate) fn of_elements<'a>(
    tags: impl Iterator<Item = &'a Element>,
    max: usize,
) -> Result<ExtendedAttributes, S3Error> {
    let text = |tag: &Element, name| tag.text_of(name).map(str::to_owned);
    let pairs = tags.map(|tag| text(tag, "Key").zip(text(tag, "Value")));
    collect(pairs.collect::<Option<Vec<_>>>().ok_or(ErrorCode::MalformedXML)?, max)
}

/// Reads the tags of `x-amz-tagging`, which are written as a query is.
pub(crate) fn of_header(headers: &HeaderMap) -> Result<ExtendedAttributes, S3Error> {
    let invalid = || {
        S3Error::new(
            ErrorCode::InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        )
        .detail("ArgumentName", "x-amz-tagging")
    };
    let Some(value) = headers.get("x-amz-tagging") else { return Ok(ExtendedAttributes::new()) };
    let query = value.to_str().ok().and_then(|text| Query::parse(text).ok()).ok_or_else(invalid)?;
    let pairs: Vec<_> = query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() < pairs.len() {
        return Err(invalid());
    }
    collect(pairs, MAX_OBJECT_TAGS)
}

/// Writes the elements of a tag set.
pub(crate) fn write(xml: &mut XmlWriter, tags: &ExtendedAttributes) {
    xml.element("TagSet", |xml| write_tags(xml, tags));
}

/// Writes `Tag` elements.
pub(crate) fn write_tags(xml: &mut XmlWriter, tags: &ExtendedAttributes) {
    for (name, value) in tags {
        xml.element("Tag", |xml| {
            xml.text("Key", &String::from_utf8_lossy(name));
            xml.text("Value", &String::from_utf8_lossy(value));
        });
    }
}

fn collect(pairs: Vec<(String, String)>, max: usize) -> Result<ExtendedAttributes, S3Error> {
    if pairs.len() > max {
        let message = if max == MAX_OBJECT_TAGS {
            "Object tags cannot be greater than 10"
        } else {
            "Bucket tag count cannot be greater than 50"
        };
        return Err(S3Error::new(ErrorCode::BadRequest, message));
    }
    let mut tags = ExtendedAttributes::new();
    for (name, value) in pairs {
        if !(1..=MAX_NAME).contains(&name.chars().count()) || !name.chars().all(is_allowed) {
            return Err(invalid("The TagKey you have provided is invalid", &name));
        }
        if value.chars().count() > MAX_VALUE || !value.chars().all(is_allowed) {
            return Err(invalid("The TagValue you have provided is invalid", &name));
        }
        if name.starts_with("aws:") {
            return Err(invalid("System tags cannot be added/updated by requester", &name));
        }
        if tags.insert(name.clone().into_bytes(), value.into_bytes()).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key", &name));
        }
    }
    Ok(tags)
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c)
}

fn invalid(message: &'static str, name: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidTag, message).detail("TagKey", name)
}

/// Tags of a bucket.
pub(crate) const MAX_BUCKET_TAGS: usize = 50;
/// Tags of an object.
pub(crate) const MAX_OBJECT_TAGS: usize = 10;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(tags: &[(&str, &str)]) -> String {
        let tag =
            |(name, value): &(&str, &str)| format!("<Tag><Key>{name}</Key><Value>{value}</Value></Tag>");
        format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.iter().map(tag).collect::<String>())
    }

    #[test]
    fn tags_in_a_header_are_written_as_a_query() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([("x-amz-tagging".parse().unwrap(), value.parse().unwrap())]);
            of_header(&headers).map_err(|error| error.code())
        };
        assert_eq!(read("").unwrap(), ExtendedAttributes::new());
        let tags = read("a=1&b%20c=%C3%A9&d").unwrap();
        assert_eq!(tags[&b"b c"[..]], "\u{e9}".as_bytes());
        assert_eq!((tags.len(), tags[&b"d"[..]].len()), (3, 0));
        assert_eq!(read("a=1&a=2"), Err(ErrorCode::InvalidArgument));
        assert_eq!(read("a=%ff"), Err(ErrorCode::InvalidArgument));
        assert_eq!(read("aws:a=1"), Err(ErrorCode::InvalidTag));
        let many: Vec<String> = (0..11).map(|number| format!("t{number}=v")).collect();
        assert_eq!(read(&many.join("&")), Err(ErrorCode::BadRequest));
    }

    #[test]
    fn tags_follow_the_rules_of_s3() {
        let long = ("n".repeat(129), "v".repeat(257));
        for (tags, code) in [
            (&[("a", "1"), ("\u{e9}-b:/@", "")][..], None),
            (&[("a", "1"), ("a", "2")], Some(ErrorCode::InvalidTag)),
            (&[("", "1")], Some(ErrorCode::InvalidTag)),
            (&[(long.0.as_str(), "1")], Some(ErrorCode::InvalidTag)),
            (&[("a", long.1.as_str())], Some(ErrorCode::InvalidTag)),
            (&[("aws:a", "1")], Some(ErrorCode::InvalidTag)),
            (&[("a?", "1")], Some(ErrorCode::InvalidTag)),
            (&[("a", "1"), ("b", "1"), ("c", "1")], Some(ErrorCode::BadRequest)),
        ] {
            let parsed = parse(document(tags).as_bytes(), 2);
            assert_eq!(parsed.err().map(|error| error.code()), code, "{tags:?}");
        }
        assert_eq!(parse(b"<Tagging/>", 2).unwrap_err().code(), ErrorCode::MalformedXML);
    }
}
