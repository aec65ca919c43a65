//! `GET /bucket?list-type=2`

use fdfs_objects::ListFrom;

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::listing::{self, Listing};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Lists keys, with a token that says where the next page begins.
#[derive(Debug)]
pub(crate) struct ListObjectsV2 {
    listing: Listing,
    start_after: String,
    token: Option<String>,
    from: ListFrom,
    fetch_owner: bool,
}

impl Operation for ListObjectsV2 {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let start_after = request.query.get("start-after").unwrap_or_default().to_owned();
        let token = request.query.get("continuation-token").map(str::to_owned);
        let from = match &token {
            Some(token) => ListFrom::Resume(listing::position(token)?),
            None if start_after.is_empty() => ListFrom::Start,
            None => ListFrom::After(start_after.clone().into_bytes()),
        };
        let fetch_owner = request.query.get("fetch-owner") == Some("true");
        Ok(Self { listing: Listing::parse(&request)?, start_after, token, from, fetch_owner })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let page = self.listing.page(cx, self.from).await?;
        let named = self.listing.named(&page);
        Ok(respond::document("ListBucketResult", |xml| {
            self.listing.write_question(xml);
            if !self.start_after.is_empty() {
                self.listing.write_key(xml, "StartAfter", &self.start_after);
            }
            if let Some(token) = &self.token {
                xml.text("ContinuationToken", token);
            }
            xml.value("KeyCount", named.len());
            xml.value("IsTruncated", page.next.is_some());
            if let Some(next) = &page.next {
                xml.text("NextContinuationToken", &listing::token(next));
            }
            self.listing.write_items(xml, cx, &named, self.fetch_owner);
        }))
    }
}
