//! `GET /`

use fdfs_objects::BucketInfo;

use super::Operation;
use crate::access::Access;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;

/// Lists the buckets that the caller may do anything in, page by page where that is asked.
#[derive(Debug)]
pub(crate) struct ListBuckets {
    prefix: String,
    after: String,
    max_buckets: Option<u32>,
    region: Option<String>,
    access: Access,
}

impl Operation for ListBuckets {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let max_buckets = request.number("max-buckets")?;
        if max_buckets.is_some_and(|max| !(1..=MAX_BUCKETS).contains(&max)) {
            return Err(S3Error::new(ErrorCode::InvalidArgument, "MaxBuckets must be between 1 and 10000"));
        }
        Ok(Self {
            prefix: text("prefix"),
            after: text("continuation-token"),
            max_buckets,
            region: request.query.get("bucket-region").map(str::to_owned),
            access: request.access,
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        // As S3 has it: told to those who ask page by page, or for a region.
        let is_paged = self.max_buckets.is_some() || self.region.is_some();
        let limit = self.max_buckets.unwrap_or(MAX_BUCKETS) as usize;
        // All buckets are in one region.
        let (buckets, has_more) = match self.region.as_deref() {
            Some(region) if !region.is_empty() && !cx.is_region(region) => (Vec::new(), false),
            _ => self.page(cx, limit).await?,
        };
        Ok(respond::document("ListAllMyBucketsResult", |xml| {
            xml.element("Owner", |xml| cx.write_owner(xml));
            xml.element("Buckets", |xml| {
                for bucket in &buckets {
                    xml.element("Bucket", |xml| {
                        xml.text("Name", &bucket.name);
                        xml.text("CreationDate", &time::iso8601(time::of_nanos(bucket.created)));
                        if is_paged {
                            xml.text("BucketRegion", &cx.config.region);
                        }
                    });
                }
            });
            if !self.prefix.is_empty() {
                xml.text("Prefix", &self.prefix);
            }
            if let Some(last) = buckets.last().filter(|_| has_more) {
                xml.text("ContinuationToken", &last.name);
            }
        }))
    }
}

impl ListBuckets {
    /// Up to `limit` buckets, and whether there are more.
    async fn page(&self, cx: &Context, limit: usize) -> Result<(Vec<BucketInfo>, bool), S3Error> {
        let (mut buckets, mut after) = (Vec::new(), self.after.clone());
        loop {
            let read = cx.objects.buckets(&after, READ_AT_ONCE).await?;
            let Some(last) = read.last() else { return Ok((buckets, false)) };
            after.clone_from(&last.name);
            let seen = |name: &str| name.starts_with(&self.prefix) && self.access.sees(name);
            for bucket in read.into_iter().filter(|bucket| seen(&bucket.name)) {
                if buckets.len() == limit {
                    return Ok((buckets, true));
                }
                buckets.push(bucket);
            }
        }
    }
}

const READ_AT_ONCE: usize = 1000;
const MAX_BUCKETS: u32 = 10_000;
