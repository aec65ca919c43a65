//! What the lists of objects, version 1 and 2, have in common.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fdfs_objects::{Attributes, Entry, ListFrom, ListItem, ListPage, ListQuery, ObjectsError};

use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::object_checksum;
use crate::object_response::etag_text;
use crate::request::Request;
use crate::respond;
use crate::time;
use crate::uri;
use crate::xml::XmlWriter;

/// What both lists are asked.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    pub(crate) max_keys: u32,
    /// Whether keys are percent-encoded, because XML 1.0 cannot carry every character.
    encoded: bool,
}

impl Listing {
    /// Reads the query.
    pub(crate) fn parse(request: &Request) -> Result<Self, S3Error> {
        let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        Ok(Self {
            bucket: request.bucket()?,
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            max_keys: request.number("max-keys")?.unwrap_or(MAX_KEYS).min(MAX_KEYS),
            encoded: is_encoded(request)?,
        })
    }

    /// One page of keys.
    pub(crate) async fn page(&self, cx: &Context, from: ListFrom) -> Result<ListPage, S3Error> {
        let query = ListQuery {
            prefix: self.prefix.clone().into_bytes(),
            delimiter: self.delimiter.clone().into_bytes(),
            from,
            limit: self.max_keys as usize,
        };
        let mut page = cx.objects.list(&self.bucket, query).await?;
        for item in &mut page.items {
            let ListItem::Key { key, entry } = item else { continue };
            if entry.attributes.is_none() {
                self.complete(cx, key, entry).await?;
            }
        }
        Ok(page)
    }

    /// Looks up what an entry does not carry: that of a directory, or of a file with several links.
    async fn complete(&self, cx: &Context, key: &[u8], entry: &mut Entry) -> Result<(), S3Error> {
        match cx.objects.head(&self.bucket, key).await {
            Ok(info) => entry.attributes = Some(info.attributes),
            // It was deleted meanwhile: the list is that of the moment before.
            Err(ObjectsError::NotFound | ObjectsError::DeleteMarker { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A key or prefix, encoded where that was asked.
    pub(crate) fn write_key(&self, xml: &mut XmlWriter, name: &str, key: impl AsRef<[u8]>) {
        write_key(xml, name, key.as_ref(), self.encoded);
    }

    /// Whether this list can name a key or prefix to the byte: a mount can make names that are no text.
    fn can_name(&self, item: &ListItem) -> bool {
        let (ListItem::Key { key, .. } | ListItem::CommonPrefix(key)) = item;
        self.can_write(key)
    }

    /// Whether this list can name a key to the byte.
    pub(crate) fn can_write(&self, key: &[u8]) -> bool {
        self.encoded || std::str::from_utf8(key).is_ok()
    }

    /// The keys and prefixes of a page that this list names; the others are counted in the metrics.
    pub(crate) fn named<'a>(&self, page: &'a ListPage) -> Vec<&'a ListItem> {
        let named: Vec<_> = page.items.iter().filter(|item| self.can_name(item)).collect();
        let left_out = page.items.len() - named.len();
        if left_out > 0 {
            metrics::counter!("fdfs_s3_unlistable_keys_total").increment(left_out as u64);
        }
        named
    }

    /// The elements that say what was asked.
    pub(crate) fn write_question(&self, xml: &mut XmlWriter) {
        xml.text("Name", &self.bucket);
        self.write_key(xml, "Prefix", &self.prefix);
        xml.value("MaxKeys", self.max_keys);
        if !self.delimiter.is_empty() {
            self.write_key(xml, "Delimiter", &self.delimiter);
        }
        if self.encoded {
            xml.text("EncodingType", "url");
        }
    }

    /// Keys, then common prefixes.
    pub(crate) fn write_items(
        &self,
        xml: &mut XmlWriter,
        cx: &Context,
        items: &[&ListItem],
        with_owner: bool,
    ) {
        let none = Attributes::default();
        for item in items {
            let ListItem::Key { key, entry } = item else { continue };
            xml.element("Contents", |xml| {
                self.write_key(xml, "Key", key);
                let attributes = entry.attributes.as_ref().unwrap_or(&none);
                xml.plain("LastModified", &time::iso8601(time::of_millis(attributes.content_time)));
                xml.text("ETag", &respond::quoted(&etag_text(attributes.etag)));
                object_checksum::write_form(xml, attributes.checksum);
                xml.value("Size", attributes.size);
                xml.plain("StorageClass", "STANDARD");
                if with_owner {
                    xml.element("Owner", |xml| cx.write_owner(xml));
                }
            });
        }
        for item in items {
            let ListItem::CommonPrefix(prefix) = item else { continue };
            xml.element("CommonPrefixes", |xml| self.write_key(xml, "Prefix", prefix));
        }
    }
}

/// Whether `encoding-type=url` is asked.
pub(crate) fn is_encoded(request: &Request) -> Result<bool, S3Error> {
    match request.query.get("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(other) => {
            Err(S3Error::new(ErrorCode::InvalidArgument, "Invalid Encoding Method specified in Request")
                .detail("ArgumentName", "encoding-type")
                .detail("ArgumentValue", other))
        }
    }
}

/// A key or prefix, percent-encoded or not.
pub(crate) fn write_key(xml: &mut XmlWriter, name: &str, key: &[u8], encoded: bool) {
    if encoded {
        xml.text(name, &uri::encode_path(key));
    } else {
        xml.text(name, &String::from_utf8_lossy(key));
    }
}

/// A token for where a list goes on, which clients cannot and need not read.
pub(crate) fn token(position: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(position)
}

/// Reads a token back.
pub(crate) fn position(token: &str) -> Result<Vec<u8>, S3Error> {
    BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| {
        S3Error::new(ErrorCode::InvalidArgument, "The continuation token provided is incorrect")
            .detail("ArgumentName", "continuation-token")
    })
}

const MAX_KEYS: u32 = 1000;
