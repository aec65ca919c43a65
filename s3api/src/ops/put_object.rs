//! `PUT /bucket/key`

use fdfs_objects::{CommitOptions, PutOptions};
use http::StatusCode;

use super::Operation;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType};
use crate::conditions;
use crate::context::Context;
use crate::error::S3Error;
use crate::lifecycle::write_expiration;
use crate::object_headers::{content_headers, user_metadata};
use crate::object_response::{FILE_ID, etag_text, write_version_id};
use crate::payload::Payload;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::tagging;

/// Puts an object under a key, in place of what was there.
#[derive(Debug)]
pub(crate) struct PutObject {
    bucket: String,
    key: String,
    options: PutOptions,
    payload: Payload,
}

impl Operation for PutObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let length = request.data_length()?;
        let options = PutOptions {
            length: Some(length),
            headers: content_headers(&request.headers)?,
            extended: user_metadata(&request.headers)?,
            tags: tagging::of_header(&request.headers)?,
            preconditions: conditions::of_write(&request.headers)?,
            ..PutOptions::default()
        };
        let (bucket, key, mut payload) = (request.bucket()?, request.key()?, request.payload);
        if payload.declared_algorithm().is_none() {
            payload.want_checksum(ChecksumAlgorithm::USUAL);
        }
        Ok(Self { bucket, key, options, payload })
    }

    /// The client is asked for its data only when nothing speaks against the name; the name is given only
    /// when all of the data has passed its checks.
    async fn run(mut self, cx: &Context) -> Result<Response, S3Error> {
        let mut writer = cx.objects.writer(&self.bucket, self.key.as_bytes(), self.options).await?;
        while let Some(piece) = self.payload.next().await? {
            writer.write(piece).await?;
        }
        let commit = CommitOptions {
            checksums: self.payload.checksums().map(Checksum::to_kept).collect(),
            ..CommitOptions::default()
        };
        let info = writer.commit(commit).await?;

        let mut response = respond::empty(StatusCode::OK);
        let headers = response.headers_mut();
        respond::set(headers, "etag", &respond::quoted(&etag_text(info.etag())));
        write_version_id(headers, &info);
        write_expiration(headers, cx, &self.key, &info).await;
        if let Some(file_id) = info.native_id() {
            respond::set(headers, FILE_ID, &file_id.to_string());
        }
        if let Some(checksum) = self.payload.checksums().next() {
            respond::set(headers, checksum.algorithm.header(), &checksum.to_base64());
            respond::set(headers, "x-amz-checksum-type", ChecksumType::FullObject.name());
        }
        Ok(response)
    }
}
