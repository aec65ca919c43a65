//! `PUT /bucket`

use fdfs_objects::NewBucketOptions;
use fdfs_types::GroupName;
use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::xml::Element;

/// Makes a bucket, whose location constraint names the group that its objects go to.
#[derive(Debug)]
pub(crate) struct CreateBucket {
    bucket: String,
    location: Option<String>,
    region: String,
}

impl Operation for CreateBucket {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, region) = (request.bucket()?, request.region.clone());
        check_name(&bucket)?;
        let body = request.payload.read_all(MAX_BODY).await?;
        Ok(Self { bucket, location: parse_body(&body)?, region })
    }

    /// Without a location, or with a region's name, the trackers choose the group of each object.
    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let placement = match &self.location {
            Some(location) if !cx.is_region(location) && *location != self.region => {
                vec![Context::group(location)?]
            }
            _ => Vec::<GroupName>::new(),
        };
        let new = NewBucketOptions { placement, owner: cx.owner().to_owned(), ..NewBucketOptions::default() };
        cx.objects.create_bucket(&self.bucket, new).await?;
        let mut response = respond::empty(StatusCode::OK);
        respond::set(response.headers_mut(), "location", &format!("/{}", self.bucket));
        Ok(response)
    }
}

/// Refuses names that S3 refuses.
/// The location that is asked for.
pub(super) fn parse_body(body: &[u8]) -> Result<Option<String>, S3Error> {
    if body.is_empty() {
        return Ok(None);
    }
    let configuration = Element::parse(body, "CreateBucketConfiguration")?;
    let location = configuration.text_of("LocationConstraint").filter(|text| !text.is_empty());
    Ok(location.map(str::to_owned))
}

fn check_name(name: &str) -> Result<(), S3Error> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| letters(byte) || byte == b'-' || byte == b'.')
        && name.bytes().next().is_some_and(letters)
        && name.bytes().next_back().is_some_and(letters)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    if valid { Ok(()) } else { Err(S3Error::from(ErrorCode::InvalidBucketName).detail("BucketName", name)) }
}

const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_s3() {
        for name in ["abc", "my-bucket.v1", "123", &"a".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["ab", &"a".repeat(64), "Abc", "-abc", "abc-", ".abc", "a..b", "a_b", "10.0.0.1", "a b"] {
            assert_eq!(check_name(name).unwrap_err().code(), ErrorCode::InvalidBucketName, "{name}");
        }
    }
}
