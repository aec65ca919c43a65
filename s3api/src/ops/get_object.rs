//! `GET /bucket/key`

use fdfs_objects::ObjectReader;
use futures_util::{StreamExt as _, stream};
use tracing::warn;

use super::Operation;
use crate::body::{BodyError, ContentBody, ResponseBody};
use crate::context::Context;
use crate::error::S3Error;
use crate::object_response::{ReadAnswer, ReadQuestion};
use crate::range::ByteRange;
use crate::request::Request;
use crate::service::Response;

/// Reads an object, or a range of it.
#[derive(Debug)]
pub(crate) struct GetObject {
    bucket: String,
    key: String,
    question: ReadQuestion,
}

impl Operation for GetObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, question: ReadQuestion::parse(&request)? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let reader =
            cx.objects.open_version(&self.bucket, self.key.as_bytes(), self.question.version_id).await?;
        match self.question.answer(cx, reader.info()).await? {
            ReadAnswer::Head(response) => Ok(response),
            ReadAnswer::Content(mut response, range) => {
                *response.body_mut() = content(&reader, range).await?;
                Ok(response)
            }
        }
    }
}

/// The bytes of a range. The first are read before the head is sent, so that a file which cannot be
/// read is an error with a status and not a broken answer.
async fn content(
    reader: &ObjectReader,
    ByteRange { offset, length }: ByteRange,
) -> Result<ResponseBody, S3Error> {
    let range = offset..offset + length;
    if length <= SMALL {
        let bytes = reader.read_bytes(range).await?;
        if bytes.len() as u64 != length {
            return Err(crate::error::ErrorCode::InternalError.into());
        }
        return Ok(ResponseBody::Full(bytes));
    }
    let mut rest = reader.read_pieces(range);
    let first = rest.next().await.transpose()?;
    let rest = rest.map(|piece| {
        piece.map_err(|error| {
            warn!(%error, "content broke off");
            BodyError
        })
    });
    let pieces = stream::iter(first.map(Ok)).chain(rest);
    Ok(ResponseBody::Content(Box::new(ContentBody::new(Box::pin(pieces), length))))
}

/// Content up to this many bytes is sent in one piece with the head.
const SMALL: u64 = 64 * 1024;
