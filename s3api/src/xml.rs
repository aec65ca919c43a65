//! XML bodies: written element by element, read into a small tree within bounds.

mod reader;
mod writer;

pub(crate) use reader::Element;
pub(crate) use writer::XmlWriter;

/// The namespace of S3's documents.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
