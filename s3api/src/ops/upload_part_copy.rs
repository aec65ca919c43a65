//! `PUT /bucket/key?partNumber=…&uploadId=…` with `x-amz-copy-source`

use std::ops::Range;

use fdfs_objects::{CommitOptions, ObjectInfo, Part, Preconditions, ShareOptions, UploadId};
use futures_util::StreamExt as _;

use super::Operation;
use super::copy_object::of_source;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::conditions::Conditions;
use crate::context::Context;
use crate::copy_source::CopySource;
use crate::error::{ErrorCode, S3Error};
use crate::multipart::{part_number, upload_id};
use crate::object_checksum;
use crate::object_response::etag_text;
use crate::range::ByteRange;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;

/// Takes a part out of an object: no byte moves, the part shares the object's files.
#[derive(Debug)]
pub(crate) struct UploadPartCopy {
    bucket: String,
    key: String,
    upload_id: UploadId,
    number: u16,
    source: CopySource,
    conditions: Conditions,
    range: Option<String>,
}

impl Operation for UploadPartCopy {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            upload_id: upload_id(&request)?,
            number: part_number(&request)?,
            source: CopySource::of(&request)?,
            conditions: Conditions::of_copy_source(&request.headers),
            range: request.header("x-amz-copy-source-range")?.map(str::to_owned),
        })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let source = (self.source.bucket.as_str(), self.source.key.as_bytes());
        let target = (self.bucket.as_str(), self.key.as_bytes());
        let upload = cx.objects.upload(target.0, target.1, self.upload_id).await?;
        let version_id = self.source.version_id;
        let info = cx.objects.head_version(source.0, source.1, version_id).await.map_err(of_source)?;
        let ByteRange { offset, length } = self.judge(&info)?;
        let range = offset..offset + length;
        let checksum = match ChecksumAlgorithm::of_number(upload.new.checksum_algorithm) {
            Some(algorithm) => Some(
                object_checksum::of_range(cx, source, version_id, &info, range.clone(), algorithm).await?,
            ),
            None => object_checksum::kept_of(&info, &range),
        };
        let share = ShareOptions {
            number: self.number,
            range: range.clone(),
            checksums: checksum.iter().map(Checksum::to_kept).collect(),
            source_version: version_id,
            source_preconditions: Preconditions::same(info.etag()),
        };
        let shared = cx.objects.share_part(source, target, self.upload_id, share).await?;
        let part = match shared {
            Some(part) => part,
            None => self.write(cx, range, checksum.as_ref()).await?,
        };
        Ok(respond::document("CopyPartResult", |xml| {
            xml.text("ETag", &respond::quoted(&hex::encode(part.md5)));
            xml.text("LastModified", &time::iso8601(time::of_millis(part.time)));
            if let Some(checksum) = checksum.filter(|_| upload.new.checksum_algorithm > 0) {
                xml.text(checksum.algorithm.element(), &checksum.to_base64());
            }
        }))
    }
}

impl UploadPartCopy {
    /// Writes the bytes anew: the source is made of too many pieces to be shared.
    async fn write(
        &self,
        cx: &Context,
        range: Range<u64>,
        checksum: Option<&Checksum>,
    ) -> Result<Part, S3Error> {
        let source = &self.source;
        let reader =
            cx.objects.open_version(&source.bucket, source.key.as_bytes(), source.version_id).await?;
        let (key, length) = (self.key.as_bytes(), Some(range.end - range.start));
        let mut writer =
            cx.objects.part_writer(&self.bucket, key, self.upload_id, self.number, length).await?;
        let mut content = reader.read(range);
        while let Some(piece) = content.next().await.transpose()? {
            writer.write(piece).await?;
        }
        let checksums = checksum.map(Checksum::to_kept).into_iter().collect();
        Ok(writer.commit(CommitOptions { checksums, ..CommitOptions::default() }).await?)
    }

    /// The bytes to copy, where the source is the one that is meant and has them.
    fn judge(&self, source: &ObjectInfo) -> Result<ByteRange, S3Error> {
        let modified = time::of_millis(source.attributes.content_time);
        self.conditions
            .check(&etag_text(source.etag()), modified)
            .map_err(|_| ErrorCode::PreconditionFailed)?;
        let size = source.size();
        let Some(header) = &self.range else { return Ok(ByteRange { offset: 0, length: size }) };
        let invalid = || {
            S3Error::new(
                ErrorCode::InvalidArgument,
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
            )
            .detail("ArgumentName", "x-amz-copy-source-range")
            .detail("ArgumentValue", header)
        };
        let range = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let (first, last) = range.ok_or_else(invalid)?;
        let first: u64 = first.parse().map_err(|_| invalid())?;
        let last: u64 = last.parse().map_err(|_| invalid())?;
        if first > last {
            return Err(invalid());
        }
        // Unlike that of a read, this range is not cut to the object.
        if last >= size {
            return Err(S3Error::new(
                ErrorCode::InvalidArgument,
                format!("Range specified is not valid for source object of size: {size}"),
            )
            .detail("ArgumentName", "x-amz-copy-source-range")
            .detail("ArgumentValue", header));
        }
        Ok(ByteRange { offset: first, length: last - first + 1 })
    }
}
