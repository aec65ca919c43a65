//! `PUT /bucket/key` with `x-amz-copy-source`

use fdfs_objects::{ContentHeader, ContentHeaders, CopyOptions, ExtendedAttributes, Preconditions};

use super::Operation;
use crate::conditions::{self, Conditions};
use crate::context::Context;
use crate::copy_source::CopySource;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::write_expiration;
use crate::object_headers::{content_headers, user_metadata};
use crate::object_response::{etag_text, write_version_id};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;

/// Copies an object: no byte moves, the copy shares the source's files.
#[derive(Debug)]
pub(crate) struct CopyObject {
    bucket: String,
    key: String,
    source: CopySource,
    source_conditions: Conditions,
    preconditions: Preconditions,
    replace: Option<(ContentHeaders, ExtendedAttributes)>,
    acl: Option<String>,
}

impl Operation for CopyObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let replace = match request.header("x-amz-metadata-directive")? {
            None | Some("COPY") => None,
            Some("REPLACE") => Some((content_headers(&request.headers)?, user_metadata(&request.headers)?)),
            Some(other) => {
                return Err(S3Error::new(ErrorCode::InvalidArgument, "Unknown metadata directive.")
                    .detail("ArgumentName", "x-amz-metadata-directive")
                    .detail("ArgumentValue", other));
            }
        };
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            source: CopySource::of(&request)?,
            source_conditions: Conditions::of_copy_source(&request.headers),
            preconditions: conditions::of_write(&request.headers)?,
            replace,
            acl: content_headers(&request.headers)?.remove(&ContentHeader::Acl),
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let (source, key) = (&self.source, self.key.as_bytes());
        let onto_itself =
            source.bucket == self.bucket && source.key == self.key && source.version_id.is_none();
        if onto_itself && self.replace.is_none() {
            return Err(S3Error::new(
                ErrorCode::InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        let info = cx.objects.head_version(&source.bucket, source.key.as_bytes(), source.version_id).await?;
        self.source_conditions
            .check(&etag_text(info.etag()), time::of_millis(info.attributes.content_time))
            .map_err(|_| ErrorCode::PreconditionFailed)?;

        // What was judged is what is copied.
        let options = CopyOptions {
            replace: self.replace,
            acl: self.acl,
            source_version: source.version_id,
            source_preconditions: Preconditions::same(info.etag()),
            preconditions: self.preconditions,
            ..CopyOptions::default()
        };
        let copy =
            cx.objects.copy((&source.bucket, source.key.as_bytes()), (&self.bucket, key), options).await?;
        let mut response = respond::document("CopyObjectResult", |xml| {
            xml.text("ETag", &respond::quoted(&etag_text(copy.etag())));
            xml.text("LastModified", &time::iso8601(time::of_millis(copy.attributes.content_time)));
        });
        write_version_id(response.headers_mut(), &copy);
        write_expiration(response.headers_mut(), cx, &self.key, &copy).await;
        if let Some(version_id) = info.version_id {
            respond::set(response.headers_mut(), "x-amz-copy-source-version-id", &version_id.to_string());
        }
        Ok(response)
    }
}
