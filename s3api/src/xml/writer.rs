//! Writes XML documents.

use std::fmt::{Display, Write as _};

use super::NAMESPACE;

/// A document being written.
#[derive(Debug)]
pub(crate) struct XmlWriter {
    out: String,
}

impl XmlWriter {
    /// An empty document, after its declaration.
    pub(crate) fn document() -> Self {
        Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() }
    }

    /// A whole document of S3's namespace with one root element.
    pub(crate) fn s3_document(root: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self::document();
        let _ = write!(xml.out, "<{root} xmlns=\"{NAMESPACE}\">");
        content(&mut xml);
        xml.close(root);
        xml.finish()
    }

    /// An element with elements in it.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    /// An element with attributes, written as they stand, and elements in it.
    pub(crate) fn element_with(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        let _ = write!(self.out, "<{name} {attributes}>");
        content(self);
        self.close(name);
    }

    /// An element with text in it.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape_into(&mut self.out, text);
        self.close(name);
    }

    /// An element with attributes, written as they stand, and text in it.
    pub(crate) fn text_with(&mut self, name: &str, attributes: &str, text: &str) {
        let _ = write!(self.out, "<{name} {attributes}>");
        escape_into(&mut self.out, text);
        self.close(name);
    }

    /// An element with a number or another value that needs no escaping.
    pub(crate) fn value(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.out, "<{name}>{value}</{name}>");
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// An element with text in it that is known to need no escaping.
    pub(crate) fn plain(&mut self, name: &str, text: &str) {
        self.open(name);
        self.out.push_str(text);
        self.close(name);
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// Escapes markup, and control characters as S3 does although XML 1.0 knows no such reference.
fn escape_into(out: &mut String, text: &str) {
    // Most texts need nothing; U+FFFE and U+FFFF begin with EF.
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'&' | b'<' | b'>' | b'"' | 0xef);
    if text.bytes().all(is_plain) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {
                let _ = write!(out, "&#x{:X};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        let mut out = String::new();
        escape_into(&mut out, "a<b>&\"c\r\u{1}d\u{e9}");

        assert_eq!(out, "a&lt;b&gt;&amp;&quot;c&#xD;&#x1;d\u{e9}");
    }

    #[test]
    fn the_root_carries_the_namespace() {
        let document = XmlWriter::s3_document("R", |xml| xml.value("N", 1));

        assert!(document.ends_with("\n<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><N>1</N></R>"));
    }
}
