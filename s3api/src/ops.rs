//! The operations, one file each: a request is parsed into a struct, which runs to a response.

mod abort_multipart_upload;
mod bucket_acl;
mod complete_multipart_upload;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_bucket_setting;
mod delete_object;
mod delete_objects;
mod get_bucket_configuration;
mod get_bucket_location;
mod get_bucket_policy;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod object_acl;
mod object_tagging;
mod post_object;
mod put_bucket_policy;
mod put_bucket_setting;
mod put_bucket_versioning;
mod put_object;
mod rename_object;
mod upload_part;
mod upload_part_copy;

use std::future::Future;
use std::pin::Pin;

use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::route::Operation as Route;
use crate::service::Response;

/// An operation: what it is asked, and what it does.
trait Operation: Send + Sized {
    /// Reads the request. All that can be refused without looking at names and files is refused here.
    fn parse(request: Request) -> impl Future<Output = Result<Self, S3Error>> + Send;

    /// Does it.
    fn run(self, cx: &Context) -> impl Future<Output = Result<Response, S3Error>> + Send;
}

/// Reads a body as every document that a request can have.
pub(crate) fn read_documents(body: &[u8]) -> [Result<(), S3Error>; 4] {
    [
        complete_multipart_upload::parse_body(body).map(drop),
        create_bucket::parse_body(body).map(drop),
        delete_objects::parse_body(body).map(drop),
        object_tagging::parse_body(body).map(drop),
    ]
}

/// Runs the operation that was routed to.
pub(crate) fn run(route: Route, cx: &Context, request: Request) -> Running<'_> {
    match route {
        Route::AbortMultipartUpload => of::<abort_multipart_upload::AbortMultipartUpload>(cx, request),
        Route::CompleteMultipartUpload => {
            of::<complete_multipart_upload::CompleteMultipartUpload>(cx, request)
        }
        Route::CopyObject => of::<copy_object::CopyObject>(cx, request),
        Route::CreateBucket => of::<create_bucket::CreateBucket>(cx, request),
        Route::CreateMultipartUpload => of::<create_multipart_upload::CreateMultipartUpload>(cx, request),
        Route::DeleteBucket => of::<delete_bucket::DeleteBucket>(cx, request),
        Route::DeleteBucketSetting => of::<delete_bucket_setting::DeleteBucketSetting>(cx, request),
        Route::DeleteObject => of::<delete_object::DeleteObject>(cx, request),
        Route::DeleteObjectTagging => of::<object_tagging::DeleteObjectTagging>(cx, request),
        Route::DeleteObjects => of::<delete_objects::DeleteObjects>(cx, request),
        Route::GetBucketAcl => of::<bucket_acl::GetBucketAcl>(cx, request),
        Route::PutBucketAcl => of::<bucket_acl::PutBucketAcl>(cx, request),
        Route::GetObjectAcl => of::<object_acl::GetObjectAcl>(cx, request),
        Route::PutObjectAcl => of::<object_acl::PutObjectAcl>(cx, request),
        Route::GetBucketPolicy => of::<get_bucket_policy::GetBucketPolicy>(cx, request),
        Route::GetBucketPolicyStatus => of::<get_bucket_policy::GetBucketPolicyStatus>(cx, request),
        Route::PostObject => of::<post_object::PostObject>(cx, request),
        Route::PutBucketPolicy => of::<put_bucket_policy::PutBucketPolicy>(cx, request),
        Route::GetBucketConfiguration => of::<get_bucket_configuration::GetBucketConfiguration>(cx, request),
        Route::GetBucketLocation => of::<get_bucket_location::GetBucketLocation>(cx, request),
        Route::GetObject => of::<get_object::GetObject>(cx, request),
        Route::GetObjectAttributes => of::<get_object_attributes::GetObjectAttributes>(cx, request),
        Route::GetObjectTagging => of::<object_tagging::GetObjectTagging>(cx, request),
        Route::HeadBucket => of::<head_bucket::HeadBucket>(cx, request),
        Route::HeadObject => of::<head_object::HeadObject>(cx, request),
        Route::ListBuckets => of::<list_buckets::ListBuckets>(cx, request),
        Route::ListMultipartUploads => of::<list_multipart_uploads::ListMultipartUploads>(cx, request),
        Route::ListObjectVersions => of::<list_object_versions::ListObjectVersions>(cx, request),
        Route::ListObjects => of::<list_objects::ListObjects>(cx, request),
        Route::ListObjectsV2 => of::<list_objects_v2::ListObjectsV2>(cx, request),
        Route::ListParts => of::<list_parts::ListParts>(cx, request),
        Route::PutBucketSetting => of::<put_bucket_setting::PutBucketSetting>(cx, request),
        Route::PutBucketVersioning => of::<put_bucket_versioning::PutBucketVersioning>(cx, request),
        Route::PutObject => of::<put_object::PutObject>(cx, request),
        Route::PutObjectTagging => of::<object_tagging::PutObjectTagging>(cx, request),
        Route::RenameObject => of::<rename_object::RenameObject>(cx, request),
        Route::UploadPart => of::<upload_part::UploadPart>(cx, request),
        Route::UploadPartCopy => of::<upload_part_copy::UploadPartCopy>(cx, request),
    }
}

/// An operation that runs. Boxed, so that a connection's future is not as large as the largest operation's.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<Response, S3Error>> + Send + 'a>>;

fn of<O: Operation>(cx: &Context, request: Request) -> Running<'_> {
    Box::pin(async move { O::parse(request).await?.run(cx).await })
}
