//! `GET /bucket?uploads`

use fdfs_objects::{UploadId, UploadItem, UploadMarker, UploadQuery};

use super::Operation;
use crate::checksum::{ChecksumAlgorithm, ChecksumType};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::listing::{is_encoded, write_key};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;
use crate::xml::XmlWriter;

/// Lists the uploads under way, by key and ID.
#[derive(Debug)]
pub(crate) struct ListMultipartUploads {
    bucket: String,
    query: UploadQuery,
    key_marker: String,
    upload_id_marker: String,
    encoded: bool,
}

impl Operation for ListMultipartUploads {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let (key_marker, upload_id_marker) = (text("key-marker"), text("upload-id-marker"));
        // Without an ID the list goes on behind all uploads of the key; an ID alone says nothing.
        let upload_id = Some(upload_id_marker.as_str()).filter(|id| !id.is_empty() && !key_marker.is_empty());
        let upload_id: Option<UploadId> = upload_id.map(str::parse).transpose().map_err(|_| {
            S3Error::new(ErrorCode::InvalidArgument, "Invalid uploadId marker")
                .detail("ArgumentName", "upload-id-marker")
                .detail("ArgumentValue", &upload_id_marker)
        })?;
        let marker = || UploadMarker { key: key_marker.clone().into_bytes(), upload_id };
        let query = UploadQuery {
            prefix: text("prefix").into_bytes(),
            delimiter: text("delimiter").into_bytes(),
            after: (!key_marker.is_empty()).then(marker),
            limit: request.number("max-uploads")?.unwrap_or(MAX_UPLOADS).min(MAX_UPLOADS) as usize,
        };
        let encoded = is_encoded(&request)?;
        Ok(Self { bucket: request.bucket()?, query, key_marker, upload_id_marker, encoded })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let page = cx.objects.list_uploads(&self.bucket, self.query.clone()).await?;
        let key = |xml: &mut XmlWriter, name, key: &[u8]| write_key(xml, name, key, self.encoded);
        Ok(respond::document("ListMultipartUploadsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            key(xml, "KeyMarker", self.key_marker.as_bytes());
            xml.text("UploadIdMarker", &self.upload_id_marker);
            if let Some(next) = &page.next {
                key(xml, "NextKeyMarker", &next.key);
                xml.text("NextUploadIdMarker", &next.upload_id.map(|id| id.to_string()).unwrap_or_default());
            }
            key(xml, "Prefix", &self.query.prefix);
            if !self.query.delimiter.is_empty() {
                key(xml, "Delimiter", &self.query.delimiter);
            }
            if self.encoded {
                xml.text("EncodingType", "url");
            }
            xml.value("MaxUploads", self.query.limit);
            xml.value("IsTruncated", page.next.is_some());
            for item in &page.items {
                let UploadItem::Upload(upload) = item else { continue };
                xml.element("Upload", |xml| {
                    key(xml, "Key", &upload.key);
                    xml.value("UploadId", upload.upload_id);
                    xml.element("Initiator", |xml| cx.write_owner(xml));
                    xml.element("Owner", |xml| cx.write_owner(xml));
                    xml.text("StorageClass", "STANDARD");
                    xml.text("Initiated", &time::iso8601(time::of_millis(upload.initiated)));
                    if let Some(algorithm) = ChecksumAlgorithm::of_number(upload.new.checksum_algorithm) {
                        xml.text("ChecksumAlgorithm", algorithm.name());
                        let kind = ChecksumType::of_number(upload.new.checksum_type);
                        xml.text("ChecksumType", kind.unwrap_or(algorithm.usual_type()).name());
                    }
                });
            }
            for item in &page.items {
                let UploadItem::CommonPrefix(common) = item else { continue };
                xml.element("CommonPrefixes", |xml| key(xml, "Prefix", common));
            }
        }))
    }
}

const MAX_UPLOADS: u32 = 1000;
