//! `HEAD /bucket/key`

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::object_response::{ReadAnswer, ReadQuestion};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Tells of an object all but its bytes.
#[derive(Debug)]
pub(crate) struct HeadObject {
    bucket: String,
    key: String,
    question: ReadQuestion,
}

impl Operation for HeadObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, question: ReadQuestion::parse(&request)? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let info =
            cx.objects.head_version(&self.bucket, self.key.as_bytes(), self.question.version_id).await?;
        Ok(match self.question.answer(cx, &info).await? {
            ReadAnswer::Head(response) => response,
            ReadAnswer::Content(mut response, range) => {
                respond::set(response.headers_mut(), "content-length", &range.length.to_string());
                response
            }
        })
    }
}
