//! `GET /bucket?uploads`

use fdfs_objects::UploadId;

use super::Operation;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::listing::{is_encoded, write_key};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;

/// Lists the uploads under way, by key and ID.
#[derive(Debug)]
pub(crate) struct ListMultipartUploads {
    bucket: String,
    prefix: String,
    key_marker: String,
    upload_id_marker: String,
    after: Option<(Vec<u8>, UploadId)>,
    max_uploads: u32,
    encoded: bool,
}

impl Operation for ListMultipartUploads {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        if !text("delimiter").is_empty() {
            return Err(S3Error::new(
                ErrorCode::NotImplemented,
                "A delimiter is not implemented for uploads",
            ));
        }
        let (key_marker, upload_id_marker) = (text("key-marker"), text("upload-id-marker"));
        let after = if key_marker.is_empty() {
            None
        } else {
            // Without an ID the list goes on behind all uploads of the key.
            let id = match upload_id_marker.as_str() {
                "" => UploadId([0xff; 16]),
                id => id
                    .parse()
                    .map_err(|_| S3Error::new(ErrorCode::InvalidArgument, "Invalid uploadId marker"))?,
            };
            Some((key_marker.clone().into_bytes(), id))
        };
        Ok(Self {
            bucket: request.bucket()?,
            prefix: text("prefix"),
            key_marker,
            upload_id_marker,
            after,
            max_uploads: request.number("max-uploads")?.unwrap_or(MAX_UPLOADS).min(MAX_UPLOADS),
            encoded: is_encoded(&request)?,
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let page = async |after, limit: u32| {
            cx.objects.uploads(&self.bucket, self.prefix.as_bytes(), after, limit as usize).await
        };
        let uploads = page(self.after.clone(), self.max_uploads).await?;
        let has_more = match uploads.last() {
            Some(last) if uploads.len() == self.max_uploads as usize => {
                !page(Some((last.key.clone(), last.upload_id)), 1).await?.is_empty()
            }
            _ => false,
        };
        Ok(respond::document("ListMultipartUploadsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            write_key(xml, "KeyMarker", self.key_marker.as_bytes(), self.encoded);
            xml.text("UploadIdMarker", &self.upload_id_marker);
            if let Some(last) = uploads.last().filter(|_| has_more) {
                write_key(xml, "NextKeyMarker", &last.key, self.encoded);
                xml.value("NextUploadIdMarker", last.upload_id);
            }
            write_key(xml, "Prefix", self.prefix.as_bytes(), self.encoded);
            if self.encoded {
                xml.text("EncodingType", "url");
            }
            xml.value("MaxUploads", self.max_uploads);
            xml.value("IsTruncated", has_more);
            for upload in &uploads {
                xml.element("Upload", |xml| {
                    write_key(xml, "Key", &upload.key, self.encoded);
                    xml.value("UploadId", upload.upload_id);
                    xml.element("Initiator", |xml| cx.write_owner(xml));
                    xml.element("Owner", |xml| cx.write_owner(xml));
                    xml.text("StorageClass", "STANDARD");
                    xml.text("Initiated", &time::iso8601(time::of_millis(upload.initiated)));
                });
            }
        }))
    }
}

const MAX_UPLOADS: u32 = 1000;
