//! `GET /bucket`, the first version of the list.

use fdfs_objects::{ListFrom, ListItem};

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::listing::Listing;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Lists keys after a marker, which is a key or a common prefix.
#[derive(Debug)]
pub(crate) struct ListObjects {
    listing: Listing,
    marker: String,
}

impl Operation for ListObjects {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let marker = request.query.get("marker").unwrap_or_default().to_owned();
        Ok(Self { listing: Listing::parse(&request)?, marker })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let from = match self.marker.as_str() {
            "" => ListFrom::Start,
            marker => ListFrom::After(marker.as_bytes().to_vec()),
        };
        let page = self.listing.page(cx, from).await?;
        Ok(respond::document("ListBucketResult", |xml| {
            self.listing.write_question(xml);
            self.listing.write_key(xml, "Marker", &self.marker);
            xml.value("IsTruncated", page.next.is_some());
            if let Some(ListItem::Key { key: last, .. } | ListItem::CommonPrefix(last)) =
                page.items.last().filter(|_| page.next.is_some())
            {
                self.listing.write_key(xml, "NextMarker", last);
            }
            self.listing.write_items(xml, cx, &self.listing.named(&page), true);
        }))
    }
}
