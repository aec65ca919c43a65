//! `PUT /bucket`

use fdfs_objects::NewBucketOptions;
use fdfs_objects::access::CannedAcl;
use fdfs_types::GroupName;
use http::StatusCode;

use super::Operation;
use crate::access;
use crate::acl;
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
    settings: Vec<(&'static str, String)>,
    native_read_off: bool,
}

impl Operation for CreateBucket {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, region) = (request.bucket()?, request.region.clone());
        check_name(&bucket)?;
        let settings = access_settings(&request)?;
        let native_read_off = match request.header(NATIVE_READ)? {
            None | Some("on") => false,
            Some("off") => true,
            Some(_) => {
                return Err(S3Error::new(ErrorCode::InvalidArgument, "Invalid x-fdfs-native-read header"));
            }
        };
        let body = request.payload.read_all(MAX_BODY).await?;
        Ok(Self { bucket, location: parse_body(&body)?, region, settings, native_read_off })
    }

    /// Without a location, or with a region's name, the trackers choose the group of each object.
    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let placement = match &self.location {
            Some(location) if !cx.is_region(location) && *location != self.region => {
                vec![Context::group(location)?]
            }
            _ => Vec::<GroupName>::new(),
        };
        let owner = cx.owner().to_owned();
        let native_read_off = self.native_read_off;
        let new = NewBucketOptions { placement, owner, native_read_off, ..NewBucketOptions::default() };
        let made = cx.objects.create_bucket(&self.bucket, new).await?;
        for (name, value) in self.settings {
            cx.objects.set_bucket_setting(&made, name, Some(value.into())).await?;
        }
        let mut response = respond::empty(StatusCode::OK);
        respond::set(response.headers_mut(), "location", &format!("/{}", self.bucket));
        Ok(response)
    }
}

/// What its headers say about access.
fn access_settings(request: &Request) -> Result<Vec<(&'static str, String)>, S3Error> {
    let mut settings = Vec::new();
    if let Some(name) = request.header("x-amz-object-ownership")? {
        let document = format!(
            "<OwnershipControls><Rule><ObjectOwnership>{name}</ObjectOwnership></Rule></OwnershipControls>"
        );
        let invalid = |_| S3Error::new(ErrorCode::InvalidArgument, "Invalid x-amz-object-ownership header");
        settings.push((access::OWNERSHIP, access::ownership_document(document.as_bytes()).map_err(invalid)?));
    }
    let acl = request.header("x-amz-acl")?.map(acl::named).transpose()?.unwrap_or_default();
    if acl != CannedAcl::Private {
        if settings.iter().any(|(_, document)| document.contains("BucketOwnerEnforced")) {
            return Err(S3Error::new(
                ErrorCode::InvalidBucketAclWithObjectOwnership,
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        settings.push((access::ACL, acl.name().to_owned()));
    }
    Ok(settings)
}

/// The location that is asked for.
pub(super) fn parse_body(body: &[u8]) -> Result<Option<String>, S3Error> {
    if body.is_empty() {
        return Ok(None);
    }
    let configuration = Element::parse(body, "CreateBucketConfiguration")?;
    let location = configuration.text_of("LocationConstraint").filter(|text| !text.is_empty());
    Ok(location.map(str::to_owned))
}

/// Refuses names that S3 refuses.
fn check_name(name: &str) -> Result<(), S3Error> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // As in names of hosts, which buckets are: nothing between two dots is empty, begins or ends with a hyphen.
    let is_label = |label: &str| {
        label.bytes().next().is_some_and(letters) && label.bytes().next_back().is_some_and(letters)
    };
    let valid = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| letters(byte) || byte == b'-' || byte == b'.')
        && name.split('.').all(is_label)
        && !RESERVED_STARTS.iter().any(|start| name.starts_with(start))
        && !RESERVED_ENDS.iter().any(|end| name.ends_with(end))
        && !looks_like_an_address(name);
    if valid { Ok(()) } else { Err(S3Error::from(ErrorCode::InvalidBucketName).detail("BucketName", name)) }
}

/// Four numbers, which clients take for the address of a host, be it one or not.
fn looks_like_an_address(name: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').count() == 4 && name.split('.').all(is_number)
}

/// Whether files of the bucket are read by their IDs, `on` or `off`.
pub(super) const NATIVE_READ: &str = "x-fdfs-native-read";
/// S3 keeps these for its own kinds of buckets and access points.
const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_s3() {
        for name in [
            "abc",
            "123",
            "my-bucket.v1",
            "a.b.c",
            "a--b",
            "1.2.3",
            "1.2.3.4.5",
            "10.0.0.a",
            "xn-a",
            "sthree",
            "a-s3alias-b",
            "ol-s3",
            "mrap",
            &"a".repeat(63),
        ] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "Abc",
            "aBc",
            "a_b",
            "a b",
            "a/b",
            "a:b",
            "büro",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "a.-b",
            "a-.b",
            "...",
            "---",
            "10.0.0.1",
            "192.168.5.4",
            "999.0.0.1",
            "010.000.000.001",
            "xn--a",
            "xn--80ak6aa92e",
            "sthree-a",
            "sthree-configurator",
            "amzn-s3-demo-bucket",
            "a-s3alias",
            "a--ol-s3",
            "a.mrap",
            "a--use1-az5--x-s3",
            "a--table-s3",
            &"a".repeat(64),
        ] {
            assert_eq!(check_name(name).unwrap_err().code(), ErrorCode::InvalidBucketName, "{name}");
        }
    }
}
