//! Reads XML documents into a tree.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::{ErrorCode, S3Error};

/// An element: its local name, its text, its children.
///
/// Text is kept to the byte: a key may begin or end with spaces.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document whose root is `root`. The caller has bounded its length.
    pub(crate) fn parse(document: &[u8], root: &str) -> Result<Self, S3Error> {
        let element = read(document).ok_or(ErrorCode::MalformedXML)?;
        if element.name == root { Ok(element) } else { Err(ErrorCode::MalformedXML.into()) }
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The texts of all children of this name.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).map(|child| child.text.as_str())
    }

    /// The text of the first child of this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// A tree of at most [`MAX_DEPTH`] levels, or nothing where the document is not well-formed.
fn read(document: &[u8]) -> Option<Element> {
    let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    return None;
                }
                open.push(named(start.local_name().as_ref()));
                continue;
            }
            Event::Empty(start) => named(start.local_name().as_ref()),
            Event::End(_) => open.pop()?,
            Event::Text(text) => {
                let text = text.xml10_content();
                match open.last_mut() {
                    Some(element) => element.text.push_str(&text),
                    None if text.trim().is_empty() => {}
                    None => return None,
                }
                continue;
            }
            Event::CData(text) => {
                open.last_mut()?.text.push_str(&text.xml10_content());
                continue;
            }
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref().ok()? {
                    Some(c) => c,
                    None => named_reference(&reference)?,
                };
                open.last_mut()?.text.push(c);
                continue;
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => continue,
            // Entities could be declared there; S3 takes none.
            Event::DocType(_) | Event::Eof => return None,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Some(closed),
        }
    }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn named_reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// No document of S3 nests deeper.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_with_spaces_and_references() {
        let document = b"<?xml version=\"1.0\"?>\n<Delete xmlns=\"urn:x\">\n <Object><Key> a&amp;&#xD;&#98; </Key></Object>\n <Quiet/></Delete>\n";
        let delete = Element::parse(document, "Delete").unwrap();

        let keys: Vec<_> = delete.all("Object").filter_map(|object| object.text_of("Key")).collect();
        assert_eq!(keys, [" a&\rb "]);
        assert_eq!(delete.text_of("Quiet"), Some(""));
    }

    #[test]
    fn what_is_not_well_formed_is_malformed() {
        for document in [
            &b""[..],
            b"text",
            b"<Delete>",
            b"<Delete></Other>",
            b"<Other/>",
            b"<Delete>&unknown;</Delete>",
            b"<!DOCTYPE Delete [<!ENTITY a \"b\">]><Delete/>",
            b"<Delete>\xff</Delete>",
        ] {
            let error = Element::parse(document, "Delete").unwrap_err();
            assert_eq!(error.code(), ErrorCode::MalformedXML, "{document:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "<Delete>".repeat(MAX_DEPTH + 1) + &"</Delete>".repeat(MAX_DEPTH + 1);

        assert!(Element::parse(deep.as_bytes(), "Delete").is_err());
    }
}
