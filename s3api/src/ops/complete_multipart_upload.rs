//! `POST /bucket/key?uploadId=…`

mod claim;

use std::collections::BTreeMap;

use fdfs_objects::{CompleteOptions, CompletePart, ETag, ObjectsError, Part, Preconditions, UploadId};

use super::Operation;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::write_expiration;
use crate::multipart::{MAX_PARTS, upload_id};
use crate::object_checksum::ObjectChecksum;
use crate::object_response::{etag_text, write_version_id};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::xml::Element;

use claim::ObjectClaim;

/// Makes an object of the parts that have come. No byte moves now.
#[derive(Debug)]
pub(crate) struct CompleteMultipartUpload {
    bucket: String,
    key: String,
    upload_id: UploadId,
    parts: Vec<NamedPart>,
    claim: ObjectClaim,
    preconditions: Preconditions,
    host: String,
}

/// A part as the document names it.
#[derive(Debug)]
pub(super) struct NamedPart {
    pub(super) part: CompletePart,
    pub(super) checksums: Vec<Checksum>,
}

impl Operation for CompleteMultipartUpload {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, key, upload_id) = (request.bucket()?, request.key()?, upload_id(&request)?);
        let preconditions = conditions::of_write(&request.headers)?;
        let claim = ObjectClaim::of(&request)?;
        let host = request.header("host")?.unwrap_or_default().to_owned();
        let body = request.payload.read_all(MAX_BODY).await?;
        let parts = parse_body(&body)?;
        Ok(Self { bucket, key, upload_id, parts, claim, preconditions, host })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let key = self.key.as_bytes();
        let checksum = match cx.objects.upload(&self.bucket, key, self.upload_id).await {
            Ok(upload) => {
                let kept = kept_parts(cx, &self.bucket, key, self.upload_id).await?;
                self.claim.judge(&upload.new, &self.parts, &kept)?
            }
            // Perhaps it is complete already.
            Err(ObjectsError::NoSuchUpload) => None,
            Err(error) => return Err(error.into()),
        };
        let options = CompleteOptions {
            parts: self.parts.iter().map(|named| named.part).collect(),
            checksum,
            preconditions: self.preconditions,
        };
        let done = cx.objects.complete_upload(&self.bucket, key, self.upload_id, options).await?;
        let path = crate::uri::encode_path(key);
        let location = format!("http://{}/{}/{path}", self.host, self.bucket);
        let mut response = respond::document("CompleteMultipartUploadResult", |xml| {
            xml.text("Location", &location);
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("ETag", &respond::quoted(&etag_text(done.etag())));
            if let Some(checksum) = ObjectChecksum::of(&done) {
                checksum.write_elements(xml);
            }
        });
        write_version_id(response.headers_mut(), &done);
        write_expiration(response.headers_mut(), cx, &self.key, &done).await;
        Ok(response)
    }
}

/// All parts that have come, by number.
async fn kept_parts(
    cx: &Context,
    bucket: &str,
    key: &[u8],
    upload_id: UploadId,
) -> Result<BTreeMap<u16, Part>, S3Error> {
    let (mut kept, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = match cx.objects.parts(bucket, key, upload_id, after, PAGE).await {
            // Completed meanwhile, by a request like this one.
            Err(ObjectsError::NoSuchUpload) => return Ok(kept),
            page => page?,
        };
        let Some(last) = page.last() else { return Ok(kept) };
        after = last.number;
        let is_last = page.len() < PAGE;
        kept.extend(page.into_iter().map(|part| (part.number, part)));
        if is_last {
            return Ok(kept);
        }
    }
}

/// The parts in the order named.
pub(super) fn parse_body(body: &[u8]) -> Result<Vec<NamedPart>, S3Error> {
    let complete = Element::parse(body, "CompleteMultipartUpload")?;
    let mut parts = Vec::new();
    for part in complete.all("Part") {
        let number = part.text_of("PartNumber").and_then(|text| text.trim().parse().ok());
        let number =
            number.filter(|number| (1..=MAX_PARTS).contains(number)).ok_or(ErrorCode::MalformedXML)?;
        let md5 = match part.text_of("ETag").map(str::trim) {
            None => return Err(ErrorCode::MalformedXML.into()),
            Some(etag) => match etag.parse::<ETag>() {
                Ok(ETag { digest, parts: None }) => Some(digest),
                _ => {
                    return Err(
                        S3Error::from(ErrorCode::InvalidPart).detail("PartNumber", number.to_string())
                    );
                }
            },
        };
        let mut checksums = Vec::new();
        for algorithm in ChecksumAlgorithm::ALL {
            let Some(text) = part.text_of(algorithm.element()) else { continue };
            let checksum = Checksum::from_base64(algorithm, text.trim());
            checksums.push(checksum.ok_or(ErrorCode::InvalidPart)?);
        }
        parts.push(NamedPart { part: CompletePart { number, md5 }, checksums });
    }
    if parts.is_empty() || parts.len() > usize::from(MAX_PARTS) {
        return Err(ErrorCode::MalformedXML.into());
    }
    Ok(parts)
}

/// Parts read at once.
const PAGE: usize = 1_000;
/// Room for 10,000 parts with checksums.
const MAX_BODY: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(parts: &str) -> String {
        format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
        )
    }

    #[test]
    fn parts_are_read_with_their_etags() {
        let part = "<Part><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><PartNumber>7</PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>";
        let parts = parse_body(document(part).as_bytes()).unwrap();

        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].part.number, 7);
        assert_eq!(hex::encode(parts[0].part.md5.unwrap()), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            parts[0].checksums,
            [Checksum::from_base64(ChecksumAlgorithm::Crc32, "AAAAAA==").unwrap()]
        );
    }

    #[test]
    fn what_names_no_part_is_refused() {
        for (parts, code) in [
            ("", ErrorCode::MalformedXML),
            ("<Part><PartNumber>1</PartNumber></Part>", ErrorCode::MalformedXML),
            (
                "<Part><PartNumber>0</PartNumber><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part>",
                ErrorCode::MalformedXML,
            ),
            (
                "<Part><PartNumber>10001</PartNumber><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part>",
                ErrorCode::MalformedXML,
            ),
            ("<Part><PartNumber>1</PartNumber><ETag>nonsense</ETag></Part>", ErrorCode::InvalidPart),
        ] {
            assert_eq!(parse_body(document(parts).as_bytes()).unwrap_err().code(), code, "{parts}");
        }
    }
}
