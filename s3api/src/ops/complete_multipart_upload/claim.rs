//! What Complete says about the whole object: its checksum, of which type it is, its size.

use std::collections::BTreeMap;

use fdfs_objects::{Part, UploadOptions};

use super::NamedPart;
use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType};
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;

/// What the head of a request claims of the object.
#[derive(Debug)]
pub(super) struct ObjectClaim {
    /// Algorithm and text.
    checksum: Option<(ChecksumAlgorithm, String)>,
    kind: Option<String>,
    size: Option<u64>,
}

impl ObjectClaim {
    /// Reads the head.
    pub(super) fn of(request: &Request) -> Result<Self, S3Error> {
        let mut checksum = None;
        for algorithm in ChecksumAlgorithm::ALL {
            let Some(text) = request.header(algorithm.header())? else { continue };
            if checksum.replace((algorithm, text.to_owned())).is_some() {
                return Err(invalid(
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
                ));
            }
        }
        let size = request.header(SIZE)?.map(|text| {
            text.parse().map_err(|_| invalid("Value for x-amz-mp-object-size header is invalid."))
        });
        let kind = request.header("x-amz-checksum-type")?.map(str::to_owned);
        Ok(Self { checksum, kind, size: size.transpose()? })
    }

    /// Compares with the parts that have come; gives the checksum that the object gets. Where a part is missing or out of order there is none: that
    /// is found out when the object is made.
    pub(super) fn judge(
        &self,
        upload: &UploadOptions,
        named: &[NamedPart],
        kept: &BTreeMap<u16, Part>,
    ) -> Result<Option<fdfs_objects::Checksum>, S3Error> {
        let asked = ChecksumAlgorithm::of_number(upload.checksum_algorithm);
        let algorithm = asked.unwrap_or(ChecksumAlgorithm::USUAL);
        let kind = ChecksumType::of_number(upload.checksum_type).unwrap_or(algorithm.usual_type());
        let parts: Option<Vec<(&NamedPart, &Part)>> =
            named.iter().map(|named| Some((named, kept.get(&named.part.number)?))).collect();
        let Some(parts) = parts.filter(|parts| parts.is_sorted_by(|a, b| a.1.number < b.1.number)) else {
            return Ok(None);
        };
        for (named, part) in &parts {
            judge_part(named, part, asked.filter(|_| kind == ChecksumType::Composite))?;
        }
        let size = parts.iter().map(|(_, part)| part.size).sum::<u64>();
        if let Some(claimed) = self.size.filter(|claimed| *claimed != size) {
            return Err(invalid(format!(
                "The provided 'x-amz-mp-object-size' header value {claimed} does not match what was computed: {size}"
            )));
        }
        let of_part = |part: &Part| {
            let mut checksums = part.checksums.iter().filter_map(Checksum::of_kept);
            Some((checksums.find(|checksum| checksum.algorithm == algorithm)?, part.size))
        };
        let sums: Option<Vec<_>> = parts.iter().map(|(_, part)| of_part(part)).collect();
        let computed = sums.and_then(|sums| Checksum::of_parts(algorithm, kind, &sums));
        self.judge_checksum(algorithm, kind, computed.as_ref(), parts.len())?;
        Ok(computed.map(|checksum| checksum.to_kept_as(kind)))
    }

    fn judge_checksum(
        &self,
        algorithm: ChecksumAlgorithm,
        kind: ChecksumType,
        computed: Option<&Checksum>,
        parts: usize,
    ) -> Result<(), S3Error> {
        if let Some(claimed) = &self.kind
            && ChecksumType::of_name(claimed) != Some(kind)
        {
            let kind = kind.name();
            return Err(S3Error::new(
                ErrorCode::BadDigest,
                format!("The upload was created for a {kind} checksum, not for {claimed}."),
            ));
        }
        let Some((claimed, text)) = &self.checksum else { return Ok(()) };
        if *claimed != algorithm {
            let (expected, actual) =
                (algorithm.name().to_ascii_lowercase(), claimed.name().to_ascii_lowercase());
            return Err(invalid(format!(
                "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
            )));
        }
        // A composed checksum may come with the number of parts.
        let (value, count) = text.split_once('-').map_or((text.as_str(), None), |(v, n)| (v, Some(n)));
        let is_counted =
            count.is_none_or(|count| kind == ChecksumType::Composite && count.parse() == Ok(parts));
        let claimed = Checksum::from_base64(algorithm, value)
            .ok_or_else(|| invalid(format!("Value for {} header is invalid.", algorithm.header())))?;
        if computed.is_some_and(|computed| *computed == claimed && is_counted) {
            return Ok(());
        }
        let name = algorithm.name();
        Err(S3Error::new(
            ErrorCode::BadDigest,
            format!("The {name} you specified did not match the calculated checksum."),
        ))
    }
}

/// A part is named with the checksum it has; `asked` is the one it must be named with.
fn judge_part(named: &NamedPart, part: &Part, asked: Option<ChecksumAlgorithm>) -> Result<(), S3Error> {
    let number = part.number;
    if let Some(asked) = asked
        && !named.checksums.iter().any(|checksum| checksum.algorithm == asked)
    {
        let name = asked.name().to_ascii_lowercase();
        return Err(invalid(format!(
            "The upload was created using a {name} checksum. The complete request must include the checksum for each part. It was missing for part {number} in the request."
        )));
    }
    let kept: Vec<Checksum> = part.checksums.iter().filter_map(Checksum::of_kept).collect();
    if named.checksums.iter().all(|checksum| kept.contains(checksum)) {
        return Ok(());
    }
    Err(S3Error::from(ErrorCode::InvalidPart).detail("PartNumber", number.to_string()))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::new(ErrorCode::InvalidRequest, message)
}

const SIZE: &str = "x-amz-mp-object-size";
