//! `GET /bucket?versions`

use fdfs_objects::{VersionItem, VersionQuery, VersionStart};

use super::Operation;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::listing::Listing;
use crate::object_response::etag_text;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;
use crate::xml::XmlWriter;

/// Lists versions and delete markers: keys in byte order, of each key the newest first.
#[derive(Debug)]
pub(crate) struct ListObjectVersions {
    listing: Listing,
    key_marker: String,
    version_id_marker: String,
    from: VersionStart,
}

impl Operation for ListObjectVersions {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let (key_marker, version_id_marker) = (text("key-marker"), text("version-id-marker"));
        let key = key_marker.clone().into_bytes();
        let from = match (key_marker.is_empty(), version_id_marker.is_empty()) {
            (true, true) => VersionStart::Start,
            (false, true) => VersionStart::AfterKey(key),
            (false, false) => {
                let invalid = |_| {
                    S3Error::new(ErrorCode::InvalidArgument, "Invalid version id specified")
                        .detail("ArgumentName", "version-id-marker")
                        .detail("ArgumentValue", &version_id_marker)
                };
                VersionStart::AfterVersion(key, version_id_marker.parse().map_err(invalid)?)
            }
            (true, false) => {
                return Err(S3Error::new(
                    ErrorCode::InvalidArgument,
                    "A version-id marker cannot be specified without a key marker.",
                )
                .detail("ArgumentName", "version-id-marker")
                .detail("ArgumentValue", version_id_marker));
            }
        };
        Ok(Self { listing: Listing::parse(&request)?, key_marker, version_id_marker, from })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let listing = &self.listing;
        let query = VersionQuery {
            prefix: listing.prefix.clone().into_bytes(),
            delimiter: listing.delimiter.clone().into_bytes(),
            from: self.from,
            limit: listing.max_keys as usize,
        };
        let page = cx.objects.list_versions(&listing.bucket, query).await?;
        Ok(respond::document("ListVersionsResult", |xml| {
            listing.write_question(xml);
            listing.write_key(xml, "KeyMarker", &self.key_marker);
            xml.text("VersionIdMarker", &self.version_id_marker);
            xml.value("IsTruncated", page.is_truncated);
            match page.items.last().filter(|_| page.is_truncated) {
                Some(VersionItem::Version { key, version_id, .. }) => {
                    listing.write_key(xml, "NextKeyMarker", key);
                    xml.value("NextVersionIdMarker", version_id);
                }
                Some(VersionItem::CommonPrefix(prefix)) => listing.write_key(xml, "NextKeyMarker", prefix),
                None => {}
            }
            for item in page.items.iter().filter(|item| listing.can_write(key_of(item))) {
                write_version(listing, xml, cx, item);
            }
            for item in page.items.iter().filter(|item| listing.can_write(key_of(item))) {
                if let VersionItem::CommonPrefix(prefix) = item {
                    xml.element("CommonPrefixes", |xml| listing.write_key(xml, "Prefix", prefix));
                }
            }
        }))
    }
}

fn key_of(item: &VersionItem) -> &[u8] {
    match item {
        VersionItem::Version { key, .. } | VersionItem::CommonPrefix(key) => key,
    }
}

fn write_version(listing: &Listing, xml: &mut XmlWriter, cx: &Context, item: &VersionItem) {
    let VersionItem::Version { key, version_id, is_latest, delete_marker, size, etag, content_time } = item
    else {
        return;
    };
    xml.element(if *delete_marker { "DeleteMarker" } else { "Version" }, |xml| {
        listing.write_key(xml, "Key", key);
        xml.value("VersionId", version_id);
        xml.value("IsLatest", is_latest);
        xml.text("LastModified", &time::iso8601(time::of_millis(*content_time)));
        if !delete_marker {
            xml.text("ETag", &respond::quoted(&etag_text(*etag)));
            xml.value("Size", size);
            xml.text("StorageClass", "STANDARD");
        }
        xml.element("Owner", |xml| cx.write_owner(xml));
    });
}
