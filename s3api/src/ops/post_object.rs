//! `POST /bucket` with a form

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fdfs_objects::access::Caller;
use fdfs_objects::{CommitOptions, ExtendedAttributes, PutOptions};
use http::StatusCode;

use super::Operation;
use crate::access::Access;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumDigest};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::form::{Form, PostPolicy};
use crate::object_headers::{content_headers, user_metadata};
use crate::object_response::{FILE_ID, etag_text};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::signature::FormSignature;
use crate::tagging;
use crate::target::check_key;
use crate::unsupported::refuse_unsupported;
use crate::uri;
use crate::xml::XmlWriter;

/// Puts the file of an HTML form under a key, as far as the form's signed policy allows.
#[derive(Debug)]
pub(crate) struct PostObject {
    bucket: String,
    host: String,
    access: Access,
    form: Form,
}

impl Operation for PostObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        if *request.access.caller() != Caller::Anonymous {
            return Err(S3Error::new(
                ErrorCode::InvalidArgument,
                "A form is signed in its fields, not in the Authorization header or the query",
            ));
        }
        let (bucket, host) = (request.bucket()?, request.header("host")?.unwrap_or_default().to_owned());
        let content_type = request.header("content-type")?.unwrap_or_default().to_owned();
        let access = request.access.clone();
        let form = Form::read(&content_type, request.payload).await?;
        Ok(Self { bucket, host, access, form })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let Self { bucket, host, access, form } = self;
        let key = form.get("key").filter(|key| !key.is_empty()).ok_or_else(|| {
            S3Error::new(
                ErrorCode::InvalidArgument,
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            )
            .detail("ArgumentName", "key")
        })?;
        let key = key.to_owned();
        check_key(&key)?;
        let (access, (least, most)) = admit(cx, access, &form, &bucket, &key).await?;
        let headers = form.headers()?;
        refuse_unsupported(&headers)?;
        let tags = match form.get("tagging") {
            Some(document) => tagging::parse(document.as_bytes(), tagging::MAX_OBJECT_TAGS)?,
            None => ExtendedAttributes::new(),
        };
        let in_bucket = access.in_bucket(cx, &bucket).await?;
        in_bucket.check(cx, "s3:PutObject", Some(&key)).await?;
        if !tags.is_empty() {
            in_bucket.check(cx, "s3:PutObjectTagging", Some(&key)).await?;
        }
        if let Some(acl) = headers.get("x-amz-acl").and_then(|acl| acl.to_str().ok()) {
            in_bucket.check(cx, "s3:PutObjectAcl", Some(&key)).await?;
            in_bucket.check_acl(crate::acl::named(acl)?)?;
        }

        let expected_md5 = headers.get("content-md5").map(|value| {
            let digest =
                BASE64_STANDARD.decode(value.as_bytes()).ok().and_then(|digest| digest.try_into().ok());
            digest.ok_or_else(|| S3Error::from(ErrorCode::InvalidDigest))
        });
        let expected_md5 = expected_md5.transpose()?;
        let mut checksum = declared_checksum(&headers)?;
        let options = PutOptions {
            headers: content_headers(&headers)?,
            extended: user_metadata(&headers)?,
            tags,
            ..PutOptions::default()
        };
        let mut writer = cx.objects.writer(&bucket, key.as_bytes(), options).await?;
        let success = Success::of(&form);
        let mut file = form.into_file();
        let mut length: u64 = 0;
        while let Some(piece) = file.next().await? {
            length += piece.len() as u64;
            if length > most.min(MAX_FILE) {
                return Err(S3Error::from(ErrorCode::EntityTooLarge)
                    .detail("ProposedSize", length.to_string())
                    .detail("MaxSizeAllowed", most.min(MAX_FILE).to_string()));
            }
            if let Some((_, digest)) = &mut checksum {
                digest.update(&piece);
            }
            writer.write(piece).await?;
        }
        if length < least {
            return Err(S3Error::from(ErrorCode::EntityTooSmall)
                .detail("ProposedSize", length.to_string())
                .detail("MinSizeAllowed", least.to_string()));
        }
        let checksums = match checksum {
            Some((expected, digest)) => {
                if digest.finish() != expected {
                    return Err(ErrorCode::BadDigest.into());
                }
                vec![expected.to_kept()]
            }
            None => Vec::new(),
        };
        file.finish().await?;
        let commit = CommitOptions { expected_md5, checksums, ..CommitOptions::default() };
        let info = writer.commit(commit).await?;

        let etag = respond::quoted(&etag_text(info.etag()));
        let location = format!("http://{host}/{bucket}/{}", uri::encode_path(key.as_bytes()));
        let mut response = success.answer(&bucket, &key, &etag, &location);
        respond::set(response.headers_mut(), "etag", &etag);
        if let Some(file_id) = info.native_id() {
            respond::set(response.headers_mut(), FILE_ID, &file_id.to_string());
        }
        Ok(response)
    }
}

/// Who sent a form, and how long its file may be: as the policy says, which has to be signed.
async fn admit(
    cx: &Context,
    access: Access,
    form: &Form,
    bucket: &str,
    key: &str,
) -> Result<(Access, (u64, u64)), S3Error> {
    let (Some(signature), Some(policy)) = (FormSignature::of(form)?, form.get("policy")) else {
        return Ok((access, (0, u64::MAX)));
    };
    let (id, token, now) = (signature.access_key_id(), form.get("x-amz-security-token"), SystemTime::now());
    let identity = cx.identity(id, token, now).await?.ok_or_else(|| {
        S3Error::from(ErrorCode::InvalidAccessKeyId).detail("AWSAccessKeyId", signature.access_key_id())
    })?;
    signature.verify(policy, &identity.pair)?;
    let policy = PostPolicy::parse(policy)?;
    policy.check(form, bucket, now)?;
    tracing::debug!(bucket, key, "a form may be taken");
    Ok((access.by_form(Caller::User(identity.user.clone())), policy.lengths()))
}

fn declared_checksum(headers: &http::HeaderMap) -> Result<Option<(Checksum, ChecksumDigest)>, S3Error> {
    let declared = ChecksumAlgorithm::ALL.into_iter().filter_map(|algorithm| {
        let value = headers.get(algorithm.header())?;
        let checksum = value.to_str().ok().and_then(|text| Checksum::from_base64(algorithm, text));
        Some(checksum.ok_or(ErrorCode::InvalidRequest))
    });
    let declared = declared.collect::<Result<Vec<_>, _>>()?;
    if declared.len() > 1 {
        return Err(ErrorCode::InvalidRequest.into());
    }
    Ok(declared
        .into_iter()
        .next()
        .map(|checksum| (checksum.clone(), ChecksumDigest::new(checksum.algorithm))))
}

/// What the sender of a form wants to see when it was taken.
enum Success {
    Redirect(String),
    Status(StatusCode),
}

impl Success {
    fn of(form: &Form) -> Self {
        let redirect = form.get("success_action_redirect").or_else(|| form.get("redirect"));
        // S3 does not mind what is no URL.
        if let Some(url) =
            redirect.filter(|url| url.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some()))
        {
            return Self::Redirect(url.to_owned());
        }
        Self::Status(match form.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        })
    }

    fn answer(self, bucket: &str, key: &str, etag: &str, location: &str) -> Response {
        match self {
            Self::Redirect(url) => {
                let (url, fragment) = url.split_once('#').unwrap_or((&url, ""));
                let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
                let joint = if url.contains('?') { '&' } else { '?' };
                let [bucket, key, etag] = [bucket, key, etag].map(|text| uri::encode(text.as_bytes()));
                let target = format!("{url}{joint}bucket={bucket}&key={key}&etag={etag}{fragment}");
                let mut response = respond::empty(StatusCode::SEE_OTHER);
                respond::set(response.headers_mut(), "location", &target);
                response
            }
            Self::Status(StatusCode::CREATED) => {
                let mut xml = XmlWriter::document();
                xml.element("PostResponse", |xml| {
                    xml.text("Location", location);
                    xml.text("Bucket", bucket);
                    xml.text("Key", key);
                    xml.text("ETag", etag);
                });
                let mut response = respond::xml(xml.finish());
                *response.status_mut() = StatusCode::CREATED;
                respond::set(response.headers_mut(), "location", location);
                response
            }
            Self::Status(status) => {
                let mut response = respond::empty(status);
                respond::set(response.headers_mut(), "location", location);
                response
            }
        }
    }
}

/// Largest file of a form, as S3 has it: 5 GiB.
const MAX_FILE: u64 = 5 << 30;
