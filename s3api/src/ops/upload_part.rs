//! `PUT /bucket/key?partNumber=…&uploadId=…`

use fdfs_objects::{CommitOptions, UploadId};
use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::multipart::{part_number, upload_id};
use crate::payload::Payload;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Takes one part of an upload, in place of an earlier one of its number.
#[derive(Debug)]
pub(crate) struct UploadPart {
    bucket: String,
    key: String,
    upload_id: UploadId,
    number: u16,
    length: u64,
    payload: Payload,
}

impl Operation for UploadPart {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            upload_id: upload_id(&request)?,
            number: part_number(&request)?,
            length: request.data_length()?,
            payload: request.payload,
        })
    }

    async fn run(mut self, cx: &Context) -> Result<Response, S3Error> {
        let (key, length) = (self.key.as_bytes(), Some(self.length));
        let mut writer =
            cx.objects.part_writer(&self.bucket, key, self.upload_id, self.number, length).await?;
        while let Some(piece) = self.payload.next().await? {
            writer.write(piece).await?;
        }
        let commit = CommitOptions { checksums: self.payload.kept_checksums(), ..CommitOptions::default() };
        let part = writer.commit(commit).await?;

        let mut response = respond::empty(StatusCode::OK);
        let headers = response.headers_mut();
        respond::set(headers, "etag", &respond::quoted(&hex::encode(part.md5)));
        if let Some(checksum) = self.payload.checksum() {
            respond::set(headers, checksum.algorithm.header(), &checksum.to_base64());
        }
        Ok(response)
    }
}
