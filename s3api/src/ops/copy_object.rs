//! `PUT /bucket/key` with `x-amz-copy-source`

use fdfs_objects::{
    ContentHeader, ContentHeaders, CopyOptions, ExtendedAttributes, ObjectsError, Preconditions,
};

use super::Operation;
use super::create_multipart_upload::checksum_algorithm;
use crate::checksum::ChecksumAlgorithm;
use crate::conditions::{self, Conditions};
use crate::context::Context;
use crate::copy_source::CopySource;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::write_expiration;
use crate::object_checksum::{self, ObjectChecksum};
use crate::object_headers::{content_headers, user_metadata};
use crate::object_response::{etag_text, write_version_id};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::tagging;
use crate::time;

/// Copies an object: no byte moves, the copy shares the source's files.
#[derive(Debug)]
pub(crate) struct CopyObject {
    bucket: String,
    key: String,
    source: CopySource,
    source_conditions: Conditions,
    preconditions: Preconditions,
    /// Content headers and metadata of its own.
    replace: Option<(ContentHeaders, ExtendedAttributes)>,
    acl: Option<String>,
    /// Where a website sends those who ask for it: that of the source is not copied.
    redirect: Option<String>,
    /// A storage class is named: there is one alone, but who names it wants the object written anew.
    names_class: bool,
    tags: Option<ExtendedAttributes>,
    checksum: Option<ChecksumAlgorithm>,
}

impl Operation for CopyObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let mut headers = content_headers(&request.headers)?;
        let acl = headers.remove(&ContentHeader::Acl);
        let redirect = headers.get(&ContentHeader::WebsiteRedirect).cloned();
        let replace = is_replaced(&request, "x-amz-metadata-directive")?
            .then(|| Ok::<_, S3Error>((headers, user_metadata(&request.headers)?)));
        let tags =
            is_replaced(&request, "x-amz-tagging-directive")?.then(|| tagging::of_header(&request.headers));
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            source: CopySource::of(&request)?,
            source_conditions: Conditions::of_copy_source(&request.headers),
            preconditions: conditions::of_write(&request.headers)?,
            replace: replace.transpose()?,
            redirect,
            names_class: request.header("x-amz-storage-class")?.is_some(),
            acl,
            tags: tags.transpose()?,
            checksum: checksum_algorithm(&request)?,
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let source = (self.source.bucket.as_str(), self.source.key.as_bytes());
        let version_id = self.source.version_id;
        let target = (self.bucket.as_str(), self.key.as_bytes());
        let onto_itself = source == target && version_id.is_none();
        let is_other =
            self.replace.is_some() || self.redirect.is_some() || self.names_class || self.checksum.is_some();
        if onto_itself && !is_other {
            return Err(S3Error::new(
                ErrorCode::InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        let info = cx.objects.head_version(source.0, source.1, version_id).await.map_err(of_source)?;
        self.source_conditions
            .check(&etag_text(info.etag()), time::of_millis(info.attributes.content_time))
            .map_err(|_| ErrorCode::PreconditionFailed)?;
        let checksums = match self.checksum {
            Some(algorithm) => {
                let checksum =
                    object_checksum::of_range(cx, source, version_id, &info, 0..info.size(), algorithm)
                        .await?;
                Some(vec![checksum.to_kept()])
            }
            None => None,
        };
        let source_version = info.version_id;
        let replace = match (self.replace, self.redirect) {
            (None, Some(target)) => {
                let mut headers = info.headers;
                headers.insert(ContentHeader::WebsiteRedirect, target);
                Some((headers, info.extended))
            }
            (replace, _) => replace,
        };

        // What was judged is what is copied.
        let options = CopyOptions {
            replace,
            acl: self.acl,
            tags: self.tags,
            checksums,
            source_version: version_id,
            source_preconditions: Preconditions::same(info.attributes.etag),
            preconditions: self.preconditions,
        };
        let copy = cx.objects.copy(source, target, options).await?;
        let mut response = respond::document("CopyObjectResult", |xml| {
            xml.text("ETag", &respond::quoted(&etag_text(copy.etag())));
            xml.text("LastModified", &time::iso8601(time::of_millis(copy.attributes.content_time)));
            if let Some(checksum) = ObjectChecksum::of(&copy) {
                checksum.write_elements(xml);
            }
        });
        write_version_id(response.headers_mut(), &copy);
        write_expiration(response.headers_mut(), cx, &self.key, &copy).await;
        if let Some(version_id) = source_version {
            respond::set(response.headers_mut(), "x-amz-copy-source-version-id", &version_id.to_string());
        }
        Ok(response)
    }
}

/// What S3 answers where the source cannot be looked at.
pub(super) fn of_source(error: ObjectsError) -> S3Error {
    match error {
        ObjectsError::DeleteMarker { named: true, .. } => S3Error::new(
            ErrorCode::InvalidRequest,
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        error => error.into(),
    }
}

/// Whether a directive says that the copy has its own.
fn is_replaced(request: &Request, directive: &'static str) -> Result<bool, S3Error> {
    match request.header(directive)? {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::new(ErrorCode::InvalidArgument, "Unknown directive.")
            .detail("ArgumentName", directive)
            .detail("ArgumentValue", other)),
    }
}
