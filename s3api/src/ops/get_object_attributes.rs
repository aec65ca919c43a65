//! `GET /bucket/key?attributes`

use fdfs_objects::{ObjectInfo, ObjectPart, VersionId};

use super::Operation;
use crate::checksum::Checksum;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::object_checksum::ObjectChecksum;
use crate::object_response::{etag_text, write_version_id};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;
use crate::xml::XmlWriter;

/// Tells what is asked for of an object, among it the parts it was uploaded in.
#[derive(Debug)]
pub(crate) struct GetObjectAttributes {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
    attributes: Vec<String>,
    max_parts: usize,
    after: usize,
}

impl Operation for GetObjectAttributes {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let number = |name: &'static str| {
            let text = request.header(name)?;
            text.map(|text| text.parse::<u32>().map_err(|_| invalid(name, text))).transpose()
        };
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            version_id: request.version_id()?,
            attributes: attributes(&request)?,
            max_parts: number("x-amz-max-parts")?.map_or(MAX_PARTS, |max| MAX_PARTS.min(max as usize)),
            after: number("x-amz-part-number-marker")?.unwrap_or(0) as usize,
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let info = cx.objects.head_version(&self.bucket, self.key.as_bytes(), self.version_id).await?;
        let parts = match self.asks("ObjectParts") && info.part_count > 0 {
            true => cx.objects.object_parts(&info).await?,
            false => Vec::new(),
        };
        let mut response = respond::document("GetObjectAttributesResponse", |xml| {
            if self.asks("ETag") {
                xml.text("ETag", &etag_text(info.etag()));
            }
            if self.asks("Checksum") {
                write_checksum(xml, &info);
            }
            if !parts.is_empty() {
                xml.element("ObjectParts", |xml| self.write_parts(xml, &parts));
            }
            if self.asks("StorageClass") {
                xml.text("StorageClass", "STANDARD");
            }
            if self.asks("ObjectSize") {
                xml.value("ObjectSize", info.size());
            }
        });
        let modified = time::http_date(time::of_millis(info.attributes.content_time));
        respond::set(response.headers_mut(), "last-modified", &modified);
        write_version_id(response.headers_mut(), &info);
        Ok(response)
    }
}

impl GetObjectAttributes {
    fn asks(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute == name)
    }

    /// One page of the parts.
    fn write_parts(&self, xml: &mut XmlWriter, parts: &[ObjectPart]) {
        let first = parts.partition_point(|part| usize::from(part.number) <= self.after);
        let end = (first + self.max_parts).min(parts.len());
        let page = &parts[first..end];
        xml.value("PartsCount", parts.len());
        xml.value("PartNumberMarker", self.after);
        xml.value("NextPartNumberMarker", page.last().map_or(self.after, |part| part.number.into()));
        xml.value("MaxParts", self.max_parts);
        xml.value("IsTruncated", end < parts.len());
        for part in page {
            xml.element("Part", |xml| {
                xml.value("PartNumber", part.number);
                xml.value("Size", part.size);
                if let Some(checksum) = part.checksum.as_ref().and_then(Checksum::of_kept) {
                    xml.text(checksum.algorithm.element(), &checksum.to_base64());
                }
            });
        }
    }
}

/// Here, and here alone, S3 tells a composed checksum without the number of parts.
fn write_checksum(xml: &mut XmlWriter, info: &ObjectInfo) {
    let Some(ObjectChecksum { checksum, kind, .. }) = ObjectChecksum::of(info) else { return };
    xml.element("Checksum", |xml| {
        xml.text(checksum.algorithm.element(), &checksum.to_base64());
        xml.text("ChecksumType", kind.name());
    });
}

fn attributes(request: &Request) -> Result<Vec<String>, S3Error> {
    let mut attributes = Vec::new();
    for value in request.headers.get_all(ATTRIBUTES) {
        let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        attributes.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if attributes.is_empty() {
        return Err(S3Error::new(
            ErrorCode::InvalidRequest,
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    match attributes.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(unknown) => Err(invalid(ATTRIBUTES, unknown)),
        None => Ok(attributes),
    }
}

fn invalid(name: &'static str, value: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument, "Invalid attribute name or value specified.")
        .detail("ArgumentName", name)
        .detail("ArgumentValue", value)
}

const ATTRIBUTES: &str = "x-amz-object-attributes";
const KNOWN: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
const MAX_PARTS: usize = 1000;
