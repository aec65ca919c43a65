//! What clients ask storages.

use fdfs_proto::storage::{
    AppendRequest, CreateLinkRequest, DeleteRequest, DownloadRequest, FileInfoRequest, FileInfoResponse,
    GetMetadataRequest, GetMetadataResponse, MIN_APPENDER_NAME_LEN, MetadataMode, ModifyRequest,
    RegenerateRequest, SetMetadataRequest, TruncateRequest, UploadAppenderRequest, UploadRequest,
    UploadSlaveRequest,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::words::{
    content, extension, file_id, filename, filename_of, group, ip_of, ip_width, metadata, number,
    slave_prefix, time,
};
use super::{make, round_trips};

round_trips! {
    streamed upload: upload_request() => UploadRequest;
    streamed upload_appender: upload_request().prop_map(UploadAppenderRequest) => UploadAppenderRequest;
    streamed upload_slave: make!(UploadSlaveRequest {
        master: filename(), size: content(), prefix: slave_prefix(), extension: extension(),
    }) => UploadSlaveRequest;
    streamed append: make!(AppendRequest {
        filename: filename_of(MIN_APPENDER_NAME_LEN), size: content(),
    }) => AppendRequest;
    streamed modify: make!(ModifyRequest {
        filename: filename_of(MIN_APPENDER_NAME_LEN), offset: number(), size: content(),
    }) => ModifyRequest;
    request truncate: make!(TruncateRequest {
        filename: filename_of(MIN_APPENDER_NAME_LEN), size: number(),
    }) => TruncateRequest;
    request regenerate: make!(RegenerateRequest {
        filename: filename_of(MIN_APPENDER_NAME_LEN),
    }) => RegenerateRequest;
    request delete: make!(DeleteRequest { file_id: file_id() }) => DeleteRequest;
    request download: make!(DownloadRequest {
        offset: number(), length: number(), file_id: file_id(),
    }) => DownloadRequest;
    request file_info: make!(FileInfoRequest {
        file_id: file_id(), skip_crc32: any::<bool>(), is_silent: any::<bool>(),
    }) => FileInfoRequest;
    message file_info_answer: file_info_response() => FileInfoResponse;
    request set_metadata: make!(SetMetadataRequest {
        file_id: file_id(),
        mode: select(vec![MetadataMode::Overwrite, MetadataMode::Merge]),
        metadata: metadata(),
    }) => SetMetadataRequest;
    request get_metadata: make!(GetMetadataRequest { file_id: file_id() }) => GetMetadataRequest;
    message get_metadata_answer: make!(GetMetadataResponse { metadata: metadata() }) => GetMetadataResponse;
    request create_link: create_link_request() => CreateLinkRequest;
}

fn upload_request() -> impl Strategy<Value = UploadRequest> {
    make!(UploadRequest { store_path: prop::option::of(0..=127_u8), size: content(), extension: extension() })
}

fn file_info_response() -> impl Strategy<Value = FileInfoResponse> {
    let any_width = ip_width().prop_flat_map(|width| (Just(width), prop::option::of(ip_of(width))));
    (any_width, number(), time(), any::<u32>()).prop_map(|((ip_width, source), size, modified, crc32)| {
        FileInfoResponse { ip_width, size, modified, crc32, source }
    })
}

/// Both names and the signature have at most 256 bytes together.
fn create_link_request() -> impl Strategy<Value = CreateLinkRequest> {
    make!(CreateLinkRequest {
        group: group(),
        master: prop::option::of(filename()),
        prefix: prop::option::of(slave_prefix()),
        extension: extension(),
        source: filename(),
        signature: prop::collection::vec(any::<u8>(), 1..=CreateLinkRequest::MAX_SIGNATURE_LEN),
    })
    .prop_map(|mut request| {
        let names = request.master.as_ref().map_or(0, |master| master.as_str().len());
        request.signature.truncate(256 - names - request.source.as_str().len());
        request
    })
}
