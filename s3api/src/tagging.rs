//! Tag sets: of buckets and of objects.

use fdfs_objects::ExtendedAttributes;

use crate::error::{ErrorCode, S3Error};
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
