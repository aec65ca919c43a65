//! `POST /bucket/key?uploadId=…`

use fdfs_objects::{CompleteOptions, CompletePart, ETag, Preconditions, UploadId};

use super::Operation;
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::write_expiration;
use crate::multipart::{MAX_PARTS, upload_id};
use crate::object_response::{etag_text, write_version_id};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::xml::Element;

/// Makes an object of the parts that have come. No byte moves now.
#[derive(Debug)]
pub(crate) struct CompleteMultipartUpload {
    bucket: String,
    key: String,
    upload_id: UploadId,
    parts: Vec<CompletePart>,
    preconditions: Preconditions,
    host: String,
}

impl Operation for CompleteMultipartUpload {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, key, upload_id) = (request.bucket()?, request.key()?, upload_id(&request)?);
        let preconditions = conditions::of_write(&request.headers)?;
        let host = request.header("host")?.unwrap_or_default().to_owned();
        // A checksum in the head is the object's here, not the document's.
        let body = request.payload.without_checksum().read_all(MAX_BODY).await?;
        let parts = parse_body(&body)?;
        Ok(Self { bucket, key, upload_id, parts, preconditions, host })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let done = cx
            .objects
            .complete_upload(
                &self.bucket,
                self.key.as_bytes(),
                self.upload_id,
                CompleteOptions {
                    parts: self.parts,
                    preconditions: self.preconditions,
                    ..CompleteOptions::default()
                },
            )
            .await?;
        let mut response = respond::document("CompleteMultipartUploadResult", |xml| {
            xml.text(
                "Location",
                &format!(
                    "http://{}/{}/{}",
                    self.host,
                    self.bucket,
                    crate::uri::encode_path(self.key.as_bytes())
                ),
            );
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("ETag", &respond::quoted(&etag_text(done.etag())));
        });
        write_version_id(response.headers_mut(), &done);
        write_expiration(response.headers_mut(), cx, &self.key, &done).await;
        Ok(response)
    }
}

/// The parts in the order named.
pub(super) fn parse_body(body: &[u8]) -> Result<Vec<CompletePart>, S3Error> {
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
                _ => return Err(ErrorCode::InvalidPart.into()),
            },
        };
        parts.push(CompletePart { number, md5 });
    }
    if parts.is_empty() || parts.len() > usize::from(MAX_PARTS) {
        return Err(ErrorCode::MalformedXML.into());
    }
    Ok(parts)
}

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
        assert_eq!(parts[0].number, 7);
        assert_eq!(hex::encode(parts[0].md5.unwrap()), "d41d8cd98f00b204e9800998ecf8427e");
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
