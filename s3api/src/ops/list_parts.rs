//! `GET /bucket/key?uploadId=…`

use fdfs_objects::UploadId;

use super::Operation;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType};
use crate::context::Context;
use crate::error::S3Error;
use crate::multipart::upload_id;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;

/// Lists the parts that have come, by number.
#[derive(Debug)]
pub(crate) struct ListParts {
    bucket: String,
    key: String,
    upload_id: UploadId,
    after: u16,
    max_parts: u32,
}

impl Operation for ListParts {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let after = request.number("part-number-marker")?.unwrap_or(0);
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            upload_id: upload_id(&request)?,
            after: u16::try_from(after).unwrap_or(u16::MAX),
            max_parts: request.number("max-parts")?.unwrap_or(MAX_PARTS).min(MAX_PARTS),
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let page = async |after, limit: u32| {
            let key = self.key.as_bytes();
            cx.objects.parts(&self.bucket, key, self.upload_id, after, limit as usize).await
        };
        let upload = cx.objects.upload(&self.bucket, self.key.as_bytes(), self.upload_id).await?.new;
        let parts = page(self.after, self.max_parts).await?;
        let has_more = match parts.last() {
            Some(last) if parts.len() == self.max_parts as usize => !page(last.number, 1).await?.is_empty(),
            _ => false,
        };
        Ok(respond::document("ListPartsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.value("UploadId", self.upload_id);
            xml.element("Initiator", |xml| cx.write_owner(xml));
            xml.element("Owner", |xml| cx.write_owner(xml));
            xml.text("StorageClass", "STANDARD");
            xml.value("PartNumberMarker", self.after);
            if let Some(last) = parts.last().filter(|_| has_more) {
                xml.value("NextPartNumberMarker", last.number);
            }
            xml.value("MaxParts", self.max_parts);
            xml.value("IsTruncated", has_more);
            if let Some(algorithm) = ChecksumAlgorithm::of_number(upload.checksum_algorithm) {
                let kind = ChecksumType::of_number(upload.checksum_type).unwrap_or(algorithm.usual_type());
                xml.text("ChecksumAlgorithm", algorithm.name());
                xml.text("ChecksumType", kind.name());
            }
            for part in &parts {
                xml.element("Part", |xml| {
                    xml.value("PartNumber", part.number);
                    xml.text("LastModified", &time::iso8601(time::of_millis(part.time)));
                    xml.text("ETag", &respond::quoted(&hex::encode(part.md5)));
                    xml.value("Size", part.size);
                    for checksum in part.checksums.iter().filter_map(Checksum::of_kept) {
                        xml.text(checksum.algorithm.element(), &checksum.to_base64());
                    }
                });
            }
        }))
    }
}

const MAX_PARTS: u32 = 1000;
