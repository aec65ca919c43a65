//! Commands of ours, and the frames of an upload.

#![no_main]

use fdfs_fuzz::request;
use fdfs_proto::ours::{Frame, Trailer};
use fdfs_proto::{Decode as _, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    request(frame, fuzzing::OURS);
    drop((Frame::decode(frame), Trailer::decode(frame)));
});
