//! `PUT /bucket/key?partNumber=…&uploadId=…`

use fdfs_objects::{CommitOptions, UploadId};
use http::StatusCode;

use super::Operation;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
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
        let asked = ChecksumAlgorithm::of_number(writer.checksum_algorithm());
        self.judge(asked)?;
        self.payload.want_checksum(asked.unwrap_or(ChecksumAlgorithm::USUAL));
        while let Some(piece) = self.payload.next().await? {
            writer.write(piece).await?;
        }
        let commit = CommitOptions {
            checksums: self.payload.checksums().map(Checksum::to_kept).collect(),
            ..CommitOptions::default()
        };
        let part = writer.commit(commit).await?;

        let mut response = respond::empty(StatusCode::OK);
        let headers = response.headers_mut();
        respond::set(headers, "etag", &respond::quoted(&hex::encode(part.md5)));
        let told = self.payload.checksum().or_else(|| {
            asked?;
            self.payload.checksums().next()
        });
        if let Some(checksum) = told {
            respond::set(headers, checksum.algorithm.header(), &checksum.to_base64());
        }
        Ok(response)
    }
}

impl UploadPart {
    /// A part brings the checksum that its upload asks for, or none: then it is computed here.
    fn judge(&self, asked: Option<ChecksumAlgorithm>) -> Result<(), S3Error> {
        match (asked, self.payload.declared_algorithm()) {
            (Some(asked), Some(declared)) if asked != declared => {
                let (asked, declared) =
                    (asked.name().to_ascii_lowercase(), declared.name().to_ascii_lowercase());
                Err(S3Error::new(
                    ErrorCode::InvalidRequest,
                    format!(
                        "Checksum Type mismatch occurred, expected checksum Type: {asked}, actual checksum Type: {declared}"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}
