//! The operations, one file each.

use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::route::Operation;
use crate::service::Response;

/// Runs an operation.
pub(crate) async fn run(operation: Operation, _cx: &Context, _request: Request) -> Result<Response, S3Error> {
    Err(S3Error::new(ErrorCode::NotImplemented, format!("{} is not implemented", operation.name())))
}
