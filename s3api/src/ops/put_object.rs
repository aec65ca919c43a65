//! `PUT /bucket/key`

use fdfs_objects::{CommitOptions, PutOptions};
use http::StatusCode;

use super::Operation;
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
            preconditions: conditions::of_write(&request.headers)?,
            ..PutOptions::default()
        };
        Ok(Self { bucket: request.bucket()?, key: request.key()?, options, payload: request.payload })
    }

    /// The client is asked for its data only when nothing speaks against the name; the name is given only
    /// when all of the data has passed its checks.
    async fn run(mut self, cx: &Context) -> Result<Response, S3Error> {
        let mut writer = cx.objects.writer(&self.bucket, self.key.as_bytes(), self.options).await?;
        while let Some(piece) = self.payload.next().await? {
            writer.write(piece).await?;
        }
        let commit = CommitOptions { checksums: self.payload.kept_checksums(), ..CommitOptions::default() };
        let info = writer.commit(commit).await?;

        let mut response = respond::empty(StatusCode::OK);
        let headers = response.headers_mut();
        respond::set(headers, "etag", &respond::quoted(&etag_text(info.etag())));
        write_version_id(headers, &info);
        write_expiration(headers, cx, &self.key, &info).await;
        if let Some(file_id) = &info.file_id {
            respond::set(headers, FILE_ID, &file_id.to_string());
        }
        if let Some(checksum) = self.payload.checksum() {
            respond::set(headers, checksum.algorithm.header(), &checksum.to_base64());
            respond::set(headers, "x-amz-checksum-type", "FULL_OBJECT");
        }
        Ok(response)
    }
}
