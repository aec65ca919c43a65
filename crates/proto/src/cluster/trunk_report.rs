//! `FETCH_TRUNK_FID` (72), `REPORT_TRUNK_FID` (73) and `REPORT_TRUNK_FREE` (74): the trunk server and its trackers.
//!
//! ```text
//!  72  answer:  | i32 number of the newest trunk file |
//!  73  request: | i32 number of the newest trunk file |
//!  74  request: | i64 free MB |
//! ```

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

empty_request! {
    /// Asks for the highest number of a trunk file that the tracker knows for the group.
    FetchTrunkFidRequest, FETCH_TRUNK_FID, FetchTrunkFidResponse
}

/// The highest number of a trunk file that the tracker knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FetchTrunkFidResponse {
    /// The number.
    pub trunk_file_id: u32,
}

/// The trunk server made a trunk file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportTrunkFidRequest {
    /// Its number.
    pub trunk_file_id: u32,
}

/// How much space the group has inside trunk files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportTrunkFreeRequest {
    /// In MiB.
    pub free_mb: u64,
}

impl Encode for FetchTrunkFidResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.trunk_file_id);
    }
}

impl Decode for FetchTrunkFidResponse {
    const NAME: &'static str = "FetchTrunkFidResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { trunk_file_id: reader.u32("trunk file")? })
    }
}

impl Encode for ReportTrunkFidRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.trunk_file_id);
    }
}

impl Decode for ReportTrunkFidRequest {
    const NAME: &'static str = "ReportTrunkFidRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { trunk_file_id: reader.u32("trunk file")? })
    }
}

impl Request for ReportTrunkFidRequest {
    const COMMAND: Command = Command::REPORT_TRUNK_FID;
    type Response = Empty;
}

impl Encode for ReportTrunkFreeRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.free_mb);
    }
}

impl Decode for ReportTrunkFreeRequest {
    const NAME: &'static str = "ReportTrunkFreeRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { free_mb: reader.u64("free")? })
    }
}

impl Request for ReportTrunkFreeRequest {
    const COMMAND: Command = Command::REPORT_TRUNK_FREE;
    type Response = Empty;
}
